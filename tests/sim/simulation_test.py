"""Every scenario over a fixed number of seeds: nothing is found, and every fault that is announced fires."""
import json
import os
import re
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["CHRONIK_SIM"]
SEEDS = 200  # from here on a fault that never fires is a failure, too
SEEDS_OF_A_PAGE = 20  # of docs/SCENARIOS.md, each of which makes its mishap common
FIRST_SEED = 10_001


def names():
    listed = subprocess.run([PROGRAM, "list", "--json"], capture_output=True, text=True, check=True)
    return [scenario["name"] for scenario in json.loads(listed.stdout)["scenarios"]]


def seeds_of(name):
    return SEEDS_OF_A_PAGE if re.match(r"f\d\d-", name) else SEEDS


class Scenarios(unittest.TestCase):
    def test_each_is_clean(self):
        self.assertGreater(len(names()), 12)
        for name in names():
            with self.subTest(scenario=name), tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "report.json")
                command = [PROGRAM, "run", "--scenario", name, "--seeds", str(seeds_of(name)), "--first-seed",
                           str(FIRST_SEED), "--jobs", str(os.cpu_count() or 1), "--json", path]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                with open(path, encoding="utf-8") as file:
                    report = json.load(file)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(report["scenarios"][0]["failures"], [])
                self.assertEqual(report["scenarios"][0]["seeds"], seeds_of(name))


if __name__ == "__main__":
    unittest.main()
