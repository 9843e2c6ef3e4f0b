"""The main job on real input: this machine's own files through a real client and a broker that is killed on the way.

    make proof                          1 GB and more, 8 kills
    tests/proof/run --bytes 200000000 --kills 3

Every file below the given directories becomes records of up to 60 kB, its path the key, spread over six partitions. The
producer is librdkafka's idempotent one with acks=all; the broker is killed with SIGKILL and started again while it
sends. Then everything is read back, and every byte, the order of each file's parts, and the absence of anything twice
are checked against what was read from the disk. Needs about three times the bytes of free disk.
"""

import argparse
import collections
import hashlib
import os
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "client"))
from broker import Broker  # noqa: E402

try:
    import confluent_kafka
    import confluent_kafka.admin
except ImportError:
    sys.exit("make proof needs python3-confluent-kafka: make deps installs it")

PART_BYTES = 60_000
TOPIC = "proof"
PARTITIONS = 6


def files_below(directories):
    for top in directories:
        for directory, names, files in os.walk(top):
            names.sort()
            for name in sorted(files):
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                    yield path


def show(text):
    end = "\r" if sys.stdout.isatty() else "\n"
    print(f"{text:<78}", end=end, flush=True)


class Killer(threading.Thread):
    """Kills the broker at drawn moments and starts it again; remembers how long each start took."""

    def __init__(self, broker, kills, seed):
        super().__init__(daemon=True)
        self.broker, self.left, self.draws = broker, kills, random.Random(seed)
        self.starts, self.stop, self.failure = [], threading.Event(), None

    def run(self):
        try:
            while self.left > 0 and not self.stop.wait(self.draws.uniform(0.4, 1.6)):
                self.broker.kill()
                began = time.monotonic()
                self.broker.start(60)
                self.starts.append(time.monotonic() - began)
                self.left -= 1
        except BaseException as failure:  # told by the main thread
            self.failure = failure


def produce(broker, directories, wanted, killer):
    """Sends until `wanted` bytes are sent and the kills are done. {key: (sha256, bytes, parts)}, and the bytes."""
    sent, failed, total, passes = {}, [], 0, 0
    producer = confluent_kafka.Producer({
        "bootstrap.servers": broker.address, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
        "compression.type": "lz4", "message.timeout.ms": 300_000, "reconnect.backoff.max.ms": 500,
        "queue.buffering.max.kbytes": 65_536})

    def told(error, message):
        if error is not None:
            failed.append(f"{message.key()}: {error}")

    def send(key, value):
        while True:
            try:
                return producer.produce(TOPIC, key=key, value=value, on_delivery=told)
            except BufferError:
                producer.poll(0.1)

    killer.start()
    shown = 0
    while total < wanted or killer.left > 0:
        passes += 1
        for path in files_below(directories):
            if killer.failure:
                raise killer.failure
            key = f"{passes}:{path}".encode("utf-8", "surrogateescape")
            digest, size, parts = hashlib.sha256(), 0, 0
            with open(path, "rb") as file:
                while part := file.read(PART_BYTES):
                    send(key, part)
                    digest.update(part)
                    size, parts = size + len(part), parts + 1
                    producer.poll(0)
            if parts:
                sent[key] = (digest.hexdigest(), size, parts)
            total += size
            if total >= shown + 50_000_000:
                shown = total
                show(f"sent {total / 1e9:.2f} of {wanted / 1e9:.2f} GB, {len(killer.starts)} kills")
            if total >= wanted and killer.left == 0:
                break
        if not sent:
            sys.exit(f"nothing to read below {' '.join(directories)}")
    left = producer.flush(300)
    assert left == 0 and not failed, f"{left} not delivered, {len(failed)} failed: {failed[:3]}"
    return sent, total


def consume(broker):
    """{path: [sha256, bytes, parts]} of everything in the topic."""
    found = collections.defaultdict(lambda: [hashlib.sha256(), 0, 0])
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": broker.address, "group.id": "proof", "enable.auto.commit": False, "check.crcs": True,
        "auto.offset.reset": "error", "enable.partition.eof": True, "fetch.message.max.bytes": 10_000_000})
    partitions = [confluent_kafka.TopicPartition(TOPIC, n, 0) for n in range(PARTITIONS)]
    consumer.assign(partitions)
    next_offset = dict.fromkeys(range(PARTITIONS), 0)
    open_partitions, total, shown, quiet = set(range(PARTITIONS)), 0, 0, 0
    while open_partitions:
        messages = consumer.consume(1000, 1)
        quiet = 0 if messages else quiet + 1
        assert quiet < 60, "nothing comes any more"
        for message in messages:
            if message.error():
                assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
                open_partitions.discard(message.partition())
                continue
            assert message.offset() == next_offset[message.partition()], "an offset is missing"
            next_offset[message.partition()] += 1
            entry = found[message.key()]
            entry[0].update(message.value())
            entry[1] += len(message.value())
            entry[2] += 1
            total += len(message.value())
            if total >= shown + 100_000_000:
                shown = total
                show(f"read back {total / 1e9:.2f} GB")
    consumer.close()
    return {key: (entry[0].hexdigest(), entry[1], entry[2]) for key, entry in found.items()}, total


def silence_librdkafka():
    """It writes to the descriptor that connections break, which is what we do to them; Python keeps its own."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with open(os.devnull, "w", encoding="ascii") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def main():
    parser = argparse.ArgumentParser(description="The main job on real input.")
    parser.add_argument("--bytes", type=int, default=1_100_000_000, help="at least so many (1100000000)")
    parser.add_argument("--kills", type=int, default=8, help="how often the broker is killed on the way (8)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills (1)")
    parser.add_argument("directories", nargs="*", default=["/var/log", "/var/lib/dpkg", "/usr/share", "/usr/lib"])
    flags = parser.parse_args()
    silence_librdkafka()
    with Broker() as broker:
        admin_wait = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker.address})
        admin_wait.create_topics([confluent_kafka.admin.NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(30)
        killer = Killer(broker, flags.kills, flags.seed)
        began = time.monotonic()
        sent, total = produce(broker, flags.directories, flags.bytes, killer)
        killer.stop.set()
        killer.join(90)
        produced = time.monotonic()
        broker.kill()  # once more, when everything is acknowledged
        broker.start(60)
        found, read = consume(broker)
        consumed = time.monotonic()
        status = broker.stop()
    wrong = [key for key in sent if found.get(key) != sent[key]] + [key for key in found if key not in sent]
    print(f"{len(sent)} files, {sum(parts for _, _, parts in sent.values())} records, {total} bytes sent in "
          f"{produced - began:.1f} s with {len(killer.starts)} kills, read back in {consumed - produced:.1f} s; "
          f"longest start {max(killer.starts, default=0):.2f} s")
    for key in wrong[:10]:
        print(f"  {key.decode(errors='replace')}: sent {sent.get(key)}, found {found.get(key)}")
    verdict = not wrong and read == total and status == 0
    print(f"proof: {'every byte is there, once, in order' if verdict else f'FAILED: {len(wrong)} files differ'}")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
