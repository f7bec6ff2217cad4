#!/usr/bin/env python3
"""A small run of `bench survive`: every row is there, what is to be 0 is 0, and what is compared is compared. No time is
looked at. And the comparison itself: what is lost, doubled or wrong must be counted.

usage: survive_test.py BIN
"""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[3] / "bench"
sys.path.insert(0, str(BENCH))

from load import PAIRS, Load  # noqa: E402


def rows_of(*options):
    out = subprocess.run([sys.executable, BENCH / "survive.py", "--bin", BIN, "--json", "--services", "3", "--rounds", "2",
                          "--kills", "20", *options], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {row["name"]: row for row in map(json.loads, out.splitlines())}


class SmallRun(unittest.TestCase):
    def zero(self, rows, *names):
        for name in names:
            found = [row for row in rows.values() if row["name"].startswith(name)]
            self.assertEqual(len(found), 1, (name, list(rows)))
            self.assertEqual(found[0]["value"], 0, found[0])

    def test_of_takeovers_has_its_rows_and_nothing_is_lost(self):
        rows = rows_of("--only", "takeover")
        self.assertEqual(rows["takeover under load, 3 up"]["rounds"], 2)
        self.zero(rows, "restarted by 2 takeovers", "exits lost or wrong", "lines lost or doubled")

    def test_of_upgrades_has_its_rows_and_nothing_is_lost(self):
        rows = rows_of("--only", "upgrade")
        for name, rounds in ("upgrade, 3 up", 2), ("upgrade --keeper, 3 up", 1):
            for part in "order to answer", "end to answer", "order to next logger":
                self.assertEqual(rows[f"{name}: {part}"]["rounds"], rounds)
            self.assertGreater(rows[f"{name}: order to answer"]["value"], rows[f"{name}: end to answer"]["value"])
        self.assertEqual(rows["upgrade, 3 up: the command, with its trials"]["rounds"], 1)
        self.zero(rows, "restarted by 4 upgrades", "exits lost or wrong", "lines lost or doubled")

    def test_of_kills_has_the_keeper_among_the_victims_and_nothing_is_lost(self):
        rows = rows_of("--only", "kills")
        self.zero(rows, "restarted by 20 kills", "exits lost or wrong", "lines lost or doubled")
        unknown = [name for name in rows if name.startswith("exits unknown after")]
        self.assertEqual(len(unknown), 1, list(rows))
        self.assertGreater(int(unknown[0].split()[3]), 0, unknown)


class Told(Load):
    """A load of which only the words are left."""

    def __init__(self, place, truth, events):  # without the instance
        self.truth = place
        for i in range(PAIRS):
            pathlib.Path(place, f"e{i}").write_text("".join(f"{run} {code}\n" for run, code in truth) if i == 0 else "")
        self.events = open(os.path.join(place, "events"), "w+")
        self.events.writelines(json.dumps(event) + "\n" for event in events)


def at(second, kind, run, **more):
    return {"id": run, "time": f"2026-01-01T00:00:{second:02}.000Z", "kind": kind, "run": run, **more}


NEW_YEAR = 1767225600
Counts = collections.namedtuple("Counts", "compared wrong unknown")


class Exits(unittest.TestCase):
    """What is counted of one run that ended with code 7."""

    def counts(self, *exits, keeper_deaths=()):
        with tempfile.TemporaryDirectory() as place:
            told = Told(place, [(1, 7)], [at(10, "run", 1), *(at(11, "exit", 1, exit=exit) for exit in exits)])
            with told.events:
                return Counts(*told.exits([NEW_YEAR + second for second in keeper_deaths]))

    def test_that_are_true_are_right(self):
        self.assertEqual(self.counts({"code": 7}), Counts(1, 0, 0))

    def test_that_are_lost_doubled_or_others_are_wrong(self):
        for exits in (), ({"code": 7}, {"code": 7}), ({"code": 8},), ({"signal": 9, "core": False},):
            with self.subTest(exits):
                self.assertEqual(self.counts(*exits), Counts(1, 1, 0))

    def test_that_are_unknown_are_counted_apart_when_a_keeper_died_in_the_life_of_the_run_and_are_wrong_otherwise(self):
        self.assertEqual(self.counts({"known": False}, keeper_deaths=[10.5]), Counts(1, 0, 1))
        for deaths in (), [8], [12]:
            with self.subTest(deaths):
                self.assertEqual(self.counts({"known": False}, keeper_deaths=deaths), Counts(1, 1, 0))


if __name__ == "__main__":
    BIN = sys.argv.pop(1)
    unittest.main()
