"""bench survive: what the death of hearth's own processes costs, under load.

  takeover   from kill -9 of the supervisor to the answer of its successor, with 10, 100 and 1,000 services up beside the
             load. Budget: 25 ms with 1,000
  commit     of one changed slot, and of 60, into the decision page, beside the bare copy of the same bytes
  kills      1,000 kills of supervisor, logger and spawners: services restarted, exit statuses lost, told twice or told
             wrongly, log lines lost or doubled. Each of them is to be 0

The load: four programs that write numbered lines, four that end all the time, each with another exit code, one client
that asks for the status and one that follows the events. The services keep the truth themselves: how many lines they
wrote, and run and code before each exit.
"""
import argparse
import collections
import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

from harness import Hearth, Report, mono, own_pids

WRITER = """import os, signal, sys, time
going = True
def end(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, end)
count = 0
while going:
    os.write(1, b"line %d\\n" % count)
    count += 1
    time.sleep(0.001)
open(sys.argv[1], "w").write(str(count))
"""

# One code per run, written down before it is used.
EXITER = 'code=$(( ($$ * 7 + HEARTH_RUN) % 200 + 1 )); echo "$HEARTH_RUN $code" >> "$0"; exit $code'
PAIRS = 4


class Load:
    """The load on an instance, and afterwards what has become of it."""

    def __init__(self, h, count):
        self.h = h
        self.truth = f"{h.dir}/truth"
        os.makedirs(self.truth)
        with open(f"{h.dir}/writer.py", "w") as f:
            f.write(WRITER)
        h.write(count)
        with open(f"{h.dir}/p/hearth.toml", "a") as f:
            for i in range(PAIRS):
                f.write(f'[service.w{i}]\ncommand = ["{sys.executable}", "{h.dir}/writer.py", "{self.truth}/w{i}"]\n'
                        'log = { max_size = "1MiB", max_files = 100, compress = false }\n'
                        f'[service.e{i}]\ncommand = ["/bin/sh", "-c", \'{EXITER}\', "{self.truth}/e{i}"]\n'
                        'restart = "always"\nbackoff = { initial = "50ms", max = "50ms", jitter = 0 }\n'
                        'max_restarts = 0\n')
        h.cli("up", "-f", f"{h.dir}/p/hearth.toml", "--no-wait")
        h.cli("wait", "s0", "w0", "--timeout", "30s")
        self.events = open(f"{h.dir}/events", "w+")
        self.follower = subprocess.Popen([f"{h.bin}/hearth", "--dir", h.instance, "events", "-f", "-n", "all", "--json"],
                                         stdout=self.events, stderr=subprocess.DEVNULL)
        self.before = self.pids()
        self.asking = True
        self.asker = threading.Thread(target=self.ask)
        self.asker.start()

    def pids(self):
        """PIDs of all that are not meant to end."""
        return {s["name"]: s["pid"] for s in self.h.status()["services"] if not re.search(r"\be\d+", s["name"])}

    def ask(self):
        while self.asking:
            try:
                self.h.get("/v1/instance")
            except (OSError, http.client.HTTPException, ValueError):
                pass
            time.sleep(0.01)

    def end(self):
        """Stops it: (restarted, exits compared, exits wrong, lines compared, lines wrong)."""
        self.asking = False
        self.asker.join()
        after = self.pids()
        restarted = sum(self.before[n] != after.get(n) for n in self.before)
        self.h.cli("stop", *(f"e{i}" for i in range(PAIRS)), *(f"w{i}" for i in range(PAIRS)))
        newest = self.newest_event()
        deadline = time.monotonic() + 20
        while self.followed() < newest and time.monotonic() < deadline:
            time.sleep(0.1)
        self.follower.terminate()
        self.follower.wait()
        return (restarted, *self.exits(), *self.lines())

    def newest_event(self):
        return json.loads(self.h.cli("events", "-n", "1", "--json").stdout.splitlines()[-1])["id"]

    def followed(self):
        self.events.seek(0)
        last = 0
        for line in self.events:
            if line.endswith("\n"):
                last = json.loads(line)["id"]
        return last

    def exits(self):
        told = collections.defaultdict(list)
        self.events.seek(0)
        for line in self.events:
            event = json.loads(line)
            if event["kind"] == "exit":
                told[event["run"]].append(event["exit"])
        compared = wrong = 0
        for i in range(PAIRS):
            with open(f"{self.truth}/e{i}") as f:
                for run, code in (map(int, line.split()) for line in f):
                    exits = told[run]
                    compared += 1
                    # The stop at the end may have come between the word and the exit.
                    if exits != [{"code": code}] and [e.get("signal") for e in exits] != [15]:
                        wrong += 1
        return compared, wrong

    def lines(self):
        compared = wrong = 0
        for i in range(PAIRS):
            with open(f"{self.truth}/w{i}") as f:
                count = int(f.read())
            kept = self.h.cli("logs", f"w{i}", "-n", "all").stdout.splitlines()
            numbers = collections.Counter(line.rsplit("line ", 1)[-1] for line in kept)
            wrong += sum(abs(numbers.pop(str(n), 0) - 1) for n in range(count)) + sum(numbers.values())
            compared += count
        return compared, wrong


def patience():
    """Asked again and again while nobody answers: ends the bench when that lasts."""
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        yield
    sys.exit("bench: hearth has not answered for 30 s")


def answered(h):
    for _ in patience():
        try:
            h.get("/v1/health")
            return mono()
        except (OSError, http.client.HTTPException, ValueError):
            continue


def takeover(report, bin_dir, count, kills):
    h = Hearth(bin_dir)
    load = Load(h, count)
    times = []
    for _ in range(kills):
        time.sleep(0.2)
        old = h.get("/v1/instance")["supervisor"]["pid"]
        begin = mono()
        os.kill(old, 9)
        times.append((answered(h) - begin) / 1e6)
    report.row(f"takeover under load, {count} up", times, "ms", absolute=25 if count == 1000 else None)
    tell(report, f"{kills} takeovers, {count} up", load.end())
    h.close()


def tell(report, what, figures):
    restarted, exits, exits_wrong, lines, lines_wrong = figures
    if exits == 0 or lines == 0:
        sys.exit(f"bench: {what}: nothing was compared")
    report.row(f"restarted by {what}", [restarted], "", absolute=0)
    report.row(f"exits lost or wrong of {exits:,}", [exits_wrong], "", absolute=0)
    report.row(f"lines lost or doubled of {lines:,}", [lines_wrong], "", absolute=0)


def victims(h):
    """hearth's own processes but the keeper: supervisor, logger, spawners."""
    return own_pids(h.status())[1:]


def kills(report, bin_dir, count):
    h = Hearth(bin_dir)
    load = Load(h, 20)
    rng = random.Random(1)
    for _ in range(count):
        for _ in patience():
            try:
                victim = rng.choice(victims(h))
                time.sleep(rng.uniform(0, 0.03))
                os.kill(victim, 9)
                break
            except (OSError, http.client.HTTPException, ValueError):  # one that was killed is not back yet
                continue
        time.sleep(rng.uniform(0, 0.03))
    tell(report, f"{count} kills", load.end())
    h.close()


def commit(report, bin_dir):
    for slots in (1, 60):
        rounds = [json.loads(line) for line in
                  subprocess.run([f"{bin_dir}/bench-commit", str(slots)], check=True, capture_output=True,
                                 text=True).stdout.splitlines()]
        report.row(f"commit of {slots} slots, per slot", [r["commit_ns"] for r in rounds], "ns",
                   [r["bare_ns"] for r in rounds])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; figures are rough")
    parser.add_argument("--only", default="", help="comma-separated: takeover,commit,kills")
    args = parser.parse_args()
    bin_dir = os.path.abspath(args.bin)
    only = set(filter(None, args.only.split(",")))
    report = Report(args.json)
    if not only or "takeover" in only:
        for count in (10, 100, 1000):
            takeover(report, bin_dir, count, 5 if args.quick else 15)
    if not only or "commit" in only:
        commit(report, bin_dir)
    if not only or "kills" in only:
        kills(report, bin_dir, 100 if args.quick else 1000)


if __name__ == "__main__":
    main()
