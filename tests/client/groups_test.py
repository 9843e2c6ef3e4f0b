"""Consumer groups: Debian's clients share topics, commit, leave, and find their offsets again after the broker died."""

import textwrap
import unittest

from broker import Broker, has_module, run, run_system_python

# Initial delays of groups are Kafka's 3 s, so each of these takes some seconds.
CONFLUENT = textwrap.dedent("""
    import sys, time
    from confluent_kafka import Consumer, Producer, TopicPartition
    address, topic, group, step = sys.argv[1:5]

    def consumer(name):
        return Consumer({"bootstrap.servers": address, "group.id": group, "client.id": name,
                         "auto.offset.reset": "earliest", "session.timeout.ms": 6000, "enable.auto.commit": False,
                         "partition.assignment.strategy": sys.argv[5]})

    def poll_until(consumers, done, seconds=40):
        end = time.time() + seconds
        got = []
        while not done(got):
            assert time.time() < end, f"{len(got)} records, {[len(c.assignment()) for c in consumers]} partitions"
            for one in consumers:
                for message in one.consume(100, 0.05):
                    assert not message.error(), message.error()
                    got.append(message.value())
        return got

    if step == "first":
        producer = Producer({"bootstrap.servers": address, "enable.idempotence": True})
        for i in range(300):
            producer.produce(topic, key=str(i), value=b"%d" % i)
        assert producer.flush(30) == 0
        both = [consumer("one"), consumer("two")]
        for one in both:
            one.subscribe([topic])
        poll_until(both, lambda got: all(one.assignment() for one in both))
        shares = [{p.partition for p in one.assignment()} for one in both]
        assert shares[0] & shares[1] == set() and shares[0] | shares[1] == {0, 1, 2}, shares
        for one in both:
            for part in one.assignment():
                one.seek(TopicPartition(topic, part.partition, 0))
        got = poll_until(both, lambda got: len(got) >= 300)
        assert sorted(map(int, got)) == list(range(300)), len(got)
        for one in both:
            one.commit(asynchronous=False)
        both[0].close()
        poll_until(both[1:], lambda got: len(both[1].assignment()) == 3)
        both[1].close()
    committed = consumer("reader").committed([TopicPartition(topic, i) for i in range(3)], timeout=20)
    assert sum(part.offset for part in committed) == 300, committed
    if step == "again":
        last = consumer("last")
        last.subscribe([topic])
        assert poll_until([last], lambda got: len(last.assignment()) == 3) == []
        assert last.consume(1, 1) == []
        last.close()
""")

KAFKA_PYTHON = textwrap.dedent("""
    import sys, time
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
    address, topic, group = sys.argv[1:4]
    producer = KafkaProducer(bootstrap_servers=address)
    for i in range(100):
        producer.send(topic, b"%d" % i, partition=i % 3)
    producer.flush(30)
    consumer = KafkaConsumer(topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest",
                             enable_auto_commit=False, consumer_timeout_ms=20_000, session_timeout_ms=6000,
                             heartbeat_interval_ms=1000)
    got = []
    for record in consumer:
        got.append(int(record.value))
        if len(got) == 100:
            break
    assert sorted(got) == list(range(100)), len(got)
    consumer.commit()
    admin = KafkaAdminClient(bootstrap_servers=address)
    assert (group, "consumer") in admin.list_consumer_groups(), admin.list_consumer_groups()
    described = admin.describe_consumer_groups([group])[0]
    assert (described.state, described.protocol, len(described.members)) == ("Stable", "range", 1), described
    assert described.members[0].client_host == "/127.0.0.1", described.members[0]
    offsets = admin.list_consumer_group_offsets(group)
    assert {key.partition: value.offset for key, value in offsets.items()} == {0: 34, 1: 33, 2: 33}, offsets
    (name, error), = admin.delete_consumer_groups([group])
    assert error.errno == 68, error  # NON_EMPTY_GROUP
    consumer.close()
    (name, error), = admin.delete_consumer_groups([group])
    assert error.errno == 0, error
    assert (group, "consumer") not in admin.list_consumer_groups()
    (name, error), = admin.delete_consumer_groups([group])
    assert error.errno == 69, error  # GROUP_ID_NOT_FOUND
""")


class Groups(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.broker.start()

    @classmethod
    def tearDownClass(cls):
        cls.broker.__exit__()

    @unittest.skipUnless(has_module("confluent_kafka"), "python3-confluent-kafka is not installed")
    def test_two_consumers_share_and_their_offsets_outlive_the_broker(self):
        for assignor in ("range", "cooperative-sticky"):
            with self.subTest(assignor=assignor):
                arguments = [self.broker.address, "confluent-" + assignor, "group-" + assignor]
                run_system_python(CONFLUENT, *arguments, "first", assignor, seconds=120)
                self.broker.kill()
                self.broker.start()
                run_system_python(CONFLUENT, *arguments, "again", assignor, seconds=120)

    @unittest.skipUnless(has_module("kafka"), "python3-kafka is not installed")
    def test_a_group_is_listed_described_and_deleted(self):
        run_system_python(KAFKA_PYTHON, self.broker.address, "python-topic", "python-group", seconds=120)

    def test_kcat(self):
        topic = "kcat-topic"
        lines = b"".join(b"%d\n" % i for i in range(50))
        run("kcat", "-b", self.broker.address, "-P", "-t", topic, stdin=lines)
        consume = ["kcat", "-b", self.broker.address, "-q", "-G", "kcat-group", "-X", "auto.offset.reset=earliest",
                   "-e", topic]
        self.assertEqual(sorted(run(*consume).split(), key=int), lines.split())
        self.assertEqual(run(*consume), b"")

    def test_nobody_produces_to_the_topic_of_the_groups(self):
        run_system_python(textwrap.dedent("""
            import sys
            from kafka import KafkaConsumer, KafkaProducer
            from kafka.errors import InvalidTopicError
            KafkaConsumer(bootstrap_servers=sys.argv[1], group_id="any").close()
            KafkaConsumer("x", bootstrap_servers=sys.argv[1], group_id="any", consumer_timeout_ms=5000).poll(5000)
            producer = KafkaProducer(bootstrap_servers=sys.argv[1], retries=0)
            try:
                producer.send("__consumer_offsets", b"forged", partition=0).get(20)
            except InvalidTopicError:
                sys.exit(0)
            sys.exit("it was taken")
        """), self.broker.address)


if __name__ == "__main__":
    unittest.main()
