"""Three real nodes, struck one after the other, under producers with acks=all: everything acknowledged is there, once,
in order, and nobody is stuck.

CHRONIK_CHAOS_TIME says how long they are struck (30s in `make test`; `make chaos TIME=30m` for more).
"""

import collections
import json
import os
import pathlib
import random
import subprocess
import tempfile
import textwrap
import time
import unittest

from broker import SYSTEM_PYTHON, has_module, run, run_system_python
from cluster import Cluster

TIME = os.environ.get("CHRONIK_CHAOS_TIME", "30s")
SECONDS = float(TIME.rstrip("smh")) * {"m": 60, "h": 3600}.get(TIME[-1], 1)
PARTITIONS = 6

# Sends numbered records until the file `stop` appears; writes number, partition, offset and time of each that was
# acknowledged.
# Idempotent: what is sent again is stored once.
PRODUCER = textwrap.dedent("""
    import os, sys, time
    import confluent_kafka
    addresses, topic, directory = sys.argv[1:4]
    acknowledged = open(os.path.join(directory, topic + ".acknowledged"), "w")
    def told(error, message):
        if error is None:
            place = f"{message.partition()} {message.offset()}"
            acknowledged.write(f"{int(message.value()[:12])} {place} {time.time():.4f}\\n")
    producer = confluent_kafka.Producer({
        "bootstrap.servers": addresses, "acks": "all", "enable.idempotence": True, "linger.ms": 1,
        "message.timeout.ms": 60000, "retry.backoff.ms": 50, "reconnect.backoff.max.ms": 200, "log_level": 0,
        "topic.metadata.refresh.interval.ms": 5000, "queue.buffering.max.messages": 2000})
    n = 0
    while not os.path.exists(os.path.join(directory, "stop")):
        try:
            producer.produce(topic, b"%012d" % n + b"." * (n % 300), partition=n % %d, on_delivery=told)
            n += 1
        except BufferError:
            producer.poll(0.01)
        producer.poll(0)
        if n % 20 == 0:
            time.sleep(0.002)
    left = producer.flush(60)
    acknowledged.close()
    sys.exit(1 if left else 0)
""").replace("%d,", f"{PARTITIONS},")

KAFKA_PYTHON = textwrap.dedent("""
    import os, sys, time
    import kafka
    addresses, topic, directory = sys.argv[1:4]
    acknowledged = open(os.path.join(directory, topic + ".acknowledged"), "w")
    producer = kafka.KafkaProducer(bootstrap_servers=addresses.split(","), acks="all", retries=0, linger_ms=1,
                                   max_block_ms=60000, request_timeout_ms=5000, retry_backoff_ms=50,
                                   reconnect_backoff_max_ms=200, metadata_max_age_ms=5000)
    n = 0
    sent = []
    def settle(all_of_them):
        while sent and (all_of_them or sent[0][1].is_done):
            number, future = sent.pop(0)
            try:
                told = future.get(timeout=60)
                acknowledged.write(f"{number} {told.partition} {told.offset} {time.time():.4f}\\n")
            except kafka.errors.KafkaError:
                pass  # it may be there or not, at most once: nothing is sent again
    while not os.path.exists(os.path.join(directory, "stop")):
        sent.append((n, producer.send(topic, b"%012d" % n + b"." * (n % 300), partition=n % 6)))
        n += 1
        settle(len(sent) > 500)
        if n % 20 == 0:
            time.sleep(0.01)
    producer.flush(60)
    settle(True)
    acknowledged.close()
""")


def read_all(address, topic):
    out = run("kcat", "-b", address, "-t", topic, "-C", "-e", "-q", "-f", "%p %o %S %s\n", "-X", "check.crcs=true")
    return [line.split(" ") for line in out.decode().split("\n")[:-1]]


@unittest.skipUnless(has_module("confluent_kafka") and has_module("kafka"), "the Python clients are not installed")
class ClusterOfThree(unittest.TestCase):
    def check(self, address, topic, acknowledged_file):
        """Compares what was acknowledged with what is there; how much it was, and the longest pause between two."""
        acknowledged, times = {}, []
        for line in acknowledged_file.read_text().split("\n")[:-1]:
            number, partition, offset, at = line.split(" ")
            acknowledged[int(number)] = (int(partition), int(offset))
            times.append(float(at))
        stored, ends = {}, collections.defaultdict(lambda: -1)
        for partition, offset, size, value in read_all(address, topic):
            number, partition, offset = int(value[:12]), int(partition), int(offset)
            self.assertEqual(offset, ends[partition] + 1, f"{topic}-{partition}: the offset after {ends[partition]}")
            self.assertEqual(int(size), 12 + number % 300, f"{topic}: record {number} has another size")
            self.assertNotIn(number, stored, f"{topic}: record {number} is there twice")
            ends[partition] = offset
            stored[number] = (partition, offset)
        lost = [number for number in acknowledged if number not in stored]
        self.assertEqual(lost, [], f"{topic}: acknowledged and lost")
        moved = [number for number, place in acknowledged.items() if stored[number] != place]
        self.assertEqual(moved, [], f"{topic}: not where it was acknowledged")
        longest = max((later - earlier for earlier, later in zip(times, times[1:])), default=0)
        return len(acknowledged), longest

    def in_sync(self, cluster):
        """The sizes of all ISRs, as the first node that answers says it."""
        for node in cluster.nodes:
            try:
                listing = json.loads(run("kcat", "-b", node.address, "-L", "-J", seconds=10))
                return [len(partition["isrs"]) for topic in listing["topics"] for partition in topic["partitions"]]
            except (AssertionError, subprocess.TimeoutExpired):
                pass
        return []

    def strike(self, cluster, draws):
        """One fault on one node, healed again; waits until the cluster is whole."""
        node = draws.choice(cluster.nodes)
        how = draws.choice(["kill", "suspend", "stop"])
        pause = draws.uniform(0.2, 4)
        if how == "kill":
            node.kill()
        elif how == "stop":
            self.assertEqual(node.stop(), 0)
        else:
            node.suspend()
        time.sleep(pause)
        began = time.monotonic()
        if how == "suspend":
            node.resume()
        else:
            node.start()
        cluster.wait_until(lambda: node.state() == "serving", f"node {node.number} serves after {how}")
        cluster.wait_until(lambda: set(self.in_sync(cluster)) == {3}, f"every replica is in sync after {how}")
        whole_after = round(time.monotonic() - began, 2)
        return {"how": how, "node": node.number, "for": round(pause, 2), "whole_after": whole_after}

    def test_everything_acknowledged_survives(self):
        draws = random.Random(int(os.environ.get("CHRONIK_CHAOS_SEED", "1")))
        with Cluster() as cluster, tempfile.TemporaryDirectory(prefix="chronik-test-") as name:
            directory = pathlib.Path(name)
            cluster.start()
            scripts = {"librdkafka": PRODUCER, "kafka-python": KAFKA_PYTHON}
            run_system_python(textwrap.dedent("""
                import sys, confluent_kafka.admin as admin
                client = admin.AdminClient({"bootstrap.servers": sys.argv[1]})
                topics = [admin.NewTopic(name, int(sys.argv[2]), 3) for name in sys.argv[3:]]
                for future in client.create_topics(topics).values():
                    future.result(20)
            """), cluster.addresses, PARTITIONS, *scripts)
            producers = [subprocess.Popen([SYSTEM_PYTHON, "-c", script, cluster.addresses, topic, name])
                         for topic, script in scripts.items()]
            strikes = []
            try:
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    time.sleep(draws.uniform(0.5, 1.5))
                    strikes.append(self.strike(cluster, draws))
                    print(json.dumps(strikes[-1]), flush=True)
                (directory / "stop").touch()
                for producer in producers:
                    self.assertEqual(producer.wait(timeout=120), 0)
            finally:
                for producer in producers:
                    producer.kill()
            for topic in scripts:
                for node in cluster.nodes:
                    count, longest = self.check(node.address, topic, directory / (topic + ".acknowledged"))
                told = {"topic": topic, "acknowledged": count, "longest_pause": round(longest, 2)}
                print(json.dumps(told), flush=True)
                self.assertGreater(count, 100 * len(strikes), f"{topic}: too little for a test")

    def test_nodes_wait_for_each_other(self):
        with Cluster() as cluster:
            first, second, third = cluster.nodes
            first.start()
            cluster.wait_until(lambda: first.state() == "waiting for quorum (1 of 3)", "the first says that it waits")
            self.assertEqual(first.page("/ready")[0], 503)
            self.assertEqual(first.page("/health")[0], 200)
            self.assertEqual(first.stop(), 0, "a node that waits can be stopped")
            third.start()
            time.sleep(1)
            second.start()
            cluster.wait_until(lambda: second.state() == "waiting for quorum (2 of 3)", "two wait for the third")
            first.start()
            for node in cluster.nodes:
                cluster.wait_until(lambda: node.state() == "serving", f"node {node.number} serves")
            # Once formed, two are enough.
            for node in cluster.nodes:
                node.kill()
            second.start()
            third.start()
            for node in (second, third):
                cluster.wait_until(lambda: node.state() == "serving", f"node {node.number} serves without the first")
            run("kcat", "-P", "-b", third.address, "-t", "two", "-X", "acks=all", stdin=b"a\nb\n")


if __name__ == "__main__":
    unittest.main()
