"""chronik-bench from outside, against a broker that runs."""
import csv
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import program  # noqa: E402 (beside this file)

BENCH = os.environ["CHRONIK_BENCH"]
BELOW, USAGE, UNREACHABLE = 1, 2, 3


def bench(*arguments):
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=60, env=program.environment(),
                          check=False)


class Measuring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = program.Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def measure(self, *arguments, topic="measured", warmup="100ms", duration="500ms", expect=0):
        done = bench("-b", self.server.kafka, "-t", topic, "-c", "8", "-s", "100", "-w", warmup, "-d", duration,
                     *arguments)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def test_produces_validates_and_writes_its_files(self):
        with tempfile.TemporaryDirectory() as directory:
            csv_path, json_path = os.path.join(directory, "out.csv"), os.path.join(directory, "out.json")
            before = self.server.metrics()["chronik_messages_received_total"]
            for _ in range(2):
                done = self.measure("--validate", "--create-topic", "-p", "3", "--csv-output", csv_path,
                                    "--json-output", json_path, "--report-interval-secs", "1", topic="validated",
                                    duration="1s")
            self.assertIn("validation  passed: ", done.stdout)
            self.assertIn(" msg/s ", done.stdout.splitlines()[0])
            result = json.loads(pathlib.Path(json_path).read_text(encoding="utf-8"))
            with open(csv_path, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 2)
        self.assertEqual(int(rows[1]["total_messages"]), result["total_messages"])
        self.assertGreater(result["total_messages"], 0)
        self.assertEqual(result["failed_messages"], 0)
        # It may run on until the last message is answered, and not until the next report.
        self.assertGreater(float(rows[1]["duration_secs"]), 0.9)
        self.assertLess(float(rows[1]["duration_secs"]), 3)
        self.assertLess(result["latency_p50_us"], result["latency_max_us"] + 1)
        received = self.server.metrics()["chronik_messages_received_total"] - before
        self.assertGreaterEqual(received, result["total_messages"] + int(rows[0]["total_messages"]))

    def test_consumes_what_is_there(self):
        self.measure("-n", "200", "--compression", "lz4", topic="consumed")
        done = self.measure("-m", "consume", "--validate", topic="consumed")
        self.assertIn("validation  passed", done.stdout)

    def test_makes_round_trips_and_asks_for_metadata(self):
        for mode in ("round-trip", "metadata"):
            self.assertIn("validation  passed", self.measure("-m", mode, "--validate").stdout)

    def test_gathers_messages_in_batches(self):
        self.assertIn("validation  passed", self.measure("--validate", "--linger-ms", "2", "--acks", "all").stdout)

    def test_without_acks_nothing_is_waited_for(self):
        self.measure("--acks", "0")

    def test_counts_as_many_messages_as_wanted_at_the_rate_that_is_wanted(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "out.json")
            self.measure("-n", "50", "--rate-limit", "200", "--json-output", path, warmup="0",
                         duration="5s")
            result = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        self.assertEqual(result["total_messages"], 50)
        self.assertAlmostEqual(result["duration"]["secs"] + result["duration"]["nanos"] / 1e9, 0.25, delta=0.15)

    def test_serves_its_own_metrics_and_ends_early_with_its_result(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        running = subprocess.Popen([BENCH, "-b", self.server.kafka, "-t", "measured", "-c", "2", "-w", "0", "-d", "0",
                                    "--prometheus-port", str(port)], stdout=subprocess.PIPE, text=True,
                                   env=program.environment())
        try:
            end = time.monotonic() + 10
            text = ""
            while not re.search(r"^chronik_bench_messages_total [1-9]", text, re.M) and time.monotonic() < end:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
                        text = page.read().decode()
                except OSError:
                    time.sleep(0.02)  # it does not listen yet
            self.assertRegex(text, r"(?m)^chronik_bench_messages_total [1-9]")
            self.assertIn("chronik_bench_latency_seconds_count", text)
            running.send_signal(signal.SIGINT)
            told, _ = running.communicate(timeout=10)
            self.assertEqual(running.returncode, 0, told)
            self.assertRegex(told, r"(?m)^messages +[1-9]")
        finally:
            if running.poll() is None:
                running.kill()
                running.communicate()

    def test_deletes_its_topic_afterwards(self):
        self.measure("-n", "10", "--delete-topic-after", topic="short-lived")
        done = self.measure("-m", "consume", topic="short-lived", expect=UNREACHABLE)
        self.assertIn("--topic: 'short-lived': must be a topic that exists", done.stderr)

    def test_exits_with_1_below_the_wanted_throughput(self):
        done = self.measure("--min-throughput", "1e9", expect=BELOW)
        self.assertIn("below --min-throughput 1000000000", done.stderr)

    def test_a_topic_with_other_partitions_is_refused(self):
        self.measure("-n", "1", "--create-topic", "-p", "2", topic="two")
        done = self.measure("-n", "1", "--create-topic", "-p", "3", topic="two", expect=UNREACHABLE)
        self.assertIn("--partitions: '3': must be 2", done.stderr)


class Usage(unittest.TestCase):
    def test_help_and_version_exit_with_0(self):
        for arguments in (["--help"], ["--version"]):
            self.assertEqual(bench(*arguments).returncode, 0)

    def test_wrong_usage_exits_with_2(self):
        for arguments in (["-c", "0"], ["--nonsense"], ["-m", "read"], ["--consumer-group", "g"]):
            self.assertEqual(bench(*arguments).returncode, USAGE, arguments)

    def test_a_broker_that_is_not_there_exits_with_3(self):
        done = bench("-b", "127.0.0.1:1")
        self.assertEqual(done.returncode, UNREACHABLE)
        self.assertIn("127.0.0.1:1", done.stderr)


if __name__ == "__main__":
    unittest.main()
