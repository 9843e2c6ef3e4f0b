"""A disk that stalls under a producer: the node says which operation it is and who stands behind it, and goes on."""

import http.client
import json
import re
import signal
import subprocess
import textwrap
import time
import unittest

from broker import SYSTEM_PYTHON, Broker, free_port, has_module

# Two records, the second when told to; says where they are.
PRODUCER = textwrap.dedent("""
    import sys
    from kafka import KafkaProducer
    producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks="all", request_timeout_ms=40_000)
    for value in (b"before", b"behind it"):
        print(producer.send("stuck", value, partition=0).get(40).offset, flush=True)
        sys.stdin.readline()
""")

BEHIND = (r"1 waits for node-1\.0 main-0/wal-commit-0, which has waited \d+ ms for disk operation \d+ "
          r"\(write wal/0/slot-\d+\.wal\): node-1\.0 Produce \d+ of 127\.0\.0\.1:\d+\n")


class Admin:
    def __init__(self, port):
        self.port = port

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def stall(self, milliseconds):
        return self.ask("POST", "/admin/debug/disk", json.dumps({"stall_ms": milliseconds}))[0]


def wait_for(pattern, read):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        text = read()
        if re.search(pattern, text):
            return text
        time.sleep(0.05)
    raise AssertionError(f"'{pattern}' does not come:\n{text}")


class StuckDisk(unittest.TestCase):
    def setUp(self):
        self.admin = Admin(free_port())
        self.environment = {"CHRONIK_ADMIN_BIND": f"127.0.0.1:{self.admin.port}"}

    @unittest.skipUnless(has_module("kafka"), "python3-kafka is not installed")
    def test_the_operation_is_named_with_everyone_behind_it_and_the_rest_goes_on(self):
        with Broker(environment=dict(self.environment, CHRONIK_DEBUG_FAULTS="on")) as broker, subprocess.Popen(
                [SYSTEM_PYTHON, "-c", PRODUCER, broker.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True) as producer:
            self.assertEqual(producer.stdout.readline(), "0\n")
            self.assertEqual(self.admin.stall(-1), 400)
            self.assertEqual(self.admin.stall(60_000), 200)
            producer.stdin.write("\n")
            producer.stdin.flush()
            text = wait_for(BEHIND, lambda: self.admin.ask("GET", "/admin/debug/waits")[1])
            self.assertTrue(text.startswith("no deadlock\n"), text)
            self.assertIn("waits for wal flush (stuck-0 durable to 1 of 2, high watermark 1)", text)
            data = json.loads(self.admin.ask("GET", "/admin/debug/waits.json")[1])
            self.assertIn(["wal flush 0 0 0"], [wait["keys"] for wait in data["waits"]])
            self.assertFalse(data["deadlocked"])
            self.assertEqual(self.admin.ask("GET", "/admin/health")[0], 200)
            broker.process.send_signal(signal.SIGUSR1)
            wait_for(r"chronik::wal::Engine::flush\(\)", broker.said)
            self.assertRegex(broker.said(), BEHIND)
            self.assertEqual(self.admin.stall(0), 200)
            self.assertEqual(producer.stdout.readline(), "1\n")
            producer.stdin.close()
            self.assertEqual(producer.wait(20), 0)

    def test_nobody_stalls_a_disk_that_was_not_started_for_it(self):
        with Broker(environment=self.environment):
            self.assertEqual(self.admin.stall(1), 404)


if __name__ == "__main__":
    unittest.main()
