#!/usr/bin/python3
"""bench core: hearth against the bare limit, in one run, interleaved.

Each row is one JSON object a line with --json (name, value, unit, limit, ratio, min, max, budget, ok), else a table.
Values are medians over rounds. The limits are the frozen programs in bench/limit. Nothing here is a test: it prints,
and people judge; a noisy machine shows in min and max.
"""
import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import time

from harness import Fifo, Hearth, Report, activity, mono, own_pids, pss_kib


def limit(bin_dir, program, *args):
    out = subprocess.run([f"{bin_dir}/bench-{program}", f"{bin_dir}/bench-svc", *map(str, args)], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out)


def scale(report, bin_dir, count, rounds):
    starts, stops, same_start, same_stop, bare_start = [], [], [], [], []
    for turn in range(rounds + 1):
        bare = limit(bin_dir, "limit_scale", count, "vfork")
        same = limit(bin_dir, "limit_scale", count, "same")
        h = Hearth(bin_dir)
        h.write(0 + count)
        h.cli("run", "--name", "warm", "--no-wait", "--", f"{bin_dir}/bench-svc", "0", h.fifo.path)  # the daemon is up
        h.fifo.get()
        begin = mono()
        h.up()
        last = max(h.fifo.get()[2] for _ in range(count))
        end_pids = [s["pid"] for s in h.status()["services"] if s["pid"]]
        stop_begin = mono()
        h.shutdown()
        stop_end = mono()
        if any(os.path.exists(f"/proc/{p}") for p in end_pids):
            print("a service survived the stop", file=sys.stderr)
        h.close()
        if turn == 0:
            continue  # warm-up
        starts.append((last - begin) / 1e6)
        stops.append((stop_end - stop_begin) / 1e6)
        same_start.append(same["start_ms"])
        same_stop.append(same["stop_ms"])
        bare_start.append(bare["start_ms"])
    gate = 1.25 if count == 1000 else None
    report.row(f"start {count}", starts, "ms", same_start, gate)
    report.row(f"start {count} / bare vfork", starts, "ms", bare_start)
    report.row(f"stop {count}", stops, "ms", same_stop, gate)


def memory_and_idle(report, bin_dir, count, idle_s):
    h = Hearth(bin_dir)
    h.write(count)
    h.up()
    for _ in range(count):
        h.fifo.get()
    for _ in range(100):
        h.cli("status", check=False)
    for _ in range(2):
        h.up()
    pids = own_pids(h.status())
    time.sleep(3)  # not a test: let what was started settle before the idle window
    report.row(f"PSS of all our processes, {count} up", [pss_kib(pids) / 1024], "MiB", absolute=8)
    before = activity(pids)
    time.sleep(idle_s)
    after = activity(pids)
    report.row(f"idle {idle_s} s: context switches", [after[1] - before[1]], "", absolute=0)
    report.row(f"idle {idle_s} s: CPU", [(after[0] - before[0]) / 1e6], "ms", absolute=0)
    h.close()


def restarting(bin_dir, count):
    """An instance whose services are up and come back at once, and their PIDs by number."""
    h = Hearth(bin_dir)
    h.write(count, extra='backoff = { initial = "0s", max = "1ms", jitter = 0 }\n', restart="always")
    h.up()
    pids = {}
    for _ in range(count):
        stamp = h.fifo.get()
        pids[stamp[0]] = stamp[1]
    return h, pids


def kill_and_time(h, pids, count, kills, block):
    """Milliseconds from a kill to the successor, of as many kills, sorted; each block begins at another service."""
    times = []
    for i in range(kills):
        victim = (i * 7 + block) % count
        time.sleep(0.01)  # not a test: a crash comes out of idleness, as in limit_restart
        begin = mono()
        os.kill(pids[victim], 9)
        stamp = h.fifo.get()
        pids[stamp[0]] = stamp[1]
        times.append((stamp[2] - begin) / 1e6)
    return sorted(times)


def restart(report, bin_dir, count, kills):
    h, pids = restarting(bin_dir, count)
    p50, p99, base50, base99, bare50, bare99, relay50 = [], [], [], [], [], [], []
    for block in range(5):
        base = limit(bin_dir, "limit_restart", kills // 5, "same")
        bare = limit(bin_dir, "limit_restart", kills // 5)
        relay50.append(limit(bin_dir, "limit_restart", kills // 5, "relay")["p50_ms"])
        times = kill_and_time(h, pids, count, kills // 5, block)
        p50.append(statistics.median(times))
        p99.append(times[int(len(times) * 0.99)])
        base50.append(base["p50_ms"])
        base99.append(base["p99_ms"])
        bare50.append(bare["p50_ms"])
        bare99.append(bare["p99_ms"])
    report.row(f"kill to successor p50, {count} up", p50, "ms", base50, 1.25)
    report.row(f"kill to successor p99, {count} up", p99, "ms", base99, 1.25)
    report.row("kill to successor p50 / three processes", p50, "ms", relay50)
    report.row("kill to successor p50 / bare vfork", p50, "ms", bare50)
    report.row("kill to successor p99 / bare vfork", p99, "ms", bare99)
    h.close()


def flood(report, bin_dir, count, kills):
    """Others' restarts while one service writes as fast as it can: with lines, with blocks; beside quiet times, and
    beside the same writer and `cat > file` outside of hearth, which is what a flood costs any machine."""
    h, pids = restarting(bin_dir, count)
    writer = [f"{bin_dir}/bench-log_capture", "--write"]
    forever, at_once = str(100 << 40), "/dev/zero"
    kinds = {"quiet": None, "lines": writer + ["100", forever, at_once], "blocks": writer + ["65500", forever, at_once]}
    p50, p99 = {}, {}
    blocks = 5
    for block in range(blocks):
        for kind in ("quiet", "lines", "blocks", "lines outside", "blocks outside"):
            name, _, outside = kind.partition(" ")
            command, process = kinds[name], None
            if outside:
                process = subprocess.Popen([f'{" ".join(command)} | while head -c 104857600 > {h.dir}/outside; do :; done'], shell=True,
                                           start_new_session=True)
            elif command:
                h.cli("run", "--name", f"flood{block}{name}", "--no-wait", "--", *command)
            time.sleep(0.2)
            times = kill_and_time(h, pids, count, kills // blocks, block)
            if process:
                os.killpg(process.pid, 9)
                process.wait()
                os.unlink(f"{h.dir}/outside")
            elif command:
                h.cli("down", f"flood{block}{name}")
            p50.setdefault(kind, []).append(statistics.median(times))
            p99.setdefault(kind, []).append(times[int(len(times) * 0.99)])
    for kind in ("lines", "blocks"):
        report.row(f"restart p50, flood of {kind} / quiet", p50[kind], "ms", p50["quiet"])
        report.row(f"restart p99, flood of {kind} / quiet", p99[kind], "ms", p99["quiet"], 2.0)
        report.row(f"restart p50, {kind} to cat outside", p50[kind + " outside"], "ms", p50["quiet"])
        report.row(f"restart p99, {kind} to cat outside", p99[kind + " outside"], "ms", p99["quiet"])
    h.close()


def crash_loop(report, bin_dir, rounds):
    h = Hearth(bin_dir)
    h.write(1, extra='backoff = { initial = "0s", max = "1ms", jitter = 0 }\n', args=', "loop"', restart="always")
    base = limit(bin_dir, "limit_restart", rounds, "same", "loop")
    bare = limit(bin_dir, "limit_restart", rounds, "loop")
    h.up()
    times, last = [], h.fifo.get()
    for _ in range(rounds):
        stamp = h.fifo.get()
        times.append((stamp[2] - last[2]) / 1e6)
        last = stamp
    h.close()
    report.row("crash loop, delay 0, p50", [statistics.median(times)], "ms", [base["p50_ms"]])
    report.row("crash loop, delay 0, p50 / bare vfork", [statistics.median(times)], "ms", [bare["p50_ms"]])


def status_of(report, bin_dir, count, runs):
    h = Hearth(bin_dir)
    h.write(count)
    h.up(wait=True)
    ours, true = [], []
    for _ in range(runs):
        for command, times in ((["/bin/true"], true), ([f"{bin_dir}/hearth", "--dir", h.instance, "status"], ours)):
            begin = mono()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
            times.append((mono() - begin) / 1e6)
    report.row(f"status of {count}", ours, "ms", true, 2.4)
    h.close()


def takeover(report, bin_dir, count, kills):
    h = Hearth(bin_dir)
    h.write(count)
    h.up(wait=True)
    before = {s["name"]: s["pid"] for s in h.status()["services"]}
    times = []
    # Who answers has taken over. The question is a small one: the status of 1,000 services takes 22 ms, most of it here,
    # where it is parsed. And who is killed within 20 ms of its start is started again only when they have passed.
    for _ in range(kills):
        time.sleep(0.1)
        old = h.get("/v1/instance")["supervisor"]["pid"]
        begin = mono()
        os.kill(old, 9)
        while True:
            try:
                h.get("/v1/health")
                break
            except (OSError, http.client.HTTPException, ValueError):
                continue
        times.append((mono() - begin) / 1e6)
        assert h.get("/v1/instance")["supervisor"]["pid"] != old
    after = {s["name"]: s["pid"] for s in h.status()["services"]}
    report.row(f"takeover, {count} up", times, "ms", absolute=25 if count == 1000 else None)
    report.row(f"restarted by {kills} takeovers, {count} up", [sum(before[n] != after[n] for n in before)], "", absolute=0)
    h.close()


def parked(report, bin_dir, kills):
    """Spawn with 3,000 parked descriptors against none."""
    store = ("import array,os,socket,time\n"
             "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])\n"
             "for i in range(188):\n"
             "    f=os.memfd_create(str(i)); s.sendmsg([b'FDSTORE=1\\nFDNAME=n'],"
             "[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[f]))]); os.close(f)\n"
             "s.send(b'READY=1')\n"
             "time.sleep(100000)\n")
    results = {}
    for name in ("none", "3000"):
        h = Hearth(bin_dir)
        h.write(1, extra='backoff = { initial = "0s", max = "1ms", jitter = 0 }\n', restart="always")
        if name == "3000":
            with open(f"{h.dir}/store.py", "w") as f:
                f.write(store)
            with open(f"{h.dir}/p/hearth.toml", "a") as f:
                for i in range(16):  # a service may store 200 at most
                    f.write(f'[service.store{i}]\ncommand = ["python3", "{h.dir}/store.py"]\nready = "notify"\n'
                            'fdstore_max = 190\n')
        h.up(wait=True)
        pid, times = h.fifo.get()[1], []
        for _ in range(kills):
            time.sleep(0.01)
            begin = mono()
            os.kill(pid, 9)
            stamp = h.fifo.get()
            pid = stamp[1]
            times.append((stamp[2] - begin) / 1e6)
        results[name] = times
        h.close()
    report.row("restart, 3,000 parked / none", results["3000"], "ms", results["none"], 1.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; figures are rough")
    parser.add_argument("--only", default="", help="comma-separated: scale,memory,restart,flood,loop,status,takeover,parked")
    args = parser.parse_args()
    bin_dir = os.path.abspath(args.bin)
    only = set(filter(None, args.only.split(",")))
    report = Report(args.json)

    def wanted(name):
        return not only or name in only

    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"bench: the machine is busy (load {load:.2f}); figures will be noisy", file=sys.stderr)
    if wanted("scale"):
        for count in (10, 100, 1000):
            scale(report, bin_dir, count, 3 if args.quick else 9)
    if wanted("restart"):
        restart(report, bin_dir, 1000, 100 if args.quick else 500)
    if wanted("flood"):
        flood(report, bin_dir, 100, 100 if args.quick else 500)
    if wanted("loop"):
        crash_loop(report, bin_dir, 200)
    if wanted("status"):
        status_of(report, bin_dir, 100, 30 if args.quick else 200)
    if wanted("takeover"):
        for count in (10, 100, 1000):
            takeover(report, bin_dir, count, 5 if args.quick else 15)
    if wanted("parked"):
        parked(report, bin_dir, 50 if args.quick else 200)
    if wanted("memory"):
        memory_and_idle(report, bin_dir, 1000, 10 if args.quick else 120)


if __name__ == "__main__":
    main()
