"""Consumer groups: Debian's clients share topics, commit, leave, and find their offsets again after the broker died."""

import contextlib
import pathlib
import subprocess
import textwrap
import time
import unittest
import urllib.request

from broker import SYSTEM_PYTHON, Broker, has_module, run, run_system_python
from cluster import Cluster

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
    admin.delete_topics([topic])
    for _ in range(100):
        if not admin.list_consumer_group_offsets(group):
            break
        time.sleep(0.1)
    assert admin.list_consumer_group_offsets(group) == {}
    (name, error), = admin.delete_consumer_groups([group])
    assert error.errno == 0, error
    assert (group, "consumer") not in admin.list_consumer_groups()
    (name, error), = admin.delete_consumer_groups([group])
    assert error.errno == 69, error  # GROUP_ID_NOT_FOUND
""")


MAKE = textwrap.dedent("""
    import sys
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": sys.argv[1]})
    admin.create_topics([NewTopic(sys.argv[2], int(sys.argv[3]), 3)])[sys.argv[2]].result(30)
""")

PRODUCE = textwrap.dedent("""
    import sys, time
    from confluent_kafka import Producer
    addresses, topic, count, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    producer = Producer({"bootstrap.servers": addresses, "enable.idempotence": True})
    for i in range(count):
        producer.produce(topic, b"%d" % i, partition=i % 6)
        producer.poll(seconds / count)
    sys.exit(producer.flush(40))
""")

COMMITTED = textwrap.dedent("""
    import sys
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[3]})
    print(sum(p.offset for p in consumer.committed([TopicPartition(sys.argv[2], i) for i in range(6)], timeout=30)))
""")

# A member that writes down what it has, and commits it, until it is told to end.
MEMBER = textwrap.dedent("""
    import signal, sys
    from confluent_kafka import Consumer
    addresses, topic, group = sys.argv[1:4]
    running = True
    def end(*_):
        global running
        running = False
    signal.signal(signal.SIGTERM, end)
    member = Consumer({"bootstrap.servers": addresses, "group.id": group, "auto.offset.reset": "earliest",
                       "session.timeout.ms": 6000, "enable.auto.commit": False})
    member.subscribe([topic])
    while running:
        messages = [m for m in member.consume(100, 0.2) if not m.error()]
        for message in messages:
            print(int(message.value()), flush=True)
        if messages:
            try:
                member.commit(asynchronous=False)
            except Exception as error:  # the group rebalances, or its coordinator has gone: it is read again
                print("not committed:", error, file=sys.stderr)
    member.close()
""")


def coordinator_of(cluster, group):
    """The node that leads the group's partition of __consumer_offsets, by Kafka's hash."""
    number = 0
    for letter in group:
        number = (number * 31 + ord(letter)) & 0xFFFFFFFF
    topic = next(t for t in cluster.listing(cluster.nodes[0])["topics"] if t["topic"] == "__consumer_offsets")
    partition = min(number, 2**32 - number) % len(topic["partitions"])
    leader = next(p["leader"] for p in topic["partitions"] if p["partition"] == partition)
    return next(node for node in cluster.nodes if node.number == leader)


@unittest.skipUnless(has_module("confluent_kafka"), "python3-confluent-kafka is not installed")
class GroupsOfThreeNodes(unittest.TestCase):
    def test_a_group_goes_on_when_its_coordinator_is_killed(self):
        seconds = 12
        with Cluster() as cluster, contextlib.ExitStack() as stack:
            cluster.start()
            topic, group, count = "grouped", "three-nodes", 3000
            out = [stack.enter_context(open(cluster.directory / f"member-{i}", "w+b")) for i in range(3)]
            err = stack.enter_context(open(cluster.directory / "members", "w+b"))
            # The topic of groups is made by whoever asks first, and with as many replicas as there are nodes then.
            run_system_python(MAKE, cluster.addresses, topic, "6", seconds=60)
            members = [subprocess.Popen([SYSTEM_PYTHON, "-c", MEMBER, cluster.addresses, topic, group], stdout=file,
                                        stderr=err) for file in out]
            for member in members:
                stack.callback(member.wait)
                stack.callback(member.kill)
            producer = subprocess.Popen([SYSTEM_PYTHON, "-c", PRODUCE, cluster.addresses, topic, str(count),
                                         str(seconds)])
            time.sleep(seconds / 2)
            killed = coordinator_of(cluster, group)
            killed.kill()
            time.sleep(2)
            killed.start()
            self.assertEqual(producer.wait(60), 0)

            def read():
                return [int(line) for file in out for line in pathlib.Path(file.name).read_bytes().split()]
            cluster.wait_until(lambda: set(read()) == set(range(count)), "every record was read by a member", 60)
            time.sleep(1)  # for the last commits
            for member in members:
                member.terminate()
                self.assertEqual(member.wait(30), 0)
            # At least once, and what was read twice is what had not been committed when the coordinator went.
            self.assertLess(len(read()), 2 * count)
            committed = run_system_python(COMMITTED, cluster.addresses, topic, group, seconds=60)
            self.assertEqual(int(committed), count)


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

    def test_the_metrics_of_groups(self):
        with Broker() as broker:
            run_system_python(KAFKA_PYTHON, broker.address, "counted", "counted-group", seconds=120)
            with urllib.request.urlopen(f"http://127.0.0.1:{broker.port + 4000}/metrics", timeout=10) as page:
                lines = dict(line.rsplit(" ", 1) for line in page.read().decode().splitlines() if line[0] != "#")
        self.assertEqual(lines["chronik_groups"], "0")  # it was deleted
        self.assertEqual(lines["chronik_group_members"], "0")
        self.assertEqual(lines["chronik_group_rebalances_total"], "2")  # it came, and went
        self.assertEqual(lines["chronik_group_offsets_committed_total"], "3")

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
