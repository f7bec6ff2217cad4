"""bench config: how long `hearth config validate` takes for 1,000 services, in three shapes.

  one file      all services in one hearth.toml, ten keys each
  shared        the same by [defaults] and templates
  many files    ten services in each of 100 included files, and a drop-in that changes every service

The limit is the start of the same program without a file: `hearth help`. The budget is in milliseconds: 100.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

from harness import Report

COUNT = 1000


def keys(i):
    return (f'command = ["python3", "server.py", "--port", "{10000 + i}", "--model", "${{MODEL:-large-v3}}"]\n'
            f'cwd = "apps/{i % 20}"\n'
            f'env = {{ WORKERS = {i % 8 + 1}, LOG_LEVEL = "info", DATA = "/srv/data/{i}" }}\n')


SHARED = ('restart = "always"\n'
          'backoff = { initial = "1s", max = "30s" }\n'
          'limits = { nofile = 65536, core = 0 }\n'
          'stop_timeout = "30s"\n'
          'log = { format = "stamped", max_size = "20MiB", max_files = 5 }\n'
          'start_timeout = "10m"\n')


def probe(i):
    return f'ready = {{ type = "http", url = "http://127.0.0.1:{10000 + i}/health", interval = "500ms" }}\n'


def needs(i):
    return f'depends_on = ["s{i - 1}"]\n' if i % 10 else ""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def one_file(directory):
    write(f"{directory}/hearth.toml",
          "\n".join(f"[service.s{i}]\n{keys(i)}{SHARED}{probe(i)}{needs(i)}" for i in range(COUNT)))


def shared(directory):
    text = f"[vars]\nMODEL = \"large\"\n\n[defaults]\n{SHARED}\n[template.t]\nnice = 5\n\n"
    text += "\n".join(f'[service.s{i}]\ntemplate = "t"\n{keys(i)}{probe(i)}{needs(i)}' for i in range(COUNT))
    write(f"{directory}/hearth.toml", text)


def many_files(directory):
    write(f"{directory}/hearth.toml", f'include = ["parts/*.toml"]\n[defaults]\n{SHARED}')
    for part in range(100):
        write(f"{directory}/parts/{part:03}.toml",
              "\n".join(f"[service.s{i}]\n{keys(i)}{probe(i)}{needs(i)}" for i in range(part * 10, part * 10 + 10)))
    write(f"{directory}/hearth.d/local.toml", "\n".join(f"[service.s{i}]\nnice = {i % 10}" for i in range(COUNT)))


def took(command, directory):
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    elapsed = (time.perf_counter() - begin) * 1000
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} failed: {done.stdout}{done.stderr}")
    return elapsed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; figures are rough")
    args = parser.parse_args()
    hearth = os.path.abspath(args.bin) + "/hearth"
    report = Report(args.json)
    shapes = {"one file": one_file, "shared": shared, "many files": many_files}
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as home:
        for name, make in shapes.items():
            make(f"{home}/{name}")
        times = {name: [] for name in shapes}
        bare = []
        for _ in range(5 if args.quick else 31):
            for name in shapes:
                place = f"{home}/{name}"
                times[name].append(took([hearth, "--dir", f"{home}/i", "config", "validate"], place))
            bare.append(took([hearth, "--dir", f"{home}/i", "help"], home))
        for name, values in times.items():
            report.row(f"validate {COUNT}, {name}", values, "ms", limit=bare, absolute=100)


if __name__ == "__main__":
    main()
