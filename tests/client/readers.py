"""Consumers that read while nodes are struck: what one was shown is there in the end, at that offset and with that
content, its offsets moved forward, and it goes on whenever the nodes do."""

import pathlib
import subprocess
import tempfile
import textwrap
import time

from broker import SYSTEM_PYTHON

GOES_ON_WITHIN = 15  # seconds after the cluster is whole again
ENDS_WITHIN = 30  # seconds after the last record was written

# Each reads a topic from its beginning until the file `stop` appears, and writes number, partition, offset and size of
# each record. Neither goes on elsewhere where its offset is not there any more: it fails. Arguments: bootstrap servers,
# topic, directory, partitions.
LIBRDKAFKA = textwrap.dedent("""
    import os, sys
    import confluent_kafka
    addresses, topic, directory, partitions = sys.argv[1:]
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": addresses, "group.id": "not-used", "enable.auto.commit": False,
        "auto.offset.reset": "error", "check.crcs": True, "log_level": 0, "fetch.wait.max.ms": 100,
        "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.interval.ms": 5000})
    consumer.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in range(int(partitions))])
    gone = (confluent_kafka.KafkaError._AUTO_OFFSET_RESET, confluent_kafka.KafkaError.OFFSET_OUT_OF_RANGE)
    with open(os.path.join(directory, topic + ".shown"), "w") as shown:
        while not os.path.exists(os.path.join(directory, "stop")):
            for message in consumer.consume(500, 0.1):
                if message.error() is None:
                    value = message.value()
                    shown.write(f"{int(value[:12])} {message.partition()} {message.offset()} {len(value)}\\n")
                elif message.error().code() in gone:
                    sys.exit(message.error().str())
            shown.flush()
""")

KAFKA_PYTHON = textwrap.dedent("""
    import os, sys
    import kafka
    addresses, topic, directory, partitions = sys.argv[1:]
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=addresses.split(","), group_id=None, enable_auto_commit=False, auto_offset_reset="none",
        fetch_max_wait_ms=100, request_timeout_ms=5000, retry_backoff_ms=50, reconnect_backoff_max_ms=200,
        metadata_max_age_ms=5000)
    places = [kafka.TopicPartition(topic, p) for p in range(int(partitions))]
    consumer.assign(places)
    for place in places:
        consumer.seek(place, 0)
    with open(os.path.join(directory, topic + ".shown"), "w") as shown:
        while not os.path.exists(os.path.join(directory, "stop")):
            for records in consumer.poll(timeout_ms=100, max_records=500).values():
                for record in records:
                    shown.write(f"{int(record.value[:12])} {record.partition} {record.offset} {len(record.value)}\\n")
            shown.flush()
""")

OF_A_CLUSTER = {"librdkafka": LIBRDKAFKA, "kafka-python": KAFKA_PYTHON}


class Readers:
    """A process for each topic."""

    def __init__(self, addresses, topics, partitions):
        self._own = tempfile.TemporaryDirectory(prefix="chronik-test-")
        self.directory = pathlib.Path(self._own.name)
        self.processes = {topic: subprocess.Popen([SYSTEM_PYTHON, "-c", script, addresses, topic, self._own.name,
                                                   str(partitions)]) for topic, script in topics.items()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()
            process.wait(timeout=20)
        self._own.cleanup()

    def _bytes(self, topic):
        path = self.directory / (topic + ".shown")
        return path.stat().st_size if path.exists() else 0

    def _wait(self, test, what, seconds, holds):
        end = time.monotonic() + seconds
        while not holds():
            for topic, process in self.processes.items():
                test.assertIsNone(process.poll(), f"the reader of {topic} has ended")
            test.assertLess(time.monotonic(), end, f"not within {seconds} s: {what}")
            time.sleep(0.02)

    def go_on(self, test):
        """Waits until each has been shown more than it has by now."""
        for topic, before in {topic: self._bytes(topic) for topic in self.processes}.items():
            self._wait(test, f"the reader of {topic} goes on", GOES_ON_WITHIN, lambda: self._bytes(topic) > before)

    def compare(self, test, topic, stored):
        """stored: number to (partition, offset) of all that is there in the end. How much was shown."""
        path = self.directory / (topic + ".shown")
        # A line is written whole or not yet.
        self._wait(test, f"the reader of {topic} comes to the end", ENDS_WITHIN,
                   lambda: path.read_bytes().count(b"\n") >= len(stored))
        expected = {partition: 0 for partition, _ in stored.values()}
        for line in path.read_text().split("\n")[:-1]:
            number, partition, offset, size = map(int, line.split(" "))
            test.assertEqual(offset, expected[partition], f"{topic}-{partition}: the next that a reader was shown")
            test.assertEqual(stored.get(number), (partition, offset), f"{topic}: {number} was shown, and is gone")
            test.assertEqual(size, 12 + number % 300, f"{topic}: record {number} was shown with another size")
            expected[partition] += 1
        return sum(expected.values())

    def stop(self, test):
        (self.directory / "stop").touch()
        for topic, process in self.processes.items():
            test.assertEqual(process.wait(timeout=20), 0, f"the reader of {topic} failed")
