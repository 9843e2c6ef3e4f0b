"""Kafka's own Java clients and tools, where `make java` has fetched them."""

import os
import pathlib
import re
import shutil
import unittest

from broker import Broker, run

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


if __name__ == "__main__":
    unittest.main()
