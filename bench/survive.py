"""bench survive: what the death of hearth's own processes, and their upgrade, costs under load.

  takeover   from kill -9 of the supervisor to the answer of its successor, with 10, 100 and 1,000 services up beside the
             load. Budget: 25 ms with 1,000
  upgrade    the same of an upgrade, of supervisor and logger: from the order to the successor's first answer, and from the
             end of the supervisor before (the same budget); to the start of the next logger; `hearth upgrade` as a whole,
             which tries the programs first; and with the keeper, which executes another program before all that
  commit     of one changed slot, and of 60, into the decision page, beside the bare copy of the same bytes
  event      what it costs beside the bare work that one exit and the restart after it are committed, told to keeper and
             spawner, and written to the journal: bench/event.cc
  kills      1,000 kills of keeper, supervisor, logger and spawners: services restarted, exit statuses lost, told twice or
             told wrongly, log lines lost or doubled. Each of them is to be 0. Beside them the exits that are told as
             unknown, because their runs ended while no keeper lived

The load, and who knows the truth about it: load.py.
"""
import argparse
import http.client
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import Hearth, Members, Report, ended, mono, under_an_init
from load import Load

NOBODY_ANSWERS = (OSError, http.client.HTTPException, ValueError)

# Who is killed within 20 ms of its start is started again only when they have passed; and a death comes out of idleness.
APART_S = 0.2


def patience():
    """Asked again and again while nobody answers: ends the bench when that lasts."""
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        yield
    sys.exit("bench: hearth has not answered for 60 s")


def answered(h):
    """When somebody answers, on the monotonic clock."""
    for _ in patience():
        try:
            h.get("/v1/health")
            return mono()
        except NOBODY_ANSWERS:
            continue


def instance(h):
    for _ in patience():
        try:
            return h.get("/v1/instance")
        except NOBODY_ANSWERS:
            continue


def must_end(handle, who):
    if not ended(handle):
        sys.exit(f"bench: {who} has not ended")
    os.close(handle)


def tell(report, what, outcome, keeper_deaths=None):
    if outcome.exits == 0 or outcome.lines == 0:
        sys.exit(f"bench: {what}: nothing was compared")
    report.row(f"{what}: services restarted", [outcome.restarted], "", absolute=0, of=outcome.services)
    report.row(f"{what}: exits lost or wrong", [outcome.exits_wrong], "", absolute=0, of=outcome.exits)
    report.row(f"{what}: lines lost or doubled", [outcome.lines_wrong], "", absolute=0, of=outcome.lines)
    if keeper_deaths is not None:
        report.row(f"{what}: exits unknown after keeper deaths", [outcome.exits_unknown], "", of=outcome.exits)
        report.row(f"{what}: keepers among them", [keeper_deaths], "")


# ---- take-over ------------------------------------------------------------------------------------------------------


def takeover(report, bin_dir, count, kills):
    with Hearth(bin_dir) as h, Load(h, count) as load:
        members = Members(h)
        times = []
        for _ in range(kills):
            time.sleep(APART_S)
            begin = mono()
            os.kill(members.pid("supervisor"), signal.SIGKILL)
            times.append((answered(h) - begin) / 1e6)
        report.row(f"takeover under load, {count} up", times, "ms", absolute=25 if count == 1000 else None)
        tell(report, f"{kills} takeovers, {count} up", load.end())


# ---- upgrade --------------------------------------------------------------------------------------------------------


class Programs:
    """Two copies of hearth's programs, given in turn: as after an installation, each upgrade is to other files than those
    that run. (A keeper that runs that very file would be left alone.)"""

    def __init__(self, bin_dir):
        self.directory = tempfile.mkdtemp(prefix="hearth-bench.")
        self.given = 0
        for place in ("0", "1"):
            os.mkdir(f"{self.directory}/{place}")
            for role in ("supervisor", "logger", "keeper"):
                shutil.copy2(f"{bin_dir}/hearth-{role}", f"{self.directory}/{place}")

    def next(self):
        self.given += 1
        return f"{self.directory}/{self.given % 2}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)


def upgrade_once(h, members, directory, roles):
    """Milliseconds: from the order to the successor's first answer, from the end of the supervisor before to that answer,
    from the order to the start of the next logger."""
    order = {"verb": "upgrade", "programs": {role: f"{directory}/hearth-{role}" for role in roles}}
    key = secrets.token_hex(16)
    before = {role: members.pid(role) for role in ("supervisor", "logger")}
    handles = {role: os.pidfd_open(pid) for role, pid in before.items()}
    begin = mono()
    connection = h.begin_order(order, key)
    # The answer is not read before the end is seen: that would be seen late.
    if not ended(handles["supervisor"]):
        h.end_order(connection)
        sys.exit("bench: the supervisor of before has not ended")
    end = mono()
    os.close(handles["supervisor"])
    first_answer = answered(h)
    must_end(handles["logger"], "the logger of before")
    for _ in patience():
        if members.pid("logger") not in (0, before["logger"]):
            break
    logger = mono()
    see_it_taken(h, connection, order, key)
    return [(first_answer - begin) / 1e6, (first_answer - end) / 1e6, (logger - begin) / 1e6]


def see_it_taken(h, connection, order, key):
    """Whose connection broke asks again with the same key, as every client does."""
    for _ in patience():
        try:
            return h.end_order(connection)
        except NOBODY_ANSWERS:
            connection = h.begin_order(order, key)


def upgrades(report, h, programs, name, rounds, roles):
    """Rows of so many upgrades, each of which must have been carried out, and not taken back."""
    members = Members(h)
    before = instance(h)
    times = []
    for _ in range(rounds):
        time.sleep(APART_S)
        times.append(upgrade_once(h, members, programs.next(), roles))
    after = instance(h)
    for part, counted in (("supervisor", "upgrades"), ("keeper", "execs")):
        wanted = rounds if part in roles else 0
        if after[part][counted] - before[part][counted] != wanted or after["supervisor"]["returns"] != 0:
            sys.exit(f"bench: {name}: {wanted} {counted} of the {part} were ordered, and it says {after}")
    of_order, of_end, of_logger = zip(*times)
    budget = 25 if name.endswith(", 1000 up") else None
    report.row(f"{name}: order to answer", of_order, "ms")
    report.row(f"{name}: end to answer", of_end, "ms", absolute=budget)
    report.row(f"{name}: order to next logger", of_logger, "ms")


def command(report, h, programs, name, rounds):
    """`hearth upgrade` as its user sees it."""
    times = []
    for _ in range(rounds):
        time.sleep(APART_S)
        begin = mono()
        h.cli("upgrade", "--from", programs.next())
        times.append((mono() - begin) / 1e6)
    report.row(f"{name}: the command, with its trials", times, "ms")


def upgrade(report, bin_dir, count, rounds, with_keeper):
    few = max(1, rounds // 3)
    both = ("supervisor", "logger")
    with Hearth(bin_dir) as h, Programs(bin_dir) as programs, Load(h, count) as load:
        upgrades(report, h, programs, f"upgrade, {count} up", rounds, both)
        command(report, h, programs, f"upgrade, {count} up", few)
        if with_keeper:
            upgrades(report, h, programs, f"upgrade --keeper, {count} up", few, (*both, "keeper"))
        tell(report, f"{programs.given} upgrades, {count} up", load.end())


# ---- kills ----------------------------------------------------------------------------------------------------------


def victim_of(members, rng):
    """One of hearth's own processes that lives: its role, and a handle of it."""
    role = rng.choice(("keeper", *Members.ROLES))
    for _ in patience():
        pid = members.pid(role)
        try:
            victim = os.pidfd_open(pid) if pid != 0 else None
        except ProcessLookupError:
            continue
        # It may have died of another's death, and wait for being buried.
        if victim is not None and not ended(victim, 0):
            return role, victim


def kill_one(h, members, rng):
    """Kills one of hearth's own processes, at some moment. Of a keeper: when it was killed and when it was succeeded."""
    # Nobody is killed while a supervisor or a keeper is missing: without both, everything would be dead, which is another
    # promise. Who answers has taken over; the last keeper that died was waited for.
    keeper = instance(h)["keeper"]["pid"]
    role, victim = victim_of(members, rng)
    time.sleep(rng.uniform(0, 0.03))
    killed = time.clock_gettime(time.CLOCK_BOOTTIME)
    signal.pidfd_send_signal(victim, signal.SIGKILL)
    must_end(victim, f"the {role} that was killed")
    if role != "keeper":
        return None
    for _ in patience():
        if instance(h)["keeper"]["pid"] != keeper:
            return killed, time.clock_gettime(time.CLOCK_BOOTTIME)


def kills(report, bin_dir, count):
    rng = random.Random(1)
    keeper_deaths = []
    with Hearth(bin_dir) as h, Load(h, 20) as load:
        members = Members(h)
        for _ in range(count):
            if death := kill_one(h, members, rng):
                keeper_deaths.append(death)
            time.sleep(rng.uniform(0, 0.03))
        answered(h)  # the last victim may have been the supervisor
        tell(report, f"{count} kills", load.end(keeper_deaths), len(keeper_deaths))


# ---- commit and event -----------------------------------------------------------------------------------------------


def rounds_of(bin_dir, program, *args):
    """What a program of ours prints: an object for each round."""
    out = subprocess.run([f"{bin_dir}/{program}", *map(str, args)], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def commit(report, bin_dir):
    for slots in (1, 60):
        rounds = rounds_of(bin_dir, "bench-commit", slots)
        report.row(f"commit of {slots} slots, per slot", [r["commit_ns"] for r in rounds], "ns",
                   [r["bare_ns"] for r in rounds])


def event(report, bin_dir):
    rounds = rounds_of(bin_dir, "bench-event")
    parts = ("commit", "outbox", "journal")
    for name, which in (*((part, (part,)) for part in parts), ("all", parts)):
        report.row(f"{name} of an exit and its restart", [sum(r[f"{part}_ns"] for part in which) / 1e3 for r in rounds],
                   "us", [sum(r[f"bare_{part}_ns"] for part in which) / 1e3 for r in rounds])
    report.row("of the outbox: the plan is made", [r["plan_ns"] / 1e3 for r in rounds], "us")


def numbers(text):
    return [int(word) for word in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; figures are rough")
    parser.add_argument("--only", default="", help="comma-separated: takeover,upgrade,commit,event,kills")
    parser.add_argument("--services", type=numbers, default=[10, 100, 1000], help="up beside the load (10,100,1000)")
    parser.add_argument("--rounds", type=int, help="of take-overs and upgrades (15)")
    parser.add_argument("--kills", type=int, help="(1000)")
    args = parser.parse_args()
    bin_dir = os.path.abspath(args.bin)
    only = set(filter(None, args.only.split(",")))
    rounds = args.rounds or (5 if args.quick else 15)

    def wanted(name):
        return not only or name in only

    under_an_init()
    report = Report(args.json)
    for count in args.services if wanted("takeover") else ():
        takeover(report, bin_dir, count, rounds)
    for count in args.services if wanted("upgrade") else ():
        upgrade(report, bin_dir, count, rounds, with_keeper=count == max(args.services))
    if wanted("commit"):
        commit(report, bin_dir)
    if wanted("event"):
        event(report, bin_dir)
    if wanted("kills"):
        kills(report, bin_dir, args.kills or (100 if args.quick else 1000))


if __name__ == "__main__":
    main()
