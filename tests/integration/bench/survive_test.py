#!/usr/bin/env python3
"""A small run of `bench survive`: every row is there, what is to be 0 is 0, and what is compared is compared. No time is
looked at. And the comparison itself: what is lost, doubled or wrong must be counted.

usage: survive_test.py BIN [TEST...]
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

BENCH = pathlib.Path(__file__).resolve().parents[3] / "bench"
sys.path.insert(0, str(BENCH))

from load import KERNEL_TELLS, PAIRS, Load  # noqa: E402


def rows_of(*options):
    out = subprocess.run([sys.executable, BENCH / "survive.py", "--bin", BIN, "--json", "--services", "3", "--rounds", "2",
                          "--kills", "20", *options], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {row["name"]: row for row in map(json.loads, out.splitlines())}


class SmallRun(unittest.TestCase):
    def nothing_is_lost(self, rows, what):
        for name in "services restarted", "exits lost or wrong", "lines lost or doubled":
            row = rows[f"{what}: {name}"]
            self.assertEqual(row["value"], 0, row)
            self.assertGreater(row["of"], 0, row)

    def test_of_takeovers_has_its_rows_and_nothing_is_lost(self):
        rows = rows_of("--only", "takeover")
        self.assertEqual(rows["takeover under load, 3 up"]["rounds"], 2)
        self.nothing_is_lost(rows, "2 takeovers, 3 up")

    def test_of_upgrades_has_its_rows_and_nothing_is_lost(self):
        rows = rows_of("--only", "upgrade")
        for name, rounds in ("upgrade, 3 up", 2), ("upgrade --keeper, 3 up", 1):
            for part in "order to answer", "end to answer", "order to next logger":
                self.assertEqual(rows[f"{name}: {part}"]["rounds"], rounds)
        self.assertEqual(rows["upgrade, 3 up: the command, with its trials"]["rounds"], 1)
        self.nothing_is_lost(rows, "4 upgrades, 3 up")

    def test_of_kills_has_the_keeper_among_the_victims_and_nothing_is_lost(self):
        rows = rows_of("--only", "kills")
        self.nothing_is_lost(rows, "20 kills")
        self.assertGreater(rows["20 kills: keepers among them"]["value"], 0)
        self.assertIn("20 kills: exits unknown after keeper deaths", rows)

    def test_of_an_event_has_its_cost_beside_the_bare_work(self):
        rows = rows_of("--only", "commit,event")
        for name in ("commit of 1 slots, per slot", "commit of 60 slots, per slot", "commit of an exit and its restart",
                     "outbox of an exit and its restart", "journal of an exit and its restart",
                     "all of an exit and its restart"):
            self.assertEqual(rows[name]["rounds"], 9)
            self.assertGreater(rows[name]["limit"], 0)
        self.assertGreater(rows["of the outbox: the plan is made"]["value"], 0)


class Told(Load):
    """A load of which only the words are left: one run that ended with code 7 at 100 s, and writers that ended at 200 s."""

    def __init__(self, place, *exits):  # without an instance
        self.truth = place
        for i in range(PAIRS):
            pathlib.Path(place, f"e{i}").write_text("1 7 100.00\n" if i == 0 else "")
            pathlib.Path(place, f"w{i}").write_text(f"1000 {10 + i} 200.00")
        said = [(1, exit) for exit in exits] + [(10 + i, {"code": 0}) for i in range(PAIRS)]
        self.events = open(os.path.join(place, "events"), "w+")
        self.events.writelines(json.dumps({"kind": "exit", "run": run, "exit": exit}) + "\n" for run, exit in said)


class Exits(unittest.TestCase):
    def wrong_and_unknown(self, *exits, keeper_deaths=()):
        with tempfile.TemporaryDirectory() as place:
            told = Told(place, *exits)
            with told.events:
                compared, wrong, unknown = told.exits(keeper_deaths)
        self.assertEqual(compared, 1 + PAIRS)
        return wrong, unknown

    def test_that_are_true_are_right(self):
        self.assertEqual(self.wrong_and_unknown({"code": 7}), (0, 0))

    def test_that_are_lost_doubled_or_others_are_wrong(self):
        for exits in (), ({"code": 7}, {"code": 7}), ({"code": 8},), ({"signal": 9, "core": False},):
            with self.subTest(exits):
                self.assertEqual(self.wrong_and_unknown(*exits), (1, 0))

    def test_that_are_unknown_are_counted_apart_when_no_keeper_lived_then_and_are_wrong_otherwise(self):
        unknown = {"known": False}
        self.assertEqual(self.wrong_and_unknown(unknown, keeper_deaths=[(50, 51), (99.9, 100.1)]), (0, 1))
        self.assertEqual(self.wrong_and_unknown(unknown), (1, 0))
        self.assertEqual(self.wrong_and_unknown(unknown, keeper_deaths=[(101, 102)]), (1, 0))

    def test_that_are_unknown_of_a_run_that_was_adopted_are_wrong_where_the_kernel_tells(self):
        self.assertEqual(self.wrong_and_unknown({"known": False}, keeper_deaths=[(90, 91)]),
                         (1, 0) if KERNEL_TELLS else (0, 1))


class Lines(unittest.TestCase):
    """Each of four writers has written three lines."""

    def wrong(self, *kept):
        with tempfile.TemporaryDirectory() as place:
            told = Told(place)
            told.events.close()
            for i in range(PAIRS):
                pathlib.Path(place, f"w{i}").write_text(f"3 {10 + i} 200.00")
            text = "".join(f"stamp line {number}\n" for number in kept)
            told.h = unittest.mock.Mock()
            told.h.cli.return_value.stdout = text
            compared, wrong = told.lines()
        self.assertEqual(compared, 3 * PAIRS)
        return wrong

    def test_that_are_all_there_once_are_right(self):
        self.assertEqual(self.wrong(0, 1, 2), 0)

    def test_that_are_lost_doubled_cut_or_strangers_are_wrong(self):
        for kept in (0, 2), (0, 1, 1, 2), (0, 1, 2, 3):
            with self.subTest(kept):
                self.assertEqual(self.wrong(*kept), PAIRS)
        self.assertEqual(self.wrong(0, 1, "2x"), 2 * PAIRS)  # one is missing, and nobody wrote the other


if __name__ == "__main__":
    BIN = sys.argv.pop(1)
    unittest.main()
