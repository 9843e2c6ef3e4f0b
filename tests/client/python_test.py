"""kafka-python and confluent-kafka from Debian's packages: keys, headers, timestamps, large messages, partitions."""

import textwrap
import unittest

from broker import Broker, has_module, run_system_python

# Both send these and must get them back: (key, value, headers, timestamp in ms).
COMMON = textwrap.dedent("""
    import sys
    address, topic = sys.argv[1:3]
    sent = [(b"key%d" % i, b"value %d" % i, [("n", b"%d" % i), ("empty", b"")], 1_700_000_000_000 + i)
            for i in range(500)]
    sent.append((b"large", bytes(range(256)) * 3600, [], 1_700_000_001_000))  # 900 kB and a little
    sent.append((None, b"no key", [], 1_700_000_002_000))
    def compare(got):
        assert len(got) == len(sent), f"{len(got)} of {len(sent)} came back"
        for a, b in zip(sent, got):
            assert a == b, f"{str(a)[:200]} came back as {str(b)[:200]}"
""")

KAFKA_PYTHON = COMMON + textwrap.dedent("""
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    producer = KafkaProducer(bootstrap_servers=address, acks="all", compression_type=sys.argv[3] or None)
    futures = [producer.send(topic, key=k, value=v, headers=h, timestamp_ms=t, partition=0) for k, v, h, t in sent]
    producer.flush(30)
    offsets = [future.get(10).offset for future in futures]
    assert offsets == list(range(len(sent))), offsets[:10]
    consumer = KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=20_000,
                             group_id=None)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    assert consumer.end_offsets([partition])[partition] == len(sent)
    found = consumer.offsets_for_times({partition: 1_700_000_000_100})[partition]
    assert (found.offset, found.timestamp) == (100, 1_700_000_000_100), found
    got = []
    for record in consumer:
        got.append((record.key, record.value, record.headers, record.timestamp))
        if len(got) == len(sent):
            break
    compare(got)
""")

CONFLUENT = COMMON + textwrap.dedent("""
    import confluent_kafka
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "acks": "all",
                                         "compression.type": sys.argv[3] or "none"})
    errors = []
    for k, v, h, t in sent:
        producer.produce(topic, key=k, value=v, headers=h, timestamp=t, partition=0,
                         on_delivery=lambda error, message: error and errors.append(str(error)))
        producer.poll(0)
    assert producer.flush(30) == 0 and not errors, errors
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "unused",
                                         "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    partition = confluent_kafka.TopicPartition(topic, 0, 0)
    assert consumer.get_watermark_offsets(partition, timeout=10) == (0, len(sent))
    consumer.assign([partition])
    got = []
    while len(got) < len(sent):
        message = consumer.poll(20)
        assert message is not None, f"nothing more after {len(got)}"
        assert not message.error(), message.error()
        got.append((message.key(), message.value(), message.headers() or [], message.timestamp()[1]))
    compare(got)
""")


class PythonClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.broker.start()

    @classmethod
    def tearDownClass(cls):
        cls.broker.__exit__()

    @unittest.skipUnless(has_module("kafka"), "python3-kafka is not installed")
    def test_kafka_python(self):
        for codec in ["", "gzip", "snappy", "lz4"]:
            with self.subTest(codec=codec):
                run_system_python(KAFKA_PYTHON, self.broker.address, "kafka-python-" + codec, codec)

    @unittest.skipUnless(has_module("confluent_kafka"), "python3-confluent-kafka is not installed")
    def test_confluent_kafka(self):
        for codec in ["", "gzip", "snappy", "lz4", "zstd"]:
            with self.subTest(codec=codec):
                run_system_python(CONFLUENT, self.broker.address, "confluent-" + codec, codec)


if __name__ == "__main__":
    unittest.main()
