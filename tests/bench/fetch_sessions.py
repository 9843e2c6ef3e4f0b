#!/usr/bin/env python3
"""What a consumer of many partitions costs a broker, with a fetch session (KIP-227) and without one.

Prints, per fetch, the bytes of request and answer and the processor time of the server: once where nothing is new, and
once where one partition has a record. The processor time of the latter is without that of the produce before it.
`tests/bench/fetch_sessions.py [PARTITIONS [FETCHES]]`, after `make build`.
"""

import os
import pathlib
import struct
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "beside"), str(TESTS / "client")]
from broker import Broker  # noqa: E402 (of another folder)
from records import batch  # noqa: E402 (of another folder)
from wire import Connection  # noqa: E402 (of another folder)

TOPIC = "many"
VERSION = 12
UNTIL_S = 60


class CountingConnection(Connection):
    """One that knows how many bytes went and came."""

    def __init__(self, address):
        super().__init__(address)
        self.sent = self.received = 0

    def send_bytes(self, key, version, body, flexible=False):
        self.sent += len(body)
        super().send_bytes(key, version, body, flexible)

    def _receive_exactly(self, count):
        self.received += count
        return super()._receive_exactly(count)


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end_of(records):
    """The offset behind the last whole batch."""
    at = end = 0
    while at + 61 <= len(records):
        base, length = struct.unpack_from(">qi", records, at)
        if at + 12 + length > len(records):
            break
        end = base + struct.unpack_from(">i", records, at + 23)[0] + 1
        at += 12 + length
    return end


class Consumer:
    def __init__(self, connection, partitions, session):
        self.connection = connection
        self.offsets = [0] * partitions
        self.session, self.id, self.epoch = session, 0, 0

    def fetch(self):
        """The partitions that are in the answer."""
        changed = range(len(self.offsets)) if self.epoch == 0 or not self.session else self.moved
        topics = [{"Topic": TOPIC, "Partitions": [
            {"Partition": number, "FetchOffset": self.offsets[number], "PartitionMaxBytes": 1 << 20}
            for number in changed]}] if changed else []
        self.connection.send("Fetch", VERSION, {
            "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 50 << 20, "SessionId": self.id,
            "SessionEpoch": self.epoch if self.session else -1, "Topics": topics})
        answer = self.connection.receive("Fetch", VERSION)
        if answer["ErrorCode"] != 0:
            raise AssertionError(f"the fetch was refused with {answer['ErrorCode']}")
        self.id, self.epoch = answer["SessionId"], self.epoch + 1
        self.moved = []
        partitions = [one for topic in answer["Responses"] for one in topic["Partitions"]]
        for one in partitions:
            if one["ErrorCode"] != 0:
                raise AssertionError(f"partition {one['PartitionIndex']} was refused with {one['ErrorCode']}")
            if one["Records"]:
                self.offsets[one["PartitionIndex"]] = end_of(one["Records"])
                self.moved.append(one["PartitionIndex"])
        return partitions


def produce(connection, partition):
    record = batch(b"x" * 100, time=int(time.time() * 1000))
    connection.send("Produce", 9, {"Acks": 1, "TimeoutMs": 10_000, "TopicData": [
        {"Name": TOPIC, "PartitionData": [{"Index": partition, "Records": record}]}]})
    answer = connection.receive("Produce", 9)
    if (error := answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]) != 0:
        raise AssertionError(f"the produce was refused with {error}")


def make_topic(connection, partitions):
    connection.send("CreateTopics", 5, {"timeoutMs": 30_000, "Topics": [
        {"Name": TOPIC, "NumPartitions": partitions, "ReplicationFactor": 1, "Assignments": [], "Configs": []}]})
    if (error := connection.receive("CreateTopics", 5)["Topics"][0]["ErrorCode"]) != 0:
        raise AssertionError(f"the topic was refused with {error}")


def measure(pid, fetches, consumer, before):
    """Bytes out, bytes in and the server's processor seconds, each per fetch."""
    connection = consumer.connection
    sent, received, busy = connection.sent, connection.received, processor_seconds(pid)
    for _ in range(fetches):
        expected = before()
        answered = consumer.fetch()
        if expected and sum(1 for one in answered if one["Records"]) != expected:
            raise AssertionError(f"{expected} record was produced, the answer has {answered}")
    return ((connection.sent - sent) / fetches, (connection.received - received) / fetches,
            (processor_seconds(pid) - busy) / fetches)


def main():
    partitions, fetches = ([int(argument) for argument in sys.argv[1:]] + [1000, 1000][len(sys.argv) - 1:])[:2]
    print(f"{partitions} partitions, {fetches} fetches each; per fetch:")
    print(f"{'':32}{'request':>12}{'answer':>12}{'processor':>12}")
    with Broker() as broker:
        producer = Connection(broker.address)
        make_topic(producer, partitions)
        next_partition = 0

        def produce_one():
            nonlocal next_partition
            produce(producer, next_partition % partitions)
            next_partition += 7
            return 1

        for number in range(partitions):  # each log has been opened before anything is measured
            produce(producer, number)
        busy = processor_seconds(broker.process.pid)
        for _ in range(fetches):
            produce_one()
        of_produce = (processor_seconds(broker.process.pid) - busy) / fetches
        for session in (False, True):
            consumer = Consumer(CountingConnection(broker.address), partitions, session)
            end = time.monotonic() + UNTIL_S
            while any(one["Records"] for one in consumer.fetch()):
                if time.monotonic() > end:
                    raise AssertionError(f"the consumer is not at the end after {UNTIL_S} s")
            for name, before, aside in (("nothing new", lambda: 0, 0), ("one record", produce_one, of_produce)):
                out, back, busy = measure(broker.process.pid, fetches, consumer, before)
                print(f"{('a session' if session else 'no session') + ', ' + name:32}{out:10.0f} B{back:10.0f} B"
                      f"{(busy - aside) * 1e6:9.0f} us", flush=True)


if __name__ == "__main__":
    main()
