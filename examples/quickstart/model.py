#!/usr/bin/env python3
"""A stand-in for a model server: expensive to start, cheap to ask. Standard library only.

It reads and checks a file of 200 MB, counts its loads in redis, records each in PostgreSQL, says READY=1 to whoever
started it, and answers HTTP from what it has in memory:

    /health           {"status": "ok"}
    /lookup?key=KEY   {"key": ..., "value": ...}, or 404
    /stats            process id, number of loads ever, when it was loaded, how long that took, uptime

Once a second it writes a numbered line, so that a missing line would be seen.

It listens on the socket that hearth holds for it (LISTEN_FDS): that is open while there is no model, so whoever asks
then waits a few seconds instead of being refused.

Environment: MODEL_DATA and REDIS_SOCKET (paths), PSQL (how psql is called), and from hearth LISTEN_FDS, NOTIFY_SOCKET.
"""
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

STARTED = time.monotonic()
LOADS_KEY = "model:loads"


def notify(message: str) -> None:
    """sd_notify(3). Without NOTIFY_SOCKET, for a run by hand, it does nothing, and it does not mind if nobody listens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    if path.startswith("@"):
        path = "\0" + path[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock, contextlib.suppress(OSError):
        sock.sendto(message.encode(), path)


def redis(*words: str) -> int:
    """One command that answers with a number, in redis' own protocol (RESP)."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(5)
        sock.connect(os.environ["REDIS_SOCKET"])
        sock.sendall(request.encode())
        with sock.makefile("rb") as answers:
            kind, rest = (line := answers.readline())[:1], line[1:].strip()
            if kind == b":":
                return int(rest)
            if kind == b"$":
                return int(answers.read(int(rest)))
            raise OSError(f"redis answered {line!r}")


def record_load(seconds: float) -> None:
    """A row for each load, in the database that keeps them when redis has forgotten its count."""
    statement = f"insert into loads (pid, seconds) values ({os.getpid()}, {seconds:.2f})"
    subprocess.run([*os.environ["PSQL"].split(), "-Xqc", statement], check=True, timeout=30)


class Model:
    """The whole file in memory, and where each key's value begins and ends."""

    def __init__(self, path: str) -> None:
        begun = time.monotonic()
        with open(path, "rb") as file:
            self.data = file.read()
        self.places: dict[bytes, tuple[int, int]] = {}
        self._index()
        self.loaded_at = time.time()
        self.load_seconds = time.monotonic() - begun

    def _index(self) -> None:
        data, places, start, told = self.data, self.places, 0, -1
        while start < len(data):
            tab = data.index(b"\t", start)
            end = data.index(b"\n", tab)
            key = data[start:tab]
            # What a real model does here is decompress, quantise, move to a GPU. This one trusts no byte.
            if hashlib.shake_128(key).hexdigest((end - tab - 1) // 2).encode() != data[tab + 1 : end]:
                raise ValueError(f"the data is damaged at byte {start}: remove the file and generate it again")
            places[key] = (tab + 1, end)
            start = end + 1
            percent = start * 10 // len(data) * 10
            if percent != told:
                told = percent
                notify(f"STATUS=loading, {percent} %")

    def lookup(self, key: str) -> str | None:
        place = self.places.get(key.encode())
        return None if place is None else self.data[place[0] : place[1]].decode()


class Handler(BaseHTTPRequestHandler):
    model: Model
    loads: int

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/health":
            self.answer(200, {"status": "ok"})
        elif url.path == "/lookup":
            key = parse_qs(url.query).get("key", [""])[0]
            value = self.model.lookup(key)
            self.answer(200 if value else 404, {"key": key, "value": value})
        elif url.path == "/stats":
            self.answer(200, self.stats())
        else:
            self.answer(404, {"error": "there are /health, /lookup?key=KEY and /stats"})

    def stats(self) -> dict:
        loaded = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self.model.loaded_at))
        return {
            "pid": os.getpid(),
            "loads": self.loads,
            "items": len(self.model.places),
            "loaded_at": loaded,
            "load_seconds": round(self.model.load_seconds, 2),
            "uptime_seconds": round(time.monotonic() - STARTED, 1),
        }

    def answer(self, code: int, body: dict) -> None:
        text = (json.dumps(body) + "\n").encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args) -> None:
        pass  # the log is for the numbered lines


def tick(end: threading.Event) -> None:
    number = 0
    while True:
        number += 1
        print(f"line {number} of process {os.getpid()}", flush=True)
        if end.wait(1):
            return


class Server(ThreadingHTTPServer):
    """On a listening socket that somebody else has made."""

    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # who hangs up early needs no stack trace here
            super().handle_error(request, client_address)


def main() -> int:
    if os.environ.get("LISTEN_FDS") != "1":
        print("one socket is expected as descriptor 3 (LISTEN_FDS): start it with hearth", file=sys.stderr)
        return 2
    end = threading.Event()
    threading.Thread(target=tick, args=(end,), daemon=True).start()
    try:
        Handler.model = Model(os.environ.get("MODEL_DATA", "data/items.tsv"))
        Handler.loads = redis("INCR", LOADS_KEY)
        record_load(Handler.model.load_seconds)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"cannot load: {error}", file=sys.stderr, flush=True)
        return 1
    # From here on there is something to end in good order; before, TERM may just kill.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    server = Server(socket.socket(fileno=3))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"loaded {len(Handler.model.places)} items in {Handler.model.load_seconds:.1f} s, "
          f"load number {Handler.loads}", flush=True)
    notify(f"READY=1\nSTATUS=serving {len(Handler.model.places)} items")

    end.wait()
    notify("STOPPING=1")
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
