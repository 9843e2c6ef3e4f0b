"""Kafka's own Java clients and tools, where `make java` has fetched them."""

import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest
import urllib.request

from broker import Broker, run
from cluster import Cluster

ROOT = pathlib.Path(os.environ.get("CHRONIK_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
JARS = ROOT / "build" / "kafka-java" / "libs"
COUNT = 20_000
LINES = b"".join(b"%d\n" % i for i in range(COUNT))


def java(name, *arguments, stdin=None):
    return run("java", "-cp", f"{JARS}/*", name, *arguments, stdin=stdin, seconds=120)


@unittest.skipUnless(shutil.which("java") and JARS.is_dir(), "make java fetches Kafka's jars")
class Java(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.__exit__)
        cls.broker.start()

    def produce(self, topic, *properties):
        flags = [flag for text in properties for flag in ("--producer-property", text)]
        java("org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", self.broker.address, "--topic", topic,
             *flags, stdin=LINES)

    def consume(self, topic):
        """All records of the topic, read with assign()."""
        ends = java("org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", self.broker.address,
                    "--topic", topic).decode()
        lines = []
        for partition, end in re.findall(rf"{re.escape(topic)}:(\d+):(\d+)", ends):
            if int(end) > 0:
                lines += java("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server",
                              self.broker.address, "--topic", topic, "--partition", partition, "--offset", "earliest",
                              "--max-messages", end).splitlines(keepends=True)
        return b"".join(sorted(lines, key=int))

    def test_the_console_producer_with_its_defaults_and_a_consumer_with_assign(self):
        self.produce("defaults")
        self.assertEqual(self.consume("defaults"), LINES)

    def groups(self, *arguments):
        return java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
                    self.broker.address, *arguments).decode()

    def test_a_group_and_the_tool_for_groups(self):
        self.produce("grouped")
        read = ["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.broker.address, "--topic",
                "grouped", "--group", "java-group", "--timeout-ms", "15000"]
        lines = java(*read, "--from-beginning", "--max-messages", str(COUNT)).splitlines(keepends=True)
        self.assertEqual(b"".join(sorted(lines, key=int)), LINES)
        self.assertIn("java-group", self.groups("--list").split())
        described = self.groups("--describe", "--group", "java-group")
        rows = [line.split() for line in described.splitlines() if line.startswith("java-group")]
        self.assertEqual(sum(int(row[3]) for row in rows), COUNT, described)
        self.assertEqual({row[5] for row in rows}, {"0"}, described)  # the lag
        self.assertIn("Empty", self.groups("--describe", "--group", "java-group", "--state"))
        self.groups("--reset-offsets", "--group", "java-group", "--topic", "grouped", "--to-earliest", "--execute")
        again = java(*read, "--max-messages", str(COUNT)).splitlines(keepends=True)
        self.assertEqual(b"".join(sorted(again, key=int)), LINES)
        self.assertIn("successful", self.groups("--delete", "--group", "java-group"))
        self.assertNotIn("java-group", self.groups("--list").split())

    def metric(self, name):
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.broker.port + 4000}/metrics", timeout=10).read().decode()
        return int(re.search(rf"^{name} (\d+)", page, re.MULTILINE).group(1))

    def test_a_consumer_fetches_in_a_session(self):
        java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.broker.address, "--create", "--topic",
             "sessions", "--partitions", "20")
        self.produce("sessions")
        command = ["java", "-cp", f"{JARS}/*", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server",
                   self.broker.address, "--topic", "sessions", "--from-beginning", "--timeout-ms", "15000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as consumer:
            lines = [consumer.stdout.readline() for _ in range(COUNT)]
            self.assertEqual(b"".join(sorted(lines, key=int)), LINES)
            self.assertGreaterEqual(self.metric("chronik_fetch_sessions"), 1)
            self.assertGreaterEqual(self.metric("chronik_fetch_session_partitions"), 20)
            # One partition has news; nothing of the others is in the answer, and nothing is missed.
            fetched = self.metric("chronik_fetch_requests_total{result=\"success\"}")
            self.produce("sessions")
            again = [consumer.stdout.readline() for _ in range(COUNT)]
            self.assertEqual(b"".join(sorted(again, key=int)), LINES)
            self.assertGreater(self.metric("chronik_fetch_requests_total{result=\"success\"}"), fetched)
            consumer.terminate()

    def configs(self, *arguments):
        return java("kafka.admin.ConfigCommand", "--bootstrap-server", self.broker.address, *arguments).decode()

    def test_the_tools_for_configurations_elections_and_producers(self):
        self.produce("tools")
        self.configs("--alter", "--entity-type", "topics", "--entity-name", "tools", "--add-config",
                     "retention.ms=1234567")
        described = self.configs("--describe", "--entity-type", "topics", "--entity-name", "tools")
        self.assertIn("retention.ms=1234567 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1234567",
                      described)
        everything = self.configs("--describe", "--all", "--entity-type", "topics", "--entity-name", "tools")
        self.assertIn("segment.bytes=1073741824 sensitive=false synonyms={DEFAULT_CONFIG:log.segment.bytes", everything)
        self.configs("--alter", "--entity-type", "topics", "--entity-name", "tools", "--delete-config", "retention.ms")
        self.assertNotIn("1234567", self.configs("--describe", "--entity-type", "topics", "--entity-name", "tools"))
        of_brokers = self.configs("--describe", "--all", "--entity-type", "brokers", "--entity-name", "1")
        self.assertIn("max.incremental.fetch.session.cache.slots=1000", of_brokers)
        # Without a name it lists what there is: ListConfigResources.
        self.assertIn("Dynamic configs for topic tools", self.configs("--describe", "--entity-type", "topics"))
        self.assertEqual("", self.configs("--describe", "--entity-type", "client-metrics").strip())
        elected = java("org.apache.kafka.tools.LeaderElectionCommand", "--bootstrap-server", self.broker.address,
                       "--election-type", "preferred", "--topic", "tools", "--partition", "0").decode()
        self.assertIn("Valid replica already elected for partitions tools-0", elected)
        self.produce("tools", "enable.idempotence=true")
        states = java("org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", self.broker.address,
                      "describe-producers", "--topic", "tools", "--partition", "0").decode()
        self.assertRegex(states, r"(?m)^\d+\s+0\s+-1\s+\d+\s+\d+\s+None")

    def test_segment_files_are_read_by_kafkas_own_dump_tool(self):
        self.produce("dumped", "compression.type=zstd")
        self.assertEqual(self.broker.stop(), 0)  # a clean stop leaves everything in segments
        self.broker.start()
        records = 0
        for log in sorted((self.broker.directory / "data" / "logs").glob("*/*.log")):
            dumped = java("kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", log)
            dumped = dumped.decode()
            self.assertNotIn("isvalid: false", dumped)
            records += len(re.findall(r"^\| offset: \d+ .*payload: \d+$", dumped, re.MULTILINE))
        self.assertGreaterEqual(records, COUNT)
        self.assertEqual(records % COUNT, 0)  # the other test's records may be there too
        self.assertEqual(self.consume("dumped"), LINES)

    def test_clients_of_a_node_that_waits_for_a_quorum_go_on_when_it_is_there(self):
        with Cluster() as cluster:
            first, *others = cluster.nodes
            first.start()
            cluster.wait_until(lambda: first.state() == "waiting for quorum (1 of 3)", "the first says that it waits")
            clients = [subprocess.Popen(["java", "-cp", f"{JARS}/*", name, "--bootstrap-server", first.address, *rest],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                       for name, *rest in (
                           ("org.apache.kafka.tools.ConsoleProducer", "--topic", "waits"),
                           ("org.apache.kafka.tools.TopicCommand", "--create", "--topic", "made"),
                           ("org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", "waits", "--group", "waits",
                            "--from-beginning", "--max-messages", "1", "--timeout-ms", "60000"))]
            for client in clients:
                self.addCleanup(client.wait)
                self.addCleanup(client.kill)
            clients[0].stdin.write(b"one\n")
            clients[0].stdin.close()
            time.sleep(8)
            self.assertEqual([client.poll() for client in clients], [None] * 3, "they wait")
            for node in others:
                node.start()
            self.assertEqual([client.wait(timeout=60) for client in clients], [0] * 3)
            self.assertEqual(clients[2].stdout.read(), b"one\n")
            for client in clients:
                client.stdout.close()
                client.stdin.close()


if __name__ == "__main__":
    unittest.main()
