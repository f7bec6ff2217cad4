#!/usr/bin/env python3
"""The rules of run_page.py: a page that is not true must not pass."""
import pathlib
import tempfile
import unittest

from run_page import Shell, Untrue, is_as_expected, run_page, screen_of, with_free_ports


def tried(page: str):
    with tempfile.TemporaryDirectory() as place:
        shell = Shell(place, {"PATH": "/usr/bin:/bin"})
        try:
            return run_page(page, shell, pathlib.Path(place))
        finally:
            shell.close()


class Pages(unittest.TestCase):
    def test_a_true_page_passes_and_is_counted(self):
        counts = tried("```text file=a\nhello\n```\ntext\n```console\n$ cat a\nhello\n$ x=3; false   # exit code 1\n$ echo $x\n"
                       "3\n```\n```console no-run\n$ reboot\n```\n```\n$ not a console\n```\n")
        self.assertEqual((counts.run, counts.not_run, counts.files), (3, 1, 1))

    def test_a_command_may_go_over_several_lines(self):
        self.assertEqual(tried("```console\n$ for i in 1 2; do\n>   echo $i\n> done\n1\n2\n```\n").run, 1)

    def test_another_exit_code_fails(self):
        with self.assertRaisesRegex(Untrue, "line 2: .*\n.*exit code 1 instead of 0"):
            tried("```console\n$ false\n```\n")
        with self.assertRaisesRegex(Untrue, "exit code 0 instead of 3"):
            tried("```console\n$ true   # exit code 3\n```\n")

    def test_other_output_fails(self):
        for output in ("b", "a b", "a\na", "..."[:2]):
            with self.subTest(output), self.assertRaisesRegex(Untrue, "instead of"):
                tried(f"```console\n$ echo a\n{output}\n```\n")

    def test_a_word_that_nobody_knows_fails(self):
        with self.assertRaisesRegex(Untrue, "what does norun mean"):
            tried("```console norun\n$ true\n```\n")

    def test_a_block_that_needs_what_is_not_there_is_counted(self):
        counts = tried("```console needs=no-such-program\n$ false\n```\n```console needs=sh\n$ true\n```\n")
        self.assertEqual((counts.run, counts.not_run), (1, 1))

    def test_output_before_any_command_and_an_open_block_fail(self):
        with self.assertRaisesRegex(Untrue, "begins with"):
            tried("```console\nhello\n```\n")
        with self.assertRaisesRegex(Untrue, "does not end"):
            tried("```console\n$ true\n")

    def test_a_shell_that_ends_fails(self):
        with self.assertRaisesRegex(Untrue, "the shell has ended"):
            tried("```console\n$ exit 0\n```\n")


class Comparing(unittest.TestCase):
    def test_dots_stand_for_text_in_a_line_or_for_lines(self):
        self.assertTrue(is_as_expected(["redis ready ..."], ["redis    ready   12ms"]))
        self.assertFalse(is_as_expected(["redis ready ..."], ["redis    ready   12ms", "more"]))
        self.assertTrue(is_as_expected(["a", "...", "z"], ["a", "b", "c", "z"]))
        self.assertTrue(is_as_expected(["a", "...", "z"], ["a", "z"]))
        self.assertFalse(is_as_expected(["a", "...", "z"], ["a", "b"]))
        self.assertTrue(is_as_expected(["..."], []))
        self.assertTrue(is_as_expected(["(PID ...) is *"], ["(PID 12) is *"]))

    def test_what_was_rewritten_is_not_seen(self):
        self.assertEqual(screen_of("a  starting\x1b[K\r\nb  waiting\x1b[K\r\n\x1b[2A\ra  \x1b[32mready\x1b[0m\x1b[K\r\n\rb  ready\x1b[K\r\n"),
                         ["a  ready", "b  ready", ""])
        self.assertEqual(screen_of("12345\rab"), ["ab345"])

    def test_ports_are_replaced_as_whole_numbers(self):
        page = with_free_ports("<!-- try: ports 8080 -->\nlocalhost:8080 18080")
        self.assertNotIn(":8080", page)
        self.assertIn("18080", page)


if __name__ == "__main__":
    unittest.main()
