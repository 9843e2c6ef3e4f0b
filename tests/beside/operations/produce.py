"""Records produced: what is taken, and each way in which it is refused."""

import time

from operations.cluster import NOBODYS_ID
from records import CONTROL, LOG_APPEND_TIME, TRANSACTIONAL, batch, old_message

HOUR_MS = 3_600_000


def send(script, name, records, topic="records", partition=0, acks=-1, version=9, **more):
    script.ask(f"produce: {name}", "Produce", version, Acks=acks, TimeoutMs=5000, TopicData=[
        {"Name": topic, "PartitionData": [{"Index": partition, "Records": records}]}], **more)


def run(script):
    script.topic("records", 2)
    plain(script)
    damaged(script)
    times(script)
    compacted(script)
    producer_ids(script)
    idempotent(script)
    describe_producers(script)


def plain(script):
    for version in (3, 5, 7, 8, 9, 10, 11, 12):
        send(script, f"version {version}", batch(b"one", b"two", key=b"k"), version=version)
    script.ask("produce: by id", "Produce", 13, Acks=-1, TimeoutMs=5000, TopicData=[
        {"TopicId": script.topic("records-by-id"), "PartitionData": [{"Index": 0, "Records": batch(b"id")}]}])
    script.ask("produce: by an unknown id", "Produce", 13, Acks=-1, TimeoutMs=5000, TopicData=[
        {"TopicId": NOBODYS_ID, "PartitionData": [{"Index": 0, "Records": batch(b"id")}]}])
    send(script, "acks 1", batch(b"one"), acks=1)
    send(script, "acks 2", batch(b"one"), acks=2)
    send(script, "acks -2", batch(b"one"), acks=-2)
    send(script, "an unknown topic", batch(b"one"), topic="nowhere")
    send(script, "a bad name", batch(b"one"), topic="a/b")
    send(script, "an unknown partition", batch(b"one"), partition=9)
    send(script, "a partition below 0", batch(b"one"), partition=-1)
    send(script, "a base offset of its own", batch(b"one", base_offset=500))
    send(script, "to the broker's own topic", batch(b"one"), topic="__cluster_metadata")
    send(script, "with a transactional id", batch(b"one"), TransactionalId="none")
    script.ask("produce: nothing", "Produce", 9, Acks=-1, TimeoutMs=5000, TopicData=[])
    script.topic("records-twice")
    script.ask("produce: the same partition twice", "Produce", 9, Acks=-1, TimeoutMs=5000, TopicData=[
        {"Name": "records-twice", "PartitionData": [
            {"Index": 0, "Records": batch(b"1")}, {"Index": 0, "Records": batch(b"2")}]}])
    script.ask("produce: one good, one bad", "Produce", 9, Acks=-1, TimeoutMs=5000, TopicData=[
        {"Name": "records", "PartitionData": [{"Index": 1, "Records": batch(b"3")}, {"Index": 0, "Records": b""}]},
        {"Name": "nowhere", "PartitionData": [{"Index": 0, "Records": batch(b"4")}]}])
    silent(script, "acks 0", batch(b"silent"), "records")
    silent(script, "acks 0 to an unknown topic", batch(b"silent"), "nowhere")


def silent(script, name, records, topic):
    """acks 0 has no answer; an error closes the connection."""
    connection = script.connection("silent")
    connection.send("Produce", 9, {"Acks": 0, "TimeoutMs": 5000, "TopicData": [
        {"Name": topic, "PartitionData": [{"Index": 0, "Records": records}]}]})
    script.ask(f"produce: after {name}", "Metadata", 1, client="silent", Topics=[])


def damaged(script):
    good = batch(b"one", b"two")
    send(script, "no records", None)
    send(script, "empty records", b"")
    send(script, "a batch of no records", batch(count=0, last_delta=0, body=b""))
    send(script, "a batch of no records that says one", batch(count=1, last_delta=0, body=b""))
    send(script, "a wrong checksum", batch(b"one", crc_change=1))
    send(script, "a batch that is cut off", good[:-3])
    send(script, "a head that is cut off", good[:30])
    send(script, "bytes behind the batch", good + b"\0" * 5)
    send(script, "two batches", good + good)
    send(script, "a length below the least", batch(b"one", length_change=-70))
    send(script, "magic 0", old_message(b"old", 0), version=3)
    send(script, "magic 1", old_message(b"old", 1), version=3)
    send(script, "magic 1, version 9", old_message(b"old", 1))
    send(script, "magic 3", batch(b"one", magic=3))
    send(script, "one record more than it says", batch(b"one", b"two", count=1, last_delta=0))
    send(script, "one record fewer than it says", batch(b"one", b"two", count=3, last_delta=2))
    send(script, "a last offset that is too large", batch(b"one", last_delta=5))
    send(script, "a last offset below 0", batch(b"one", last_delta=-1))
    send(script, "less than no records", batch(b"one", count=-1))
    send(script, "bytes that are no record", batch(b"one", body=b"\7\7\7"))
    send(script, "a control batch", batch(b"one", attributes=CONTROL))
    send(script, "a transactional batch without an id", batch(b"one", attributes=TRANSACTIONAL))
    send(script, "a transactional batch", batch(b"one", attributes=TRANSACTIONAL, producer=(5, 0, 0)))
    send(script, "log append time", batch(b"one", attributes=LOG_APPEND_TIME))
    send(script, "an unknown codec", batch(b"one", attributes=7))
    send(script, "gzip that is none", batch(b"one", attributes=1))
    script.topic("small", max_message_bytes=100)
    send(script, "too large", batch(b"x" * 200), topic="small")
    send(script, "two of which one is too large", batch(b"x") + batch(b"x" * 200), topic="small")
    script.topic("two-needed", min_insync_replicas=2)
    send(script, "with too few in sync", batch(b"one"), topic="two-needed")
    send(script, "with too few in sync, acks 1", batch(b"one"), topic="two-needed", acks=1)


def times(script):
    now = int(time.time() * 1000)
    script.topic("timed", message_timestamp_before_max_ms=HOUR_MS, message_timestamp_after_max_ms=HOUR_MS)
    send(script, "at its time", batch(b"one", time=now), topic="timed")
    send(script, "too early", batch(b"one", b"two", time=now - 2 * HOUR_MS), topic="timed")
    send(script, "too late", batch(b"one", time=now + 2 * HOUR_MS), topic="timed")
    send(script, "no time", batch(b"one", time=-1), topic="timed")
    send(script, "too early, version 5", batch(b"one", time=now - 2 * HOUR_MS), topic="timed", version=5)
    script.topic("stamped", message_timestamp_type="LogAppendTime")
    send(script, "stamped by the broker", batch(b"one", time=5), topic="stamped")


def compacted(script):
    script.topic("compacted", cleanup_policy="compact")
    send(script, "with a key", batch(b"one", key=b"k"), topic="compacted")
    send(script, "without a key", batch(b"one", b"two"), topic="compacted")
    send(script, "without a key, version 5", batch(b"one"), topic="compacted", version=5)


def producer_ids(script):
    def ask(name, version=5, **fields):
        answer = script.ask(f"producer id: {name}", "InitProducerId", version,
                            until=lambda answer: answer["ErrorCode"] not in (14, 15, 16),
                            TransactionalId=fields.pop("TransactionalId", None), TransactionTimeoutMs=60_000, **fields)
        return answer["ProducerId"], answer["ProducerEpoch"]

    for version in (0, 2, 4, 5):
        ask(f"version {version}", version)
    producer = ask("another")
    ask("with an id of its own", ProducerId=producer[0], ProducerEpoch=producer[1])
    ask("with an unknown id", ProducerId=987_654, ProducerEpoch=3)
    ask("with an epoch but no id", ProducerEpoch=3)
    ask("with an id but no epoch", ProducerId=producer[0])
    ask("with an empty transactional id", TransactionalId="")


def idempotent(script):
    script.topic("sequences")
    answer = script.call("InitProducerId", 5, TransactionalId=None, TransactionTimeoutMs=60_000)
    producer = answer["ProducerId"]

    def ask(name, sequence, *values, epoch=0, of=producer):
        send(script, f"sequences: {name}", batch(*values, producer=(of, epoch, sequence)), topic="sequences")

    ask("not from 0", 5, b"x", of=producer + 400)
    ask("the first", 0, b"a", b"b")
    ask("the first again", 0, b"a", b"b")
    ask("the second", 2, b"c")
    ask("the first once more", 0, b"a", b"b")
    ask("a gap", 9, b"x")
    ask("a part of the first", 1, b"b")
    ask("more than the first", 0, b"a", b"b", b"c")
    script.produce("sequences", *(batch(b"d", producer=(producer, 0, sequence)) for sequence in range(3, 9)))
    ask("the first when it is forgotten", 0, b"a", b"b")
    ask("the oldest that is known", 4, b"d")
    ask("the newest again", 8, b"d")
    ask("a new epoch, not from 0", 9, b"x", epoch=1)
    ask("a new epoch", 0, b"e", epoch=1)
    ask("the old epoch", 9, b"x")
    ask("an epoch that skips", 0, b"f", epoch=7)
    ask("an unknown producer", 0, b"g", of=producer + 500)
    ask("another unknown producer, not from 0", 3, b"h", of=producer + 501)
    ask("no sequence", -1, b"x", of=producer)
    ask("no epoch", 0, b"x", epoch=-1)
    send(script, "sequences: two batches of one producer",
         batch(b"1", producer=(producer, 7, 1)) + batch(b"2", producer=(producer, 7, 2)), topic="sequences")


def describe_producers(script):
    def ask(name, *topics):
        script.ask(f"producers: {name}", "DescribeProducers", 0,
                   Topics=[{"Name": topic, "PartitionIndexes": partitions} for topic, partitions in topics])

    ask("of a partition", ("sequences", [0]))
    ask("of one without any", ("records", [1]))
    ask("of an unknown partition", ("records", [9]))
    ask("of an unknown topic", ("nowhere", [0]))
    ask("of a bad name", ("a/b", [0]))
    ask("of none", ("records", []))
