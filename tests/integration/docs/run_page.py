#!/usr/bin/env python3
"""Does what a page of the documentation says, and fails where the page is not true.

    run_page.py --bin DIRECTORY PAGE.md

The page's blocks are taken in order, in a fresh directory, by one bash whose output goes to a terminal, so that the page
shows what people see. `hearth` is that of DIRECTORY, with an instance of its own.

    ```console             "$ " begins a command, "> " continues it, the rest is its output. It must end with 0,
                           or with N where "# exit code N" stands behind it. No output in the page: none is compared
    ```console no-run      cannot be tried here; counted
    ```console needs=NAME  tried where the program NAME is; else counted
    ```LANGUAGE file=NAME  a file that the reader writes

In the expected output "..." is any text within a line, and a line "..." any number of lines, none too. Runs of blanks
count as one, since columns are as wide as what stands in them.

    <!-- try: ports 8080 8081 -->   these are replaced in the whole page by ports that are free
"""
import argparse
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass, field
from fcntl import ioctl

LIMIT_SECONDS = 60  # of one command
COLUMNS = 100


class Untrue(Exception):
    """The page promises something else than what happens."""


# ---- reading the page ---------------------------------------------------------------------------


@dataclass
class Command:
    line: int
    text: str
    exit_code: int = 0
    expected: list[str] = field(default_factory=list)


@dataclass
class Block:
    line: int
    language: str
    words: list[str]
    body: list[str]


def blocks_of(page: str) -> list[Block]:
    blocks, inside = [], None
    for number, line in enumerate(page.splitlines(), 1):
        if not line.startswith("```"):
            if inside:
                inside.body.append(line)
        elif inside:
            blocks.append(inside)
            inside = None
        else:
            language, *words = line[3:].split() or [""]
            inside = Block(number, language, words, [])
    if inside:
        raise Untrue(f"line {inside.line}: this block does not end")
    return blocks


def commands_of(block: Block) -> list[Command]:
    commands: list[Command] = []
    for number, line in enumerate(block.body, block.line + 1):
        if line.startswith("$ "):
            code = re.search(r"# exit code (\d+)$", line)
            commands.append(Command(number, line[2:], int(code[1]) if code else 0))
        elif not commands:
            raise Untrue(f'line {number}: a console block begins with "$ "')
        elif line.startswith("> ") and not commands[-1].expected:
            commands[-1].text += "\n" + line[2:]
        else:
            commands[-1].expected.append(line)
    return commands


def with_free_ports(page: str) -> str:
    """Two runs of a page at once, or a port that is taken, disturb nobody."""
    held = []
    for ports in re.findall(r"<!-- try: ports ([\d ]+) -->", page):
        for port in ports.split():
            held.append(socket.socket())
            held[-1].bind(("127.0.0.1", 0))
            page = re.sub(rf"\b{port}\b", str(held[-1].getsockname()[1]), page)
    for one in held:
        one.close()
    return page


# ---- comparing ----------------------------------------------------------------------------------


def screen_of(written: str) -> list[str]:
    """What stands on a terminal after all this: as much of one as hearth needs."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif part[0] != "\x1b":
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part):]
            column += len(part)
        elif part[-1] == "A":
            row = max(0, row - int(part[2:-1] or 1))
        elif part[-1] == "K":
            lines[row] = lines[row][:column]
        elif part[-1] == "J":
            lines[row:] = [lines[row][:column]]
    return [line.rstrip() for line in lines]


def is_as_expected(expected: list[str], shown: list[str]) -> bool:
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*".join(r"\s+".join(map(re.escape, part.split(" "))) for part in blanks(line).split("..."))
            pattern += r"\s*\n"
    text = "".join(blanks(line) + "\n" for line in shown)
    return re.fullmatch(pattern.replace(r"\s+", "[ ]+"), text) is not None


def blanks(line: str) -> str:
    return " ".join(line.split())


# ---- doing --------------------------------------------------------------------------------------


class Shell:
    """One bash for a page, so that `cd` and variables hold from one command to the next."""

    def __init__(self, directory: str, environment: dict[str, str]) -> None:
        # The other end stays open here, too: a terminal without any holder answers EIO instead of its last words.
        self.master, self.slave = pty.openpty()
        ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        self.codes, code_end = os.pipe()
        os.set_inheritable(code_end, True)
        self.code_end = code_end
        self.bash = subprocess.Popen(["bash", "--norc", "--noprofile"], cwd=directory, env=environment, pass_fds=[code_end],
                                     stdin=subprocess.PIPE, stdout=self.slave, stderr=self.slave, start_new_session=True)
        os.close(code_end)

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and what was written."""
        # The code goes another way than the output. What the command starts does not get that way.
        text = f"{{ {command}\n}} </dev/null {self.code_end}>&-\necho $? >&{self.code_end}\n"
        self.bash.stdin.write(text.encode())
        self.bash.stdin.flush()
        written, deadline = b"", time.monotonic() + LIMIT_SECONDS
        while True:
            readable, _, _ = select.select([self.master, self.codes], [], [], max(0, deadline - time.monotonic()))
            if self.master in readable:
                written += os.read(self.master, 65536)
            elif self.codes in readable:
                code = os.read(self.codes, 100)
                if not code:
                    raise Untrue("the shell has ended:\n" + written.decode(errors="replace"))
                return int(code), written.decode(errors="replace")
            elif not readable:
                self.bash.kill()
                raise Untrue(f"does not end within {LIMIT_SECONDS} s; so far:\n" + written.decode(errors="replace"))

    def close(self) -> None:
        self.bash.stdin.close()
        self.bash.wait()
        for end in (self.master, self.slave, self.codes):
            os.close(end)


def try_command(shell: Shell, command: Command) -> None:
    code, written = shell.run(command.text)
    # The instance is our doing; who follows the page has none to name.
    shown = screen_of(re.sub(r" --dir \S*/hearth-docs\.\w+/instance\b", "", written))
    while shown and not shown[-1]:
        shown.pop()
    found = "".join(f"    {line}\n" for line in shown)
    if code != command.exit_code:
        raise Untrue(f"exit code {code} instead of {command.exit_code}:\n{found}")
    if command.expected and not is_as_expected(command.expected, shown):
        expected = "".join(f"    {line}\n" for line in command.expected)
        raise Untrue(f"shows\n{found}  instead of\n{expected}")


@dataclass
class Counts:
    run: int = 0
    not_run: int = 0
    files: int = 0


def run_page(page: str, shell: Shell, directory: pathlib.Path) -> Counts:
    counts = Counts()
    for block in blocks_of(page):
        files = [word[len("file="):] for word in block.words if word.startswith("file=")]
        needed = [word[len("needs="):] for word in block.words if word.startswith("needs=")]
        skipped = "no-run" in block.words or not all(map(shutil.which, needed))
        unknown = [word for word in block.words if word != "no-run" and not word.startswith(("file=", "needs="))]
        if unknown or (len(files) < len(block.words) and block.language != "console"):
            raise Untrue(f"line {block.line}: what does {' '.join(block.words)} mean here?")
        for name in files:
            (directory / name).write_text("\n".join(block.body) + "\n")
            counts.files += 1
        if block.language != "console":
            continue
        for command in commands_of(block):
            if skipped:
                counts.not_run += 1
                continue
            counts.run += 1
            try:
                try_command(shell, command)
            except Untrue as untrue:
                raise Untrue(f"line {command.line}: $ {command.text}\n  {untrue}") from None
    return counts


def private_hearth(binaries: str, place: pathlib.Path) -> None:
    """A `hearth` for PATH that is told its instance, so that the machine's own is not met."""
    (place / "bin").mkdir()
    script = place / "bin" / "hearth"
    script.write_text(f'#!/bin/sh\nexec "{os.path.realpath(binaries)}/hearth" --dir "{place}/instance" "$@"\n')
    script.chmod(0o755)


def try_page(binaries: str, path: str) -> Counts:
    page = with_free_ports(pathlib.Path(path).read_text())
    place = pathlib.Path(tempfile.mkdtemp(prefix="hearth-docs."))
    private_hearth(binaries, place)
    home = place / "home"
    home.mkdir()
    environment = {"PATH": f"{place}/bin:{os.environ['PATH']}:/usr/sbin", "HOME": str(home), "TERM": "xterm",
                   "LANG": "C.UTF-8", "NO_COLOR": "1", "TMPDIR": str(place), "USER": os.environ.get("USER", "nobody")}
    shell = Shell(str(home), environment)
    try:
        return run_page(page, shell, home)
    finally:
        shell.close()
        subprocess.run([place / "bin" / "hearth", "reset", "--yes", "--force"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="where hearth is")
    parser.add_argument("page")
    arguments = parser.parse_args()
    try:
        counts = try_page(arguments.bin, arguments.page)
    except Untrue as untrue:
        print(f"{arguments.page}: {untrue}", file=sys.stderr)
        return 1
    print(f"{arguments.page}: {counts.run} commands are as the page says, {counts.not_run} not run, {counts.files} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
