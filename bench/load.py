"""The load of `bench survive`, and the truth about it that services keep themselves: how many lines they wrote, and run,
code and time (/proc/uptime) before each exit. Four programs write numbered lines, four end all the time, each with another exit
code, one client asks for the status and one follows the events."""
import collections
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time

# It is ready when it can be stopped: who is stopped before writes no truth.
WRITER = """import os, signal, socket, sys, time
going = True
def end(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, end)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
count = 0
while going:
    os.write(1, b"line %d\\n" % count)
    count += 1
    time.sleep(0.001)
uptime = open("/proc/uptime").read().split()[0]
open(sys.argv[1], "w").write(f"{count} {os.environ['HEARTH_RUN']} {uptime}")
"""

# One code per run, written down before it is used.
EXITER = ('read now idle < /proc/uptime; code=$(( ($$ * 7 + HEARTH_RUN) % 200 + 1 )); '
          'echo "$HEARTH_RUN $code $now" >> "$0"; exit $code')
PAIRS = 4

# PIDFD_GET_INFO tells how a run has ended that was adopted from a dead keeper.
KERNEL_TELLS = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) >= (6, 15)

# From a run's last word to the moment at which its keeper knows how it ended.
END_SLACK_S = 0.25

Outcome = collections.namedtuple("Outcome", "services restarted exits exits_wrong exits_unknown lines lines_wrong")


class Load:
    """The load on an instance, for the time of a `with`, and afterwards what has become of it."""

    def __init__(self, h, count):
        self.h = h
        self.truth = f"{h.dir}/truth"
        os.makedirs(self.truth)
        with open(f"{h.dir}/writer.py", "w") as f:
            f.write(WRITER)
        self.write(count)
        h.cli("up", "-f", f"{h.dir}/p/hearth.toml", "--no-wait")
        h.cli("wait", "s*", "w*", "--timeout", "60s")
        self.events = open(f"{h.dir}/events", "w+")
        self.follower = subprocess.Popen([f"{h.bin}/hearth", "--dir", h.instance, "events", "-f", "-n", "all", "--json"],
                                         stdout=self.events, stderr=subprocess.DEVNULL)
        self.before = self.pids()
        self.asking = True
        self.asker = threading.Thread(target=self.ask)
        self.asker.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.asking = False
        self.asker.join()
        self.follower.kill()
        self.follower.wait()
        self.events.close()

    def write(self, count):
        self.h.write(count)
        with open(f"{self.h.dir}/p/hearth.toml", "a") as f:
            for i in range(PAIRS):
                f.write(f'[service.w{i}]\n'
                        f'command = ["{sys.executable}", "{self.h.dir}/writer.py", "{self.truth}/w{i}"]\n'
                        'ready = "notify"\n'
                        'log = { max_size = "1MiB", max_files = 100, compress = false }\n'
                        f'[service.e{i}]\ncommand = ["/bin/sh", "-c", \'{EXITER}\', "{self.truth}/e{i}"]\n'
                        'restart = "always"\nbackoff = { initial = "50ms", max = "50ms", jitter = 0 }\n'
                        'max_restarts = 0\n')

    def pids(self):
        """PIDs of all that are not meant to end."""
        return {s["name"]: s["pid"] for s in self.h.status()["services"] if not re.search(r"\be\d+", s["name"])}

    def ask(self):
        while self.asking:
            try:
                self.h.get("/v1/instance")
            except (OSError, http.client.HTTPException, ValueError):
                pass
            time.sleep(0.01)  # how often it asks

    def end(self, keeper_deaths=()):
        """Stops it, and compares. `keeper_deaths`: (killed, succeeded by one that has everything), CLOCK_BOOTTIME."""
        after = self.pids()
        restarted = sum(self.before[n] != after.get(n) for n in self.before)
        self.h.cli("stop", *(f"e{i}" for i in range(PAIRS)), *(f"w{i}" for i in range(PAIRS)))
        self.follow_to_the_end()
        return Outcome(len(self.before), restarted, *self.exits(keeper_deaths), *self.lines())

    def follow_to_the_end(self):
        newest = json.loads(self.h.cli("events", "-n", "1", "--json").stdout.splitlines()[-1])["id"]
        deadline = time.monotonic() + 60
        last = 0
        while last < newest and time.monotonic() < deadline:
            time.sleep(0.05)  # a file tells nobody that it has grown
            last = max((event["id"] for event in self.told()), default=0)

    def told(self):
        """The events that the follower has written, whole lines only."""
        self.events.seek(0)
        return [json.loads(line) for line in self.events if line.endswith("\n")]

    def exits(self, keeper_deaths):
        """(compared, lost or told twice or wrongly, said to be unknown of runs that ended while no keeper lived)"""
        told = collections.defaultdict(list)
        for event in self.told():
            if event["kind"] == "exit":
                told[event["run"]].append(event["exit"])
        compared = wrong = unknown = 0
        for run, code, end in self.true_exits():
            compared += 1
            if told[run] == [{"known": False}]:
                hidden = is_hidden(end, keeper_deaths)
                unknown += hidden
                wrong += not hidden
            # The stop at the end may have come between the word and the exit.
            elif told[run] != [{"code": code}] and [exit.get("signal") for exit in told[run]] != [15]:
                wrong += 1
        return compared, wrong, unknown

    def true_exits(self):
        """(run, code, end). The writers' are of runs that were adopted by each keeper."""
        for i in range(PAIRS):
            with open(f"{self.truth}/e{i}") as f:
                for line in f:
                    run, code, end = line.split()
                    yield int(run), int(code), float(end)
            _, run, end = self.written(i)
            yield int(run), 0, float(end)

    def written(self, i):
        """What a writer says of itself: lines, run, end."""
        with open(f"{self.truth}/w{i}") as f:
            return f.read().split()

    def lines(self):
        """(compared, lost or doubled)"""
        compared = wrong = 0
        for i in range(PAIRS):
            count = int(self.written(i)[0])
            kept = self.h.cli("logs", f"w{i}", "-n", "all").stdout.splitlines()
            numbers = collections.Counter(line.rsplit("line ", 1)[-1] for line in kept)
            wrong += sum(abs(numbers.pop(str(n), 0) - 1) for n in range(count)) + sum(numbers.values())
            compared += count
        return compared, wrong


def is_hidden(end, keeper_deaths):
    """Can nobody tell how a run ended, because no keeper lived then?"""
    return any(killed - END_SLACK_S <= end and (end <= succeeded or not KERNEL_TELLS)
               for killed, succeeded in keeper_deaths)
