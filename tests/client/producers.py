"""Producers that write down what was acknowledged, and the comparison of that with what is there."""

import collections
import json
import os
import pathlib
import subprocess
import tempfile
import textwrap
import time

import readers
from broker import SYSTEM_PYTHON, run, run_system_python

PARTITIONS = 6  # of a topic in a cluster

# Each sends numbered records until the file `stop` appears, and writes number, partition, offset and time of each that
# was acknowledged. Arguments: bootstrap servers, topic, directory, partitions, settings of the client. librdkafka takes
# a batch for acknowledged, without an offset (-1 here), where it does not know what became of it and the one behind it
# was acknowledged.
LIBRDKAFKA = textwrap.dedent("""
    import json, os, sys, time
    import confluent_kafka
    addresses, topic, directory, partitions, settings = sys.argv[1:]
    acknowledged = open(os.path.join(directory, topic + ".acknowledged"), "w")
    def told(error, message):
        if error is None:
            offset = message.offset()
            place = f"{message.partition()} {-1 if offset is None else offset}"
            acknowledged.write(f"{int(message.value()[:12])} {place} {time.time():.4f}\\n")
    producer = confluent_kafka.Producer({
        "bootstrap.servers": addresses, "linger.ms": 1, "log_level": 0, "queue.buffering.max.messages": 2000,
        **json.loads(settings)})
    n = 0
    while not os.path.exists(os.path.join(directory, "stop")):
        try:
            producer.produce(topic, b"%012d" % n + b"." * (n % 300), partition=n % int(partitions), on_delivery=told)
            n += 1
        except BufferError:
            producer.poll(0.01)
        producer.poll(0)
        if n % 20 == 0:
            time.sleep(0.002)
    left = producer.flush(60)
    acknowledged.close()
    sys.exit(1 if left else 0)
""")

# What fails may be there or not, at most once: nothing is sent again.
KAFKA_PYTHON = textwrap.dedent("""
    import json, os, sys, time
    import kafka
    addresses, topic, directory, partitions, settings = sys.argv[1:]
    acknowledged = open(os.path.join(directory, topic + ".acknowledged"), "w")
    producer = kafka.KafkaProducer(bootstrap_servers=addresses.split(","), linger_ms=1, **json.loads(settings))
    n = 0
    sent = []
    def settle(all_of_them):
        while sent and (all_of_them or sent[0][1].is_done):
            number, future = sent.pop(0)
            try:
                told = future.get(timeout=60)
                acknowledged.write(f"{number} {told.partition} {told.offset} {time.time():.4f}\\n")
            except kafka.errors.KafkaError:
                pass
    while not os.path.exists(os.path.join(directory, "stop")):
        sent.append((n, producer.send(topic, b"%012d" % n + b"." * (n % 300), partition=n % int(partitions))))
        n += 1
        settle(len(sent) > 500)
        if n % 20 == 0:
            time.sleep(0.01)
    producer.flush(60)
    settle(True)
    acknowledged.close()
""")

# By topic: a client library with its settings. What is sent again is stored once.
OF_A_CLUSTER = {
    "librdkafka": (LIBRDKAFKA, {
        "acks": "all", "enable.idempotence": True, "message.timeout.ms": 60000, "retry.backoff.ms": 50,
        "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.interval.ms": 5000}),
    "kafka-python": (KAFKA_PYTHON, {
        "acks": "all", "retries": 0, "max_block_ms": 60000, "request_timeout_ms": 5000, "retry_backoff_ms": 50,
        "reconnect_backoff_max_ms": 200, "metadata_max_age_ms": 5000}),
}


def create_topics(addresses, names, partitions=PARTITIONS, replicas=3):
    run_system_python(textwrap.dedent("""
        import sys, confluent_kafka.admin as admin
        client = admin.AdminClient({"bootstrap.servers": sys.argv[1]})
        topics = [admin.NewTopic(name, int(sys.argv[2]), int(sys.argv[3])) for name in sys.argv[4:]]
        for future in client.create_topics(topics).values():
            future.result(20)
    """), addresses, partitions, replicas, *names)


class Producers:
    """A process for each topic, from the beginning to stop()."""

    def __init__(self, addresses, topics, partitions=PARTITIONS, start=subprocess.Popen):
        self._own = tempfile.TemporaryDirectory(prefix="chronik-test-")
        self.directory = pathlib.Path(self._own.name)
        self.topics = list(topics)
        self.processes = [start([SYSTEM_PYTHON, "-c", script, addresses, topic, self._own.name, str(partitions),
                                 json.dumps(settings)]) for topic, (script, settings) in topics.items()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait(timeout=20)
        self._own.cleanup()

    def stop(self, test):
        (self.directory / "stop").touch()
        for process in self.processes:
            test.assertEqual(process.wait(timeout=120), 0)

    def compare(self, test, address, topic):
        """With what is there, which comes last; how much was acknowledged, and the longest pause between two
        acknowledgements."""
        acknowledged, times = {}, []
        for line in (self.directory / (topic + ".acknowledged")).read_text().split("\n")[:-1]:
            number, partition, offset, at = line.split(" ")
            acknowledged[int(number)] = (int(partition), int(offset))
            times.append(float(at))
        stored = read_all(test, address, topic)
        lost = [number for number in acknowledged if number not in stored]
        test.assertEqual(lost, [], f"{topic}: acknowledged and lost")
        placeless = {number: stored[number] for number, (_, offset) in acknowledged.items() if offset < 0}
        test.assertLessEqual(len(placeless), len(acknowledged) // 20, f"{topic}: acknowledged without an offset")
        elsewhere = [number for number, (partition, _) in placeless.items() if partition != acknowledged[number][0]]
        test.assertEqual(elsewhere, [], f"{topic}: not in the partition that was acknowledged")
        acknowledged.update(placeless)
        moved = [number for number, place in acknowledged.items() if stored[number] != place]
        test.assertEqual(moved, [], f"{topic}: not at the offset that was acknowledged")
        in_order = sorted(acknowledged, key=acknowledged.get)  # partition by partition
        partitions = {partition for partition, _ in acknowledged.values()}
        by_number = [number for partition in sorted(partitions)
                     for number in sorted(acknowledged) if acknowledged[number][0] == partition]
        test.assertEqual(in_order, by_number, f"{topic}: out of order")
        longest = max((later - earlier for earlier, later in zip(times, times[1:])), default=0)
        return len(acknowledged), longest, stored


def read_all(test, address, topic):
    """Number to (partition, offset) of all that is there, each once, its offsets without a gap."""
    out = run("kcat", "-b", address, "-t", topic, "-C", "-e", "-q", "-f", "%p %o %S %s\n", "-X", "check.crcs=true")
    stored, ends = {}, collections.defaultdict(lambda: -1)
    for line in out.decode().split("\n")[:-1]:
        partition, offset, size, value = line.split(" ")
        number, partition, offset = int(value[:12]), int(partition), int(offset)
        test.assertEqual(offset, ends[partition] + 1, f"{topic}-{partition}: the offset after {ends[partition]}")
        test.assertEqual(int(size), 12 + number % 300, f"{topic}: record {number} has another size")
        test.assertNotIn(number, stored, f"{topic}: record {number} is there twice")
        ends[partition] = offset
        stored[number] = (partition, offset)
    return stored


def chaos_seconds(default):
    """How long to strike: CHRONIK_CHAOS_TIME, "90", "30s", "10m" or "1h"; half of it with CHRONIK_CHAOS_HALVED."""
    text = os.environ.get("CHRONIK_CHAOS_TIME", default)
    seconds = float(text.rstrip("smh")) * {"m": 60, "h": 3600}.get(text[-1], 1)
    return seconds / 2 if os.environ.get("CHRONIK_CHAOS_HALVED") else seconds


def strike_under_load(test, cluster, seconds, pause, strike):
    """strike() again and again, pause() seconds between them, each telling what it did; then everything acknowledged is
    there, asked of each node, and so is all that was shown to readers meanwhile."""
    create_topics(cluster.addresses, OF_A_CLUSTER)
    strikes = 0
    with (Producers(cluster.addresses, OF_A_CLUSTER) as producers,
          readers.Readers(cluster.addresses, readers.OF_A_CLUSTER, PARTITIONS) as reading):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(pause())
            print(json.dumps(strike()), flush=True)
            reading.go_on(test)
            strikes += 1
        producers.stop(test)
        for topic in producers.topics:
            for node in cluster.nodes:
                count, longest, stored = producers.compare(test, node.address, topic)
            shown = reading.compare(test, topic, stored)
            print(json.dumps({"topic": topic, "acknowledged": count, "longest_pause": round(longest, 2),
                              "shown": shown}), flush=True)
            test.assertGreater(count, 100 * strikes, f"{topic}: too little for a test")
        reading.stop(test)
