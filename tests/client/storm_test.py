"""A group that never rests: members come and go once a second while records keep coming, and a node dies meanwhile.

Here a small one for some seconds. The whole one, of 50 members over 200 partitions for five minutes:

    CHRONIK_STORM=50,200,300 ctest --test-dir build/release -R client_storm -V

The same at brokers that run already, Apache Kafka's for comparison; of these none is killed:

    CHRONIK_STORM_BROKERS=127.0.0.1:9092 python3 -B tests/support/run_python.py tests/client/storm_test.py
"""

import json
import os
import subprocess
import textwrap
import time
import unittest

from broker import SYSTEM_PYTHON, has_module, run_system_python
from cluster import Cluster
from groups_test import MAKE, coordinator_of

BROKERS = os.environ.get("CHRONIK_STORM_BROKERS", "")
MEMBERS, PARTITIONS, SECONDS = (int(n) for n in os.environ.get("CHRONIK_STORM", "8,24,20").split(","))
RATE = 20 * MEMBERS  # records a second

PRODUCE = textwrap.dedent("""
    import sys, time
    from confluent_kafka import Producer
    addresses, topic, partitions, rate, seconds = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    producer = Producer({"bootstrap.servers": addresses, "enable.idempotence": True})
    begun, sent = time.time(), 0
    while time.time() < begun + seconds:
        while sent < (time.time() - begun) * rate:
            producer.produce(topic, b"%d" % sent, partition=sent % partitions)
            sent += 1
        producer.poll(0.02)
    assert producer.flush(60) == 0
    print(sent)
""")

# All members in one process, which therefore knows at each moment what was committed before a partition was given to
# its next owner: from there on, and not from before, it must be read.
MEMBER = textwrap.dedent("""
    import json, random, sys, threading, time
    from confluent_kafka import Consumer, KafkaException, TopicPartition
    addresses, topic, group = sys.argv[1:4]
    most, partitions, seconds = map(int, sys.argv[4:7])
    lock = threading.Lock()
    seen, attempted, acknowledged, wrong = {}, {}, {}, []  # seen: how often, by partition and offset
    refused = 0

    class Member(threading.Thread):
        def __init__(self):
            super().__init__(daemon=True)
            self.running, self.floor, self.next, self.owns = True, {}, {}, set()
            self.start()

        def assigned(self, consumer, given):
            with lock:
                for part in given:
                    self.floor[part.partition] = acknowledged.get(part.partition, 0)
                    self.next.pop(part.partition, None)
                    self.owns.add(part.partition)
            consumer.assign(given)

        def revoked(self, consumer, taken):
            with lock:
                self.owns -= {part.partition for part in taken}
            consumer.unassign()

        def take(self, message):
            part, offset = message.partition(), message.offset()
            if offset < self.floor.get(part, 0):
                wrong.append(f"{part}: {offset} is read again, {self.floor[part]} was committed before it was given")
            if offset > self.next.get(part, attempted.get(part, 0)):
                wrong.append(f"{part}: {offset} is read, and not what is before it")
            self.next[part] = offset + 1
            seen[part, offset] = seen.get((part, offset), 0) + 1

        def run(self):
            global refused
            consumer = Consumer({"bootstrap.servers": addresses, "group.id": group, "auto.offset.reset": "earliest",
                                 "session.timeout.ms": 6000, "heartbeat.interval.ms": 300,
                                 "enable.auto.commit": False})
            consumer.subscribe([topic], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.revoked)
            while self.running:
                messages = [m for m in consumer.consume(500, 0.2) if not m.error()]
                ends = {}
                with lock:
                    for message in messages:
                        self.take(message)
                        ends[message.partition()] = message.offset() + 1
                    for part, end in ends.items():
                        attempted[part] = max(attempted.get(part, 0), end)
                if not ends:
                    continue
                try:
                    done = consumer.commit(offsets=[TopicPartition(topic, p, o) for p, o in ends.items()],
                                           asynchronous=False)
                except KafkaException:  # the group rebalances, or its coordinator has gone: it is read again
                    refused += 1
                    continue
                with lock:
                    for part in done:
                        if part.error is None:
                            acknowledged[part.partition] = max(acknowledged.get(part.partition, 0), part.offset)
            consumer.close()

    def settled(members):  # there are more partitions than members, so each has some
        with lock:
            return all(one.owns for one in members) and \
                sorted(p for one in members for p in one.owns) == list(range(partitions))

    def settle(members):
        begun = time.time()
        while not settled(members):
            assert time.time() < begun + 90, [len(one.owns) for one in members]
            time.sleep(0.02)
        return time.time() - begun

    members = [Member() for _ in range(most)]
    first = settle(members)
    print("ready", flush=True)
    dice, leaving, times, begun, changes = random.Random(1), [], [], time.time(), 0
    while time.time() < begun + seconds:
        if len(members) == most or (len(members) > most * 3 // 4 and dice.random() < 0.5):
            gone = members.pop(dice.randrange(len(members)))
            gone.running = False
            leaving.append(gone)
        else:
            members.append(Member())
        changes += 1
        change, took = time.time(), None
        while time.time() < change + 1:
            if took is None and settled(members):
                took = time.time() - change
            time.sleep(0.02)
        times.append(took if took is not None else 1)
    last = settle(members)
    count = int(sys.stdin.readline())
    end = time.time() + 90
    while len(seen) < count and time.time() < end:
        time.sleep(0.1)
    for one in members + leaving:
        one.running = False
    for one in members + leaving:
        one.join(60)
    with lock:
        print(json.dumps({"records": len(seen), "again": sum(n - 1 for n in seen.values()), "changes": changes,
                          "refused commits": refused, "wrong": wrong[:5], "seconds to form": round(first, 2),
                          "seconds to settle at last": round(last, 2),
                          "median seconds to settle after a change": round(sorted(times)[len(times) // 2], 2),
                          "not within a second": sum(took == 1 for took in times),
                          "committed": sum(acknowledged.values())}), flush=True)
""")


@unittest.skipUnless(has_module("confluent_kafka"), "python3-confluent-kafka is not installed")
class Storm(unittest.TestCase):
    def test_no_record_is_missed(self):
        if BROKERS:
            self.storm(BROKERS, lambda group: None)
            return
        with Cluster() as cluster:
            cluster.start()

            def strike(group):
                killed = coordinator_of(cluster, group)
                killed.kill()
                time.sleep(2)
                killed.start()

            self.storm(cluster.addresses, strike)

    def storm(self, addresses, strike):
        topic, group = "stormy", "storm"
        run_system_python(MAKE, addresses, topic, str(PARTITIONS), seconds=90)
        members = subprocess.Popen([SYSTEM_PYTHON, "-c", MEMBER, addresses, topic, group, str(MEMBERS),
                                    str(PARTITIONS), str(SECONDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        self.addCleanup(members.kill)
        self.assertEqual("ready", members.stdout.readline().strip())
        producer = subprocess.Popen([SYSTEM_PYTHON, "-c", PRODUCE, addresses, topic, str(PARTITIONS), str(RATE),
                                     str(SECONDS)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(producer.kill)
        time.sleep(SECONDS / 2)
        strike(group)
        produced, _ = producer.communicate(timeout=SECONDS + 90)
        self.assertEqual(0, producer.returncode)
        told, _ = members.communicate(produced, timeout=SECONDS + 300)
        self.assertEqual(0, members.returncode)
        result = json.loads(told)
        print(f"{MEMBERS} members, {PARTITIONS} partitions, {SECONDS} s: {result}", flush=True)
        self.assertEqual([], result["wrong"])
        self.assertEqual(int(produced), result["records"])
        self.assertEqual(int(produced), result["committed"])


if __name__ == "__main__":
    unittest.main()
