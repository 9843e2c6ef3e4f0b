"""Log compaction on a real server: of each key the last record stays, at its offset, also where it is killed."""

import pathlib
import textwrap
import time
import unittest

from broker import Broker, has_module, run, run_system_python

KEYS, ROUNDS = 50, 200

MAKE = textwrap.dedent("""
    import sys
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": sys.argv[1]})
    admin.create_topics([NewTopic("compacted", 1, 1, config={
        "cleanup.policy": "compact", "segment.bytes": "65536", "min.cleanable.dirty.ratio": "0.1",
        "delete.retention.ms": "500"})])["compacted"].result(30)
""")

# The last of every fifth key is a tombstone.
PRODUCE = textwrap.dedent("""
    import sys
    from confluent_kafka import KafkaException, Producer
    keys, rounds = map(int, sys.argv[2:4])
    producer = Producer({"bootstrap.servers": sys.argv[1], "enable.idempotence": True, "batch.size": 16384})
    for i in range(rounds):
        for key in range(keys):
            last = i == rounds - 1 and key % 5 == 0
            producer.produce("compacted", key=b"%d" % key, value=None if last else b"%d " % i + b"x" * 100)
        producer.poll(0)
    for i in range(2000):  # of one key, so that the segment that is written is another
        producer.produce("compacted", key=b"filler", value=b"%d " % i + b"y" * 100)
    assert producer.flush(60) == 0
    refused = []
    producer.produce("compacted", value=b"no key", on_delivery=lambda error, _: refused.append(error.name()))
    producer.flush(30)
    print(refused)
""")


@unittest.skipUnless(has_module("confluent_kafka"), "python3-confluent-kafka is not installed")
class Compaction(unittest.TestCase):
    def read(self, broker):
        """Key to (offset, value), of the last record of each; and how many records there are."""
        text = run("kcat", "-b", broker.address, "-C", "-t", "compacted", "-o", "beginning", "-e", "-q", "-Z",
                   "-f", "%o|%k|%s\n", seconds=60).decode()
        records = [line.split("|", 2) for line in text.splitlines()]
        offsets = [int(offset) for offset, _, _ in records]
        self.assertEqual(sorted(set(offsets)), offsets)
        return {key: (int(offset), value.split(" ")[0]) for offset, key, value in records}, len(records)

    def wait_until_compacted(self, broker, most):
        end = time.monotonic() + 90
        while time.monotonic() < end:
            latest, count = self.read(broker)
            if count <= most:
                return latest, count
            time.sleep(1)
        self.fail(f"{count} records are left, at most {most} should be:\n{broker.said()}")

    def check(self, before, after):
        """Only a tombstone may be missing: its time is over."""
        for key, record in before.items():
            if key in after or not key.isdigit() or int(key) % 5 != 0:
                self.assertEqual(record, after[key], key)

    def test_the_last_of_each_key_stays(self):
        with Broker() as broker:
            broker.stop()
            config = pathlib.Path(broker.directory) / "server.toml"
            config.write_text('[broker]\n"log.cleaner.backoff.ms" = 100\n')
            broker.environment["CHRONIK_CONFIG"] = str(config)
            broker.start()
            run_system_python(MAKE, broker.address)
            self.assertIn("INVALID_RECORD", run_system_python(PRODUCE, broker.address, str(KEYS), str(ROUNDS),
                                                              seconds=120).decode())
            before, count = self.read(broker)
            self.assertEqual(KEYS * ROUNDS + 2000, count)
            broker.kill()
            broker.start()
            latest, _ = self.wait_until_compacted(broker, 1500)
            self.check(before, latest)
            broker.kill()
            broker.start()
            again, _ = self.read(broker)
            self.check(before, again)


if __name__ == "__main__":
    unittest.main()
