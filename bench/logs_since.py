#!/usr/bin/env python3
"""How fast `hearth logs --since` finds a time in a log of 10 GB: one file of lines of 100 bytes, a thousand a second,
with the time index that the logger writes for it (a record each 10 ms). The file is sparse where nobody looks: what is
read must not depend on the rest. Beside it, as the limit, a bare `tail -c` from the same place, and what a search
without an index would read at best.

    bench/logs_since.py --bin DIR [--json] [--quick] [--dir DIR]
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import tempfile
import time

LINE = 100
LINES_PER_S = 1000
MAGIC = 0x31495448
BUDGET_MS = 50


def write_log(directory, size):
    """Returns when the last line came (seconds), and how many seconds the log covers."""
    stream = os.path.join(directory, "logs", "bench.big.0")
    os.makedirs(stream)
    seconds = size // (LINE * LINES_PER_S)
    begin = int(time.time()) - seconds
    with open(os.path.join(stream, "00000001.log"), "wb") as log:
        log.truncate(seconds * LINE * LINES_PER_S)
        # The places that are asked for: the last two minutes, and two seconds in the middle.
        for first, last in ((seconds - 120, seconds), (seconds // 2, seconds // 2 + 2)):
            log.seek(first * LINES_PER_S * LINE)
            for second in range(first, last):
                text = f"second {second:>9} "
                log.write(b"".join(f"{text}{i:>4} ".ljust(LINE - 1, "x").encode() + b"\n" for i in range(LINES_PER_S)))
    with open(os.path.join(stream, "00000001.idx"), "wb") as index:
        index.write(struct.pack("<IIQ", MAGIC, 1, 1))
        step = LINES_PER_S // 100 * LINE
        for second in range(seconds):
            base = second * LINES_PER_S * LINE
            wall = (begin + second) * 10**9
            index.write(b"".join(struct.pack("<qQ", wall + i * 10**7, base + i * step) for i in range(100)))
    return begin, seconds


def timed(command, lines):
    """Milliseconds, and the lines that were written."""
    before = time.perf_counter()
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    took = (time.perf_counter() - before) * 1000
    got = out.count(b"\n")
    if abs(got - lines) > LINES_PER_S // 50:
        raise SystemExit(f"bench: {' '.join(command)} wrote {got} lines, not about {lines}")
    return took


def report(as_json, name, values, limit, budget):
    value, least = statistics.median(values), statistics.median(limit)
    ok = value <= budget if budget else None
    if as_json:
        print(json.dumps({"name": name, "value": round(value, 2), "unit": "ms", "limit": round(least, 2),
                          "ratio": round(value / least, 2), "min": round(min(values), 2), "max": round(max(values), 2),
                          "budget": f"<= {budget} ms" if budget else "none", "ok": ok, "rounds": len(values)}))
        return
    verdict = "" if ok is None else "ok" if ok else "MISSED"
    print(f"{name:<58}{value:>9.2f} ms  {min(values):>8.2f}{max(values):>9.2f}  limit {least:>8.2f}  {value / least:>6.2f}"
          f"  {'<= %d ms' % budget if budget else '':<9} {verdict}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--dir", default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="hearth-bench-", dir=options.dir)
    try:
        size = 10 * 10**9
        free = shutil.disk_usage(directory).free
        if options.quick or free < 10**9:
            size //= 10
        begin, seconds = write_log(directory, size)
        hearth = [os.path.join(options.bin, "hearth"), "--dir", directory, "logs"]
        log = os.path.join(directory, "logs", "bench.big.0", "00000001.log")
        what = f"logs of {size / 10**9:.0f} GB"
        middle = begin + seconds // 2
        cases = [
            ("--since, a minute of it", ["--since", f"@{begin + seconds - 60}", "big"], 60 * LINES_PER_S,
             60 * LINES_PER_S * LINE),
            ("--since, the last second", ["--since", f"@{begin + seconds - 1}", "big"], LINES_PER_S, LINES_PER_S * LINE),
            ("--since --until, a second in the middle", ["--since", f"@{middle}", "--until", f"@{middle + 1}", "big"],
             LINES_PER_S, LINES_PER_S * LINE),
            ("-n 20", ["-n", "20", "big"], 20, 20 * LINE),
        ]
        for name, words, lines, size_out in cases:
            ours, limit = [], []
            for _ in range(3 if options.quick else 9):
                limit.append(timed(["tail", "-c", str(size_out), log], lines))
                ours.append(timed(hearth + words, lines))
            report(options.json, f"{what}, {name}", ours, limit, BUDGET_MS)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
