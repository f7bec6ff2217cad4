#!/usr/bin/python3
"""bench supervise: hearth beside supervisord, s6, runit and pm2, doing the same in one run.

Each supervises the same programs, told to restart without a pause; what cannot is marked. With --json one object a
line (peer, name, value, unit, min, max); else one table. Medians over rounds that go through all peers in turn.

  start     from the launch of the supervisor until the last of the services has begun
  restart   kill -9 of a service until its successor has begun, all others up
  status    the command that shows all services
  stop      from the request until no service and no supervisor is left
  memory    PSS of the supervisor's own processes
  idle      CPU of the same in IDLE seconds, and context switches
"""
import argparse
import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from harness import Fifo, activity, mono, pss_kib
from peers import PEERS

MEASURES = (("start", "ms"), ("restart p50", "ms"), ("restart p99", "ms"), ("status", "ms"), ("stop", "ms"),
            ("memory", "MiB"), ("idle CPU", "ms"), ("idle switches", ""))


def parents():
    """PID to parent of every process that is no zombie."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(entry)] = int(fields[1])
    return found


def own_processes(root, services):
    """The supervisor and what descends from it, without services."""
    tree, own, queue = parents(), [], [root]
    while queue:
        pid = queue.pop()
        if pid not in tree or pid in services:
            continue
        own.append(pid)
        queue += [child for child, parent in tree.items() if parent == pid]
    return own


def measure(kind, count, bin_dir, kills, idle_s):
    directory = tempfile.mkdtemp(prefix="hb.", dir="/dev/shm")
    fifo = Fifo(f"{directory}/stamps")
    peer = kind(count, directory, fifo.path, bin_dir)
    peer.prepare()
    result = {}
    begin = mono()
    peer.start()
    services, last = {}, begin
    while len(services) < count:
        number, pid, when = fifo.get(120)
        services[number] = pid
        last = max(last, when)
    result["start"] = (last - begin) / 1e6
    time.sleep(1.5)  # runit and s6 count who ran less than a second as failing
    times = []
    for i in range(kills):
        victim = i * 7 % count
        begin = mono()
        os.kill(services[victim], signal.SIGKILL)
        number, services[number], when = fifo.get(120)
        times.append((when - begin) / 1e6)
    times.sort()
    result["restart p50"] = statistics.median(times)
    result["restart p99"] = times[int(len(times) * 0.99)]
    times = []
    for _ in range(5):
        begin = mono()
        subprocess.run(peer.status(), env=peer.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
        times.append((mono() - begin) / 1e6)
    result["status"] = statistics.median(times)
    own = own_processes(peer.root(), set(services.values()))
    result["memory"] = pss_kib(own) / 1024
    time.sleep(0.5)
    cpu, switches = activity(own)
    time.sleep(idle_s)
    cpu_after, switches_after = activity(own)
    result["idle CPU"] = (cpu_after - cpu) / 1e6
    result["idle switches"] = switches_after - switches
    ends = [os.pidfd_open(pid) for pid in [*services.values(), peer.root()]]
    begin = mono()
    peer.stop()
    for end in ends:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        if not poll.poll(60_000):
            print(f"bench: {kind.name} left something behind", file=sys.stderr)
        os.close(end)
    result["stop"] = (mono() - begin) / 1e6
    for pid in services.values():  # what a supervisor has left is not the next one's load
        try:
            if b"bench-svc" in open(f"/proc/{pid}/cmdline", "rb").read():
                os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    peer.ended()
    fifo.close()
    shutil.rmtree(directory, ignore_errors=True)
    return result


def show(kinds, results, count, as_json):
    if as_json:
        for kind in kinds:
            for name, unit in MEASURES:
                values = [r[name] for r in results[kind.name]]
                print(json.dumps({"peer": kind.name, "services": count, "name": name, "unit": unit,
                                  "value": round(statistics.median(values), 3), "min": round(min(values), 3),
                                  "max": round(max(values), 3), "rounds": len(values)}))
        return
    print(f"\n{count} services" + "".join(f"{k.name:>14}" for k in kinds))
    for name, unit in MEASURES:
        row = f"{name + (' ' + unit if unit else ''):<{len(str(count)) + 9}}"
        for kind in kinds:
            values = [r[name] for r in results[kind.name]]
            row += f"{statistics.median(values):>14.2f}"
        print(row)
    for kind in kinds:
        if kind.pause != "none":
            print(f"{kind.name}: pauses before a restart: {kind.pause}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="two rounds, fewer kills; figures are rough")
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--only", default="", help="comma-separated names of peers")
    args = parser.parse_args()
    kinds = [k for k in PEERS if not args.only or k.name in args.only.split(",")]
    for kind in kinds:
        if kind.missing():
            print(f"bench: {kind.name} is not here ({kind.missing()}); its column is left out", file=sys.stderr)
    kinds = [k for k in kinds if not k.missing()]
    results = {kind.name: [] for kind in kinds}
    rounds = 2 if args.quick else 9
    for turn in range(rounds):
        for kind in kinds:
            slow = kind.pause != "none"
            kills = (3 if slow else 20) if args.quick else (5 if slow else 50)
            if sys.stderr.isatty():
                print(f"round {turn + 1} of {rounds}: {kind.name}        ", end="\r", file=sys.stderr, flush=True)
            results[kind.name].append(measure(kind, args.services, os.path.abspath(args.bin), kills,
                                              3 if args.quick else 10))
    show(kinds, results, args.services, args.json)


if __name__ == "__main__":
    main()
