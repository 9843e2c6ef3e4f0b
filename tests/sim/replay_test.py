"""What chronik-sim shows of one seed: under a debugger, as a page, as a trace, in words."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from program import PROGRAM, run


@unittest.skipUnless(shutil.which("gdb"), "gdb is not installed")
class Debugger(unittest.TestCase):
    def run_to(self, where):
        command = ["gdb", "-q", "-batch", "-ex", "run", "-ex", "call (void)chronik_waits()", "-ex", "continue",
                   "--args", PROGRAM, "replay", "--scenario", "canary", "--seed", "1", "--stop-at", where]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                              env={**os.environ, "DEBUGINFOD_URLS": ""})
        return done.stdout + done.stderr

    def stop(self, where):
        text = self.run_to(where)
        stopped = re.search(r"stopped before event ([0-9]+) at ([0-9.]+)s of virtual time", text)
        self.assertIsNotNone(stopped, text[-3000:])
        self.assertIn("SIGTRAP", text)
        self.assertIn("FAILED NO-STUCK", text)  # it goes on as it would have
        return int(stopped.group(1)), float(stopped.group(2)), text

    def test_a_run_stops_before_an_event_and_shows_who_waits(self):
        event, seconds, text = self.stop("4.1s")
        self.assertGreaterEqual(seconds, 4.1)
        self.assertRegex(text, r"transfer-28 waits for turnstile 2 .*, 297\d\d ms left, peer, since 2\d\d ms")
        self.assertIn("DEADLOCKED bank#1.0 main-0/transfer-28 waits for turnstile 2", text)
        self.assertEqual(self.stop(str(event))[:2], (event, seconds))
        before = self.stop(str(event - 1))
        self.assertEqual(before[0], event - 1)
        self.assertLess(before[1], 4.1)

    def test_a_stop_beyond_the_end_says_which_event_was_the_last(self):
        said = r"did not stop: the run ended before that, with event (\d+) at (5\.\d+)s of virtual time"
        last = re.search(said, self.run_to("1000000"))
        self.assertIsNotNone(last)
        self.assertEqual(re.search(said, self.run_to("99s")).groups(), last.groups())
        self.assertEqual(self.stop(last.group(1))[0], int(last.group(1)))


def fingerprint(*arguments):
    done = run("replay", *arguments)
    return re.search(r"[0-9]+ events, [0-9]+ records, hash [0-9a-f]{16}", done.stdout).group(0)


class Stories(unittest.TestCase):
    def page(self, *arguments, expected):
        """The page of a replay: (its text, the data in it)."""
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "page.html")
            done = run("replay", *arguments, "--html", path)
            self.assertEqual(done.returncode, expected, done.stdout[:3000] + done.stderr[:3000])
            text = pathlib.Path(path).read_text(encoding="utf-8")
        data = re.search(r'<script type="application/json" id="story">(.*?)</script>', text, re.DOTALL)
        return text, json.loads(data.group(1))

    def test_the_page_of_the_canary_shows_the_finding_and_who_waits_for_whom(self):
        text, story = self.page("--scenario", "canary", "--seed", "1", expected=1)
        self.assertEqual(story["finding"]["checker"], "NO-STUCK")
        self.assertEqual(story["run"]["replay"], "chronik-sim replay --scenario canary --seed 1")
        self.assertEqual(story["finding"]["t"], [e["t"] for e in story["events"] if e["k"] == "finding"][0])
        dead = {i for i, fiber in enumerate(story["fibers"]) if fiber.get("dead")}
        named = set(re.findall(r"(?:DEADLOCKED|BEHIND) +bank#1\.0 (\S+) ", story["finding"]["message"]))
        self.assertEqual({story["fibers"][i]["f"] for i in dead}, named)
        self.assertGreaterEqual(len(named), 2)
        # Two of them wait for each other, and the stack of each is there.
        edges = {(i, j) for i in dead for wait in story["fibers"][i]["waits"] for j in wait["by"]}
        both = sorted(i for i, j in edges if (j, i) in edges)
        self.assertGreaterEqual(len(both), 2, edges)
        for i in dead:
            self.assertTrue(any("chronik::fiber::" in frame for frame in story["fibers"][i]["stack"]), i)
        for i in both:
            fiber = story["fibers"][i]["f"]
            did = [e["x"].split(" account ")[0] for e in story["events"] if e.get("f") == fiber]
            self.assertEqual(did, ["asks for", "holds", "asks for"], fiber)
        self.assert_alone(text)

    def assert_alone(self, text):
        for pattern in (r"https?:", r'\b(?:src|href|action)\s*=\s*["\'](?!data:)', r"url\((?!#)", r"@import",
                        r"\bfetch\(", r"XMLHttpRequest", r"WebSocket", r"\bimport\b"):
            self.assertIsNone(re.search(pattern, text), pattern)

    def test_the_page_of_a_cluster_links_messages_with_their_arrival_and_their_answers(self):
        text, story = self.page("--scenario", "replicated", "--seed", "28", "--until", "12s", "--events", "1000",
                                expected=0)
        self.assert_alone(text)
        self.assertIsNone(story["finding"])
        self.assertEqual(5, sum(machine["node"] for machine in story["machines"]))
        events = story["events"]
        self.assertEqual([e["t"] for e in events], sorted(e["t"] for e in events))
        bounded = [e for e in events if e["k"] in ("request", "peer", "raft", "heartbeat", "disk", "store", "progress")]
        self.assertLessEqual(len(bounded), 1000)
        self.assertGreater(story["run"]["forgotten"], 0)
        arrived = [e for e in events if e["k"] in ("request", "peer", "raft") and e["e"] == "done"]
        self.assertGreater(len(arrived), 100)
        self.assertTrue(all(e["u"] > e["t"] and e["o"] != e["m"] for e in arrived))
        answers = [e for e in events if "a" in e]
        self.assertGreater(len(answers), 20)
        for answer in answers:
            request = events[answer["a"]]
            self.assertEqual((request["m"], request["o"]), (answer["o"], answer["m"]))
            self.assertEqual(request["x"], answer["x"].split(" -> ")[0])
            self.assertLessEqual(request["u"], answer["t"])
        self.assertTrue(any(re.fullmatch(r"Produce #[0-9]+ -> ok", e["x"]) for e in answers))
        self.assertTrue(any(e["k"] == "disk" and "sync" in e["x"] and e["u"] > e["t"] for e in events))
        self.assertTrue(any(e["k"] == "life" for e in events))
        for role in (r"leads \S+ in epoch \d+", r"follows in \S+ in epoch \d+", r"has nodes [\d, ]+ in sync on \S+"):
            self.assertTrue(any(re.match(role, e["x"]) for e in events), role)

    def test_the_trace_of_a_cluster_is_one_that_viewers_read(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "run.json")
            done = run("replay", "--scenario", "replicated", "--seed", "28", "--until", "12s", "--events", "1000",
                       "--trace", path)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with open(path, encoding="utf-8") as file:
                trace = json.load(file)
        self.assertEqual(trace["otherData"]["replay"], "chronik-sim replay --scenario replicated --seed 28 --until 12s")
        events = trace["traceEvents"]
        names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
        self.assertIn("node-1", names.values())
        lanes = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
        slices = [e for e in events if e["ph"] == "X"]
        self.assertGreater(len(slices), 500)
        free = {}  # when each lane is: what is drawn in one must not overlap
        for event in slices:
            lane = (event["pid"], event["tid"])
            self.assertIn(lane, lanes)
            self.assertIn(event["pid"], names)
            self.assertGreaterEqual(event["ts"], free.get(lane, 0) - 0.002)
            free[lane] = event["ts"] + event["dur"]
        begun = {e["id"]: e for e in events if e["ph"] == "s"}
        arrived = {e["id"]: e for e in events if e["ph"] == "f"}
        self.assertGreater(len(begun), 100)
        self.assertEqual(set(begun), set(arrived))
        for number, event in begun.items():
            self.assertGreater(arrived[number]["ts"], event["ts"])
            self.assertNotEqual(arrived[number]["pid"], event["pid"])
        self.assertTrue(any(re.fullmatch(r"Produce #[0-9]+ -> ok", e["name"]) for e in slices))
        # A fiber is a thread of its node, with its name: what it did stands there, and at the end what it waits for.
        told = [e for e in events if e["ph"] == "M" and e["name"] == "thread_name"]
        named = {(e["pid"], e["tid"]): e["args"]["name"] for e in told}
        node = next(pid for pid, name in names.items() if name == "node-1")
        of_node = {name for (pid, _), name in named.items() if pid == node}
        self.assertLessEqual({"main-0/wal-commit-0", "main-0/drainer-0", "life"}, of_node)
        for event in slices:
            if event["cat"] == "disk":
                self.assertEqual(re.sub(r" \d+$", "", named[event["pid"], event["tid"]]), event["args"]["fiber"])
        waits = [e for e in slices if e["cat"] == "wait" and named[e["pid"], e["tid"]] == "main-0/wal-commit-0"]
        self.assertIn("waits for work", {e["name"] for e in waits})
        self.assertEqual({round(e["ts"] + e["dur"]) for e in waits}, {12_000_000})

    def test_the_trace_of_a_failure_ends_with_it(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "run.json")
            done = run("replay", "--scenario", "canary", "--seed", "1", "--trace", path)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            with open(path, encoding="utf-8") as file:
                events = json.load(file)["traceEvents"]
        found = [e for e in events if e.get("cat") == "finding"]
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0]["ph"], found[0]["s"]), ("i", "g"))
        self.assertEqual(found[0]["ts"], max(e["ts"] for e in events if "ts" in e))

    def test_a_run_with_a_story_is_the_run_without(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "page.html")
            for which in (["--scenario", "canary", "--seed", "1"], ["--scenario", "echo", "--seed", "8"],
                          ["--scenario", "replicated", "--seed", "5", "--until", "8s"]):
                self.assertEqual(fingerprint(*which), fingerprint(*which, "--html", path), which)

    def test_a_failure_is_explained_in_words(self):
        done = run("explain", "--scenario", "canary", "1", "2")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        paragraphs = done.stdout.strip().split("\n\n")
        self.assertEqual(len(paragraphs), 2)
        words = " ".join(paragraphs[0].split())
        self.assertIn("Seed 1 of canary", words)
        self.assertIn("NO-STUCK", words)
        self.assertIn("chronik-sim replay --scenario canary --seed 1", words)
        found = run("replay", "--scenario", "canary", "--seed", "1").stdout
        stuck = re.findall(r"DEADLOCKED bank#1\.0 (main-0/transfer-([0-9]+)) waits for turnstile", found)
        self.assertGreaterEqual(len(stuck), 2)
        told = [(fiber, operation) for fiber, operation in stuck
                if f"fiber {fiber} of bank#1.0 waits for turnstile" in words]
        self.assertGreaterEqual(len(told), 2)
        for _, operation in told:
            self.assertRegex(words, rf"At [0-9.]+ s bank asks for account [0-9] for operation {operation}\b")
            self.assertRegex(words, rf"holds account [0-9] for operation {operation}\b")
        self.assertLess(max(map(len, done.stdout.splitlines())), 120)

    def test_what_did_not_fail_is_explained_as_such(self):
        done = run("explain", "--scenario", "echo", "--seed", "10")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("nothing is wrong", " ".join(done.stdout.split()))


if __name__ == "__main__":
    unittest.main()
