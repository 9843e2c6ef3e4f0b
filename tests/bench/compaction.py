#!/usr/bin/env python3
"""What compaction costs a producer beside it, on one node: latency with a compacted log being written, and with one
that is not compacted.

In turns, a writer sends 10 MB/s of records with one of 20,000 keys each to a topic whose cleanup.policy is delete, then
to one that is compacted all the time (segments of 16 MiB, the cleaner looks each second). Meanwhile chronik-bench sends
20,000 messages of 256 bytes a second with acks=1 to a third topic; its latencies are what is printed, with what the
cleaner has read, written and removed.
`tests/bench/compaction.py [SECONDS [ROUNDS]]`, after `make build`; needs Python's confluent_kafka.
"""

import contextlib
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "beside"), str(TESTS / "client")]
from broker import BUILD, SYSTEM_PYTHON, Broker, free_port  # noqa: E402 (of another folder)
from wire import Connection  # noqa: E402 (of another folder)

RATE, CLIENTS, BYTES = 20_000, 64, 256
SEGMENT_BYTES = 16 << 20
SETTLES_S, WARM_UP_S = 5, 10
WRITER = textwrap.dedent("""
    import os, random, sys, time
    import confluent_kafka
    address, topic = sys.argv[1:]
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "linger.ms": 5, "acks": 1})
    value, began, sent = os.urandom(1000), time.monotonic(), 0
    while True:
        try:
            producer.produce(topic, value, key=b"%06d" % random.randrange(20_000))
            sent += 1
        except BufferError:
            producer.poll(0.01)
        if sent % 100 == 0:
            producer.poll(0)
            time.sleep(max(0, began + sent / 10_000 - time.monotonic()))
""")


def create(address, name, configs):
    connection = Connection(address)
    connection.send("CreateTopics", 5, {"timeoutMs": 30_000, "Topics": [
        {"Name": name, "NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [],
         "Configs": [{"Name": key, "Value": value} for key, value in configs.items()]}]})
    if (error := connection.receive("CreateTopics", 5)["Topics"][0]["ErrorCode"]) != 0:
        raise AssertionError(f"the topic was refused with {error}")
    connection.close()


def delete(address, name):
    connection = Connection(address)
    connection.send("DeleteTopics", 5, {"TimeoutMs": 30_000, "TopicNames": [name]})
    connection.receive("DeleteTopics", 5)
    connection.close()


def cleaner(metrics_port):
    connection = http.client.HTTPConnection("127.0.0.1", metrics_port, timeout=5)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if line[0] != "#")
    return [float(samples[f"chronik_log_cleaner_{what}_total"]) for what in
            ("passes", "read_bytes", "written_bytes", "removed_records")]


def measure(broker, metrics_port, policy, number, seconds):
    topic = f"{policy}-{number}"
    create(broker.address, topic, {"cleanup.policy": policy, "segment.bytes": str(SEGMENT_BYTES),
                                   "min.cleanable.dirty.ratio": "0.01"})
    writer = subprocess.Popen([SYSTEM_PYTHON, "-c", WRITER, broker.address, topic])
    try:
        time.sleep(SETTLES_S)
        before = cleaner(metrics_port)
        with tempfile.NamedTemporaryFile(suffix=".json") as result:
            subprocess.run([BUILD / "chronik-bench", "-b", broker.address, "-t", "measured", "-c", str(CLIENTS), "-s",
                            str(BYTES), "--acks", "1", "--rate-limit", str(RATE), "-w", "2s", "-d", f"{seconds}s",
                            "--json-output", result.name], check=True, capture_output=True)
            told = json.load(result)
        passes, read, written, removed = (now - then for now, then in zip(cleaner(metrics_port), before))
    finally:
        writer.kill()
        writer.wait()
        delete(broker.address, topic)
    print(f"{policy:10}{told['latency_p50_us'] / 1000:9.2f}{told['latency_p99_us'] / 1000:9.2f}"
          f"{told['latency_p999_us'] / 1000:10.2f}   {passes:4.0f} passes, {read / 1e6:6.0f} MB read, "
          f"{written / 1e6:6.0f} MB written, {removed:9.0f} records removed", flush=True)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    metrics_port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(f'[bind]\nmetrics = "127.0.0.1:{metrics_port}"\n[broker]\n"log.cleaner.backoff.ms" = 1000\n')
        config.flush()
        with Broker(environment={"CHRONIK_CONFIG": config.name}) as broker:
            print(f"{CLIENTS} clients, {RATE} msg/s of {BYTES} bytes, {seconds} s each, 10 MB/s with keys beside them\n"
                  f"{'beside':10}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}")
            with open(os.devnull, "w", encoding="ascii") as nowhere, contextlib.redirect_stdout(nowhere):
                measure(broker, metrics_port, "delete", "first", WARM_UP_S)
            for number in range(rounds):
                for policy in ("delete", "compact"):
                    measure(broker, metrics_port, policy, number, seconds)


if __name__ == "__main__":
    main()
