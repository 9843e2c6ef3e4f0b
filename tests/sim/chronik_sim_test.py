"""chronik-sim from outside: its command line, its exit statuses, and runs that repeat between processes."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["CHRONIK_SIM"]


def run(*arguments, **environment):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, **environment}, check=False)


class CommandLine(unittest.TestCase):
    def test_lists_scenarios(self):
        done = run("list")
        self.assertEqual(done.returncode, 0)
        self.assertIn("echo", done.stdout)

    def test_a_clean_run_exits_with_0_and_writes_its_report(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "out.json")
            done = run("run", "--scenario", "echo", "--seeds", "3", "--first-seed", "10", "--jobs", "2", "--json", path)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
        self.assertEqual(report["failed"], 0)
        self.assertEqual([s["name"] for s in report["scenarios"]], ["echo"])
        self.assertEqual(report["scenarios"][0]["seeds"], 3)

    def test_wrong_usage_exits_with_2(self):
        for arguments in ([], ["run", "--scenario", "nonesuch"], ["run", "--seeds", "0"], ["run", "--nonsense"],
                          ["run", "--time-limit", "soon"], ["replay", "--scenario", "echo"],
                          ["replay", "--scenario", "echo", "--seed", "1", "--until", "later"],
                          ["replay", "--scenario", "echo", "--seed", "1", "--log", "loud"],
                          ["replay", "--scenario", "echo", "--seed", "1", "--html", "x"],
                          ["replay", "--plan", "/nonexistent"], ["shrink"], ["shrink", "--seed", "1"],
                          ["shrink", "--scenario", "echo", "--seed", "1"]):
            self.assertEqual(run(*arguments).returncode, 2, arguments)

    def test_replay_stops_where_it_is_told_to_and_shows_who_waits(self):
        done = run("replay", "--scenario", "echo", "--seed", "1", "--until", "10ms")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("echo seed 1: 0.010000000s", done.stdout)
        self.assertIn("waits for accept", done.stdout)

    def test_the_canary_fails_and_is_shrunk_to_what_matters(self):
        done = run("run", "--scenario", "canary", "--seeds", "40", "--jobs", "2")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("40 failed", done.stdout)
        self.assertNotIn("canary", run("list").stdout)
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "small.plan")
            done = run("shrink", "--scenario", "canary", "--seed", "1", "--jobs", "2", "--out", path)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("to   1 machines, 2 operations, 0 faults, 0 knobs, 0 choices", done.stdout)
            done = run("replay", "--plan", path)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("FAILED NO-STUCK", done.stdout)
            self.assertIn("waits for turnstile", done.stdout)
            self.assertRegex(done.stdout, r"deadlock: bank#1.0 main-0/transfer-\d+ holds turnstile \d \(account\) and waits")
            self.turnstiles_in_both_orders_are_reported_where_they_met_no_more(path)
            with open(path, "a", encoding="utf-8") as file:
                file.write("more\n")
            done = run("replay", "--plan", path)
            self.assertEqual(done.returncode, 2)
            self.assertIn("behind the end", done.stderr)

    def turnstiles_in_both_orders_are_reported_where_they_met_no_more(self, path):
        """The two transfers of a plan that deadlocks, ten seconds apart."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        times = re.findall(r"at_ns=(\d+)", text)
        self.assertEqual(len(times), 2, text)
        with tempfile.NamedTemporaryFile("w", suffix=".plan", encoding="utf-8") as apart:
            apart.write(text.replace(f"at_ns={times[1]}", "at_ns=100000000").replace(f"at_ns={times[0]}", "at_ns=1"))
            apart.flush()
            done = run("replay", "--plan", apart.name)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("FAILED LOCK-ORDER", done.stdout)
        self.assertRegex(done.stdout, r"enters account from inside turnstile [12], and .* from inside turnstile [12]")

    def test_what_was_found_once_stays_mended(self):
        plans = sorted(pathlib.Path(os.environ["CHRONIK_SOURCE"], "tests", "plans").glob("*.plan"))
        self.assertTrue(plans)
        for plan in plans:
            with self.subTest(plan=plan.name):
                done = run("replay", "--plan", str(plan))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Twins(unittest.TestCase):
    def test_a_seed_runs_the_same_in_processes_with_other_memory(self):
        traces = []
        with tempfile.TemporaryDirectory() as directory:
            for perturbation in ("0", "85", "170"):
                path = os.path.join(directory, perturbation)
                done = run("replay", "--scenario", "echo", "--seed", "8", "--trace", path, MALLOC_PERTURB_=perturbation)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                with open(path, encoding="utf-8") as file:
                    traces.append(file.read().splitlines())
        self.assertGreater(len(traces[0]), 1000)
        for other in traces[1:]:
            for number, (one, two) in enumerate(zip(traces[0], other)):
                self.assertEqual(one, two, f"line {number}")
            self.assertEqual(len(traces[0]), len(other))


if __name__ == "__main__":
    unittest.main()
