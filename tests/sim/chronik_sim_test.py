"""chronik-sim from outside: its command line, its exit statuses, and runs that repeat between processes."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

from program import PROGRAM, run


class CommandLine(unittest.TestCase):
    def test_lists_scenarios(self):
        done = run("list")
        self.assertEqual(done.returncode, 0)
        self.assertIn("echo", done.stdout)
        listed = json.loads(run("list", "--json").stdout)
        names = [scenario["name"] for scenario in listed["scenarios"]]
        self.assertEqual(len(names), len(set(names)))
        for scenario in listed["scenarios"]:
            self.assertTrue(scenario["description"])
            self.assertTrue(scenario["promises"], f"{scenario['name']} promises to catch nothing")
            self.assertIn(f"\n{scenario['name']} ", "\n" + done.stdout)
        for entry in listed["elsewhere"]:
            self.assertIn(f"\n{entry['entry']} ", done.stdout)

    def test_scenarios_are_chosen_by_names_and_beginnings(self):
        for chosen, names in (("f52*,idle", ["idle", "f52-connections-closed-at-once"]), ("idle,idle", ["idle"]),
                              ("canar*,idle", None), ("idle,nonesuch", None), ("idle,", None), ("nonesuch*", None)):
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "out.json")
                done = run("run", "--scenario", chosen, "--seeds", "1", "--json", path)
                if names is None:
                    self.assertEqual(done.returncode, 2, chosen)
                    self.assertIn(f"--scenario: '{chosen}': no scenario is called", done.stderr)
                    continue
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                with open(path, encoding="utf-8") as file:
                    self.assertEqual([s["name"] for s in json.load(file)["scenarios"]], names)

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
                          ["replay", "--scenario", "echo", "--seed", "1", "--html", "/nonexistent/x"],
                          ["replay", "--scenario", "echo", "--seed", "1", "--events", "5"],
                          ["replay", "--scenario", "echo", "--seed", "1", "--trace", "/nonexistent/x"],
                          ["replay", "--scenario", "echo", "--seed", "1", "--records", "/nonexistent/x"],
                          ["replay", "--scenario", "echo", "--seed", "1", "--stop-at", "5"],  # no debugger
                          ["diff", "/nonexistent/x", "/nonexistent/y"], ["diff", "/dev/null", "/dev/null"], ["diff"],
                          ["explain"], ["explain", "--scenario", "echo"], ["explain", "1"],
                          ["explain", "--scenario", "nonesuch", "1"],
                          ["replay", "--scenario", "echo", "--seed", "1", "--history", "x"],
                          ["replay", "--scenario", "jepsen", "--seed", "1", "--history", "/nonexistent/x"],
                          ["replay", "--scenario", "canary", "--seed", "1", "--out", "x"],
                          ["replay", "--scenario", "canary-race", "--seed", "1", "--schedule", "exhaustive", "--out",
                           "/nonexistent/x"],
                          ["replay", "--plan", "/nonexistent"], ["shrink"], ["shrink", "--seed", "1"],
                          ["shrink", "--scenario", "echo", "--seed", "1"], ["run", "--schedule", "lifo"],
                          ["run", "--schedule", "pct", "--bound", "2"], ["run", "--bound", "2"],
                          ["run", "--schedule", "exhaustive", "--bound", "few"],
                          ["shrink", "--scenario", "canary", "--seed", "1", "--schedule", "exhaustive"]):
            self.assertEqual(run(*arguments).returncode, 2, arguments)

    def test_a_bad_value_is_named_with_its_flag_and_what_is_right(self):
        one = ["--scenario", "canary-race", "--seed", "1"]
        for arguments, complaint in (
                (["run", "--schedule", "lifo"], "--schedule: 'lifo': must be fifo, random, pct or exhaustive"),
                (["run", "--bound", "2"], "--bound: only valid with --schedule exhaustive"),
                (["run", "--time-limit", "soon"],
                 "--time-limit: 'soon': must be a time of at least 1s, such as 60s or 5m"),
                (["replay", *one, "--events", "5"], "--events: only valid with --html or --trace"),
                (["replay", *one, "--log", "loud"], "--log: 'loud': must be trace, debug, info, warn or error"),
                (["replay", *one, "--schedule", "exhaustive", "--until", "1s"],
                 "--until: not valid with --schedule exhaustive, which makes many runs")):
            self.assertEqual(run(*arguments).stderr, f"chronik-sim: {complaint}\n")

    def test_replay_stops_where_it_is_told_to_and_shows_who_waits(self):
        done = run("replay", "--scenario", "echo", "--seed", "1", "--until", "10ms")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("echo seed 1: 0.010000000s", done.stdout)
        self.assertIn("waits for accept", done.stdout)

    def test_a_history_has_one_operation_a_line_with_its_place_and_its_time(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "history.edn")
            done = run("replay", "--scenario", "jepsen", "--seed", "1", "--history", path)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        form = re.compile(r"{:index (\d+), :time (\d+), :type :(invoke|ok|info|fail), :process \d+, "
                          r":f :(assign|subscribe|crash|send|poll|txn), :value (nil|\[.*\])[^{}]*}")
        operations = [form.fullmatch(line) for line in lines]
        self.assertTrue(all(operations), [line for line, one in zip(lines, operations) if not one][:3])
        self.assertEqual([int(one[1]) for one in operations], list(range(len(lines))))
        times = [int(one[2]) for one in operations]
        self.assertEqual(times, sorted(times))
        self.assertEqual({one[3] for one in operations} & {"invoke", "ok"}, {"invoke", "ok"})
        self.assertTrue(any("[:send " in line for line in lines))
        self.assertRegex("\n".join(lines), r":type :ok, .*\[:poll {.*\[\[0 1\]")

    def test_the_canary_fails_and_is_shrunk_to_what_matters(self):
        # Of 100 seeds, since some have fibers that are only behind the deadlock, which is the same.
        done = run("run", "--scenario", "canary", "--seeds", "100", "--jobs", "2")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("99 more seeds failed alike", done.stdout)
        self.assertRegex(done.stderr, r"\Afound NO-STUCK: chronik-sim replay --scenario canary --seed \d+\n\Z")
        self.assertRegex(done.stdout, r"(?m)^100 failed of 100 seeds, \d+\.\d h of virtual time in ")
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
            self.assertRegex(done.stdout,
                             r"deadlock: bank#1.0 main-0/transfer-\d+ holds turnstile \d \(account\) and waits")
            self.assertRegex(done.stdout, r"(?s)the last that befell \d of these fibers:\n.*"
                                          r"transfer-\d+ runs, and waits for turnstile \d \(account\)\n")
            self.turnstiles_in_both_orders_are_reported_where_they_met_no_more(path)
            with open(path, "a", encoding="utf-8") as file:
                file.write("more\n")
            done = run("replay", "--plan", path)
            self.assertEqual(done.returncode, 2)
            self.assertIn("behind the end", done.stderr)

    def test_reports_of_several_machines_are_put_together(self):
        with tempfile.TemporaryDirectory() as directory:
            parts = [os.path.join(directory, name) for name in ("one.json", "two.json")]
            whole = os.path.join(directory, "whole.json")
            run("run", "--scenario", "canary,echo", "--first-seed", "21", "--seeds", "20", "--json", parts[0])
            run("run", "--scenario", "canary,idle", "--seeds", "20", "--json", parts[1])
            done = run("merge", *parts, "--json", whole)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"(?m)^canary: 40 seeds .*, 40 failed$")
            self.assertRegex(done.stdout, r"(?m)^echo: 20 seeds .*, 0 failed$")
            self.assertIn("FAILED seed 1: NO-STUCK", done.stdout, "the smallest of all")
            self.assertIn("39 more seeds failed alike", done.stdout)
            with open(whole, encoding="utf-8") as file:
                merged = json.load(file)
            self.assertEqual(merged["failed"], 40)
            again = run("merge", whole)
            self.assertEqual(again.stdout, done.stdout, "what was put together is a report, too")
            with open(parts[0], "w", encoding="utf-8") as file:
                file.write("{}")
            refused = run("merge", *parts)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("one.json: not a report of chronik-sim run --json", refused.stderr)
            self.assertEqual(run("merge").returncode, 2)
            merged["scenarios"][0]["coverage"]["points"]["wal.of_old"] = {}
            with open(whole, "w", encoding="utf-8") as file:
                json.dump(merged, file)
            refused = run("merge", whole)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("no point is called wal.of_old: a report of another version", refused.stderr)

    def test_ctrl_c_ends_a_run_with_its_summary(self):
        process = subprocess.Popen([PROGRAM, "run", "--scenario", "echo", "--seeds", "1000000", "--jobs", "2"],
                                   stdout=subprocess.PIPE, text=True, start_new_session=True)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers as well
        text, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, text)
        self.assertRegex(text, r"echo: \d+ seeds .* 0 failed")
        self.assertIn("cut short", text)

    def test_each_suspicion_about_the_frozen_node_is_named(self):
        named = {
            "raft-and-log": r"flush-\d+ holds turnstile 3 \(write-ahead log\) and waits for turnstile 1 \(raft\); "
                            r".*append-\d+ holds turnstile 1 \(raft\) and waits for turnstile 3 \(write-ahead log\)",
            "metadata-and-raft": r"list-topics-\d+ holds turnstile 2 \(state machine\) and waits for turnstile 1 "
                                 r"\(raft\); .*apply-\d+ holds turnstile 1 \(raft\) and waits for turnstile 2",
            "full-queue": r"changes-0 is to provide channel 1 and waits for turnstile 1 \(raft\); "
                          r".*publish-\d+ holds turnstile 1 \(raft\) and waits for channel 1",
            "hung-sync": r"\d+ wait for node-1#1.0 main-0/sync-\d+, which has waited \d+ ms for disk operation \d+ "
                         r"\(sync raft.log\) and holds turnstile 1 \(raft\): .*metadata-\d+",
            "forwarding": r"produce-\d+ holds turnstile 4 \(connection to the leader\) and waits for request 1 "
                          r"\(forwarded to 10.0.0.\d:9\); node-\d#1.0 server-0/forwarded-0 is to provide request 1",
        }
        for name, words in named.items():
            with self.subTest(name=name):
                done = run("run", "--scenario", f"frozen-{name}", "--seeds", "30")
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn("30 failed", done.stdout)
                self.assertRegex(done.stdout, words)

    def test_the_page_of_the_frozen_node_quotes_what_its_commands_print(self):
        page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "FROZEN.md"
        sections = re.findall(r"(?ms)^## [^\n]*: `(frozen-[\w-]+)`\n(.*?)(?=^## |\Z)", page.read_text(encoding="utf-8"))
        self.assertEqual(len(sections), 5)
        with tempfile.TemporaryDirectory() as directory:
            for name, text in sections:
                path = os.path.join(directory, f"{name}.plan")
                run("shrink", "--scenario", name, "--seed", "1", "--out", path)
                told = " ".join(run("replay", "--plan", path).stdout.split())
                quotes = re.findall(r"(?ms)^```\n(.*?)^```", text)
                self.assertTrue(quotes, name)
                for line in "".join(quotes).replace("\n          ", " ").splitlines():
                    self.assertIn(" ".join(line.split()), told, name)
                self.assertIn(f"](images/{name}.png)", text)

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


class Coverage(unittest.TestCase):
    def test_says_what_was_reached_and_what_never(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "out.json")
            done = run("run", "--scenario", "replicated", "--seeds", "12", "--jobs", "2", "--coverage", "--json", path)
            self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[:3000])
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
        coverage = report["scenarios"][0]["coverage"]
        points = coverage["points"]
        self.assertGreater(points["wal.before_sync"]["passed"], 1000)
        self.assertGreater(sum(p["delayed"] + p["yielded"] for p in points.values()), 0)
        self.assertGreater(coverage["errors"]["Produce NOT_LEADER_OR_FOLLOWER"]["count"], 0)
        never = report["never_reached"]
        self.assertEqual({name for name, counts in points.items() if counts["passed"] == 0}, set(never["points"]))
        self.assertIn("INVALID_TXN_STATE", never["errors"])  # nobody in there uses transactions
        self.assertNotIn("NOT_LEADER_OR_FOLLOWER", never["errors"])
        self.assertIn("never reached:", done.stdout)
        self.assertIn("INVALID_TXN_STATE", done.stdout)
        self.assertNotIn("never reached:", run("run", "--scenario", "echo", "--seeds", "1").stdout)

    def test_a_plan_that_names_no_point_is_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "plan")
            self.assertEqual(run("replay", "--scenario", "steady", "--seed", "1", "--records", path).returncode, 0)
            with open(path, encoding="utf-8") as file:
                plan = file.read().split("end\n")[0]
            for fault, complaint in (("pause node wal.nowhere", "no point is called wal.nowhere"),
                                     ("fail node wal.before_sync", "no point where one can fail")):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f"{plan}fault 1 1000000 {fault}\nend\n")
                done = run("replay", "--plan", path)
                self.assertEqual(done.returncode, 2)
                self.assertIn(complaint, done.stderr)


class Schedules(unittest.TestCase):
    def search(self, *arguments):
        return run("replay", *arguments, "--schedule", "exhaustive")

    def test_exhaustive_search_finds_the_race_and_its_schedule_is_a_plan(self):
        self.assertEqual(run("replay", "--scenario", "canary-race", "--seed", "1", "--schedule", "fifo").returncode, 0)
        done = self.search("--scenario", "canary-race", "--seed", "1")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("FAILED AUDIT", done.stdout)
        begin, end = done.stdout.index("chronik-plan 1"), done.stdout.index("end\n") + len("end\n")
        plan = done.stdout[begin:end]
        choices = [line for line in plan.splitlines() if line.startswith("choose ")]
        self.assertTrue(0 < len(choices) <= 3, plan)
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "plan")
            with open(path, "w", encoding="utf-8") as file:
                file.write(plan)
            done = run("replay", "--plan", path)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("FAILED AUDIT", done.stdout)
            self.assertEqual(run("replay", "--plan", path, "--schedule", "pct").returncode, 2)
            # One deviation fewer does not show it: the search begins with the fewest.
            with open(path, "w", encoding="utf-8") as file:
                file.write(plan.replace(choices[-1] + "\n", ""))
            self.assertEqual(run("replay", "--plan", path).returncode, 0)
            # The sound bank, through all its schedules.
            with open(path, "w", encoding="utf-8") as file:
                lines = [line for line in plan.splitlines() if not line.startswith("choose ") and line != "replays"]
                file.write("\n".join(lines).replace("race.sound 0", "race.sound 1") + "\n")
            done = self.search("--plan", path, "--bound", "100")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"canary-race seed 1: \d{3,} schedules, all that there are")
            done = self.search("--plan", path, "--bound", "1")
            self.assertRegex(done.stdout, r"canary-race seed 1: \d+ schedules, all with at most 1 deviations")

    def test_what_an_exhaustive_search_finds_is_written_as_a_plan(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "found.plan")
            done = self.search("--scenario", "canary-race", "--seed", "1", "--out", path)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertNotIn("chronik-plan", done.stdout)
            self.assertIn(f"replay: chronik-sim replay --plan {path}\n", done.stdout)
            failed = re.search(r"^FAILED AUDIT.*$", done.stdout, re.M).group()
            self.assertIn(failed, run("replay", "--plan", path).stdout)
            with open(path, encoding="utf-8") as file:
                lines = [line for line in file.read().splitlines() if not line.startswith("choose ")]
            sound = os.path.join(directory, "sound.plan")
            with open(sound, "w", encoding="utf-8") as file:
                text = "\n".join(line for line in lines if line != "replays")
                file.write(text.replace("race.sound 0", "race.sound 1") + "\n")
            nothing = os.path.join(directory, "nothing.plan")
            self.assertEqual(self.search("--plan", sound, "--out", nothing).returncode, 0)
            self.assertFalse(os.path.exists(nothing))

    def test_a_run_searches_each_seed(self):
        done = run("run", "--scenario", "canary-race", "--seeds", "4", "--jobs", "2", "--schedule", "exhaustive")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("4 failed", done.stdout)
        self.assertIn("--schedule exhaustive --bound 3", done.stdout)
        self.assertIn("\nchoose ", done.stdout)

    def test_a_run_takes_the_schedule_that_it_is_told(self):
        done = run("run", "--scenario", "canary-race", "--seeds", "60", "--jobs", "2", "--schedule", "fifo")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        done = run("run", "--scenario", "canary-race", "--seeds", "300", "--jobs", "2", "--schedule", "random")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("--schedule random", done.stdout)


class Twins(unittest.TestCase):
    def test_a_seed_runs_the_same_in_processes_with_other_memory(self):
        traces = []
        with tempfile.TemporaryDirectory() as directory:
            for perturbation in ("0", "85", "170"):
                path = os.path.join(directory, perturbation)
                done = run("replay", "--scenario", "echo", "--seed", "8", "--records", path,
                           MALLOC_PERTURB_=perturbation)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                with open(path, encoding="utf-8") as file:
                    traces.append(file.read().splitlines())
        self.assertGreater(len(traces[0]), 1000)
        for other in traces[1:]:
            for number, (one, two) in enumerate(zip(traces[0], other)):
                self.assertEqual(one, two, f"line {number}")
            self.assertEqual(len(traces[0]), len(other))


    def test_many_seeds_have_a_fingerprint_whatever_their_order(self):
        def of_report(*arguments):
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "report")
                done = run("run", "--scenario", "echo", "--twin-every", "1", "--json", path, *arguments)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                with open(path, encoding="utf-8") as file:
                    report = json.load(file)["scenarios"][0]
            self.assertEqual(report["twins"], report["seeds"])
            self.assertIn(f"fingerprint {report['fingerprint']}", done.stdout)
            return report["fingerprint"]

        whole = of_report("--seeds", "6")
        self.assertEqual(whole, of_report("--seeds", "6", "--jobs", "2"))
        self.assertNotEqual(whole, of_report("--seeds", "6", "--first-seed", "2"))
        parts = [int(of_report("--seeds", "3", "--first-seed", first), 16) for first in ("1", "4")]
        self.assertEqual(whole, f"{sum(parts) % 2**64:016x}")

    def test_where_two_runs_part_is_shown(self):
        with tempfile.TemporaryDirectory() as directory:
            one, other = os.path.join(directory, "one"), os.path.join(directory, "other")
            self.assertEqual(run("replay", "--scenario", "echo", "--seed", "8", "--records", one).returncode, 0)
            lines = pathlib.Path(one).read_text(encoding="utf-8").splitlines(keepends=True)
            pathlib.Path(other).write_text("".join(lines), encoding="utf-8")
            done = run("diff", one, other)
            self.assertEqual((done.returncode, done.stdout), (0, f"equal: {len(lines)} lines\n"))
            changed = lines[:-5] + [lines[-5].replace(" = ", " =~ ")] + lines[-4:]
            pathlib.Path(other).write_text("".join(changed), encoding="utf-8")
            done = run("diff", one, other)
            self.assertEqual(done.returncode, 1)
            shown = done.stdout.splitlines()
            self.assertEqual(shown[0], "the runs part after")
            self.assertEqual(shown[-3:], ["  " + lines[-6].rstrip(), "< " + lines[-5].rstrip(),
                                          "> " + changed[-5].rstrip()])
            pathlib.Path(other).write_text("".join(lines[:-3]), encoding="utf-8")
            self.assertTrue(run("diff", one, other).stdout.endswith(f"< {lines[-3]}> (the end)\n"))
            self.assertEqual(run("replay", "--scenario", "echo", "--seed", "9", "--records", other).returncode, 0)
            self.assertIn("the plans differ", run("diff", one, other).stdout)


if __name__ == "__main__":
    unittest.main()
