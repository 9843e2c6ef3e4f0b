"""Uses confluent-kafka as programs do: its source archive has no tests of a broker. A line for each case, with its
milliseconds: PASS 12 NAME, or FAIL 12 NAME: why.

    python confluent_suite.py ADDRESSES NODES
"""

import os
import sys
import time

from confluent_kafka import (OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer,
                             TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

ADDRESSES, NODES = sys.argv[1], int(sys.argv[2])
admin = AdminClient({"bootstrap.servers": ADDRESSES})
cases, made = {}, []


def case(function):
    cases[function.__name__] = function
    return function


def results(futures):
    return {key: future.result(30) for key, future in futures.items()}


def make_topic(what, partitions=3):
    name = f"confluent-{what}-{os.getpid()}-{len(made)}"
    made.append(name)
    results(admin.create_topics([NewTopic(name, partitions, NODES)]))
    return name


def produce(topic, values, partitions=3, **settings):
    """Sends them to the partitions in turn; (partition, offset) of each."""
    producer = Producer({"bootstrap.servers": ADDRESSES, **settings})
    told, errors = [], []

    def delivered(error, message):
        (errors.append(error) if error else told.append((message.partition(), message.offset())))

    for i, value in enumerate(values):
        producer.produce(topic, key=b"%d" % i, value=value, partition=i % partitions, on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(30) == 0
    assert not errors, errors[0]
    return told


def consumer(group, **settings):
    return Consumer({"bootstrap.servers": ADDRESSES, "group.id": group, "auto.offset.reset": "earliest",
                     "session.timeout.ms": 10000, **settings})


def read(reader, count, seconds=40):
    got, end = [], time.monotonic() + seconds
    while len(got) < count:
        assert time.monotonic() < end, f"{len(got)} of {count} in {seconds} s"
        for message in reader.consume(100, 0.2):
            assert not message.error(), message.error()
            got.append(message)
    return got


def values(count, size=20):
    return [(b"%d-" % i).ljust(size, b"x") for i in range(count)]


def round_trip(what, **settings):
    topic, sent = make_topic(what), values(1000)
    produce(topic, sent, **settings)
    reader = consumer(topic + "-group")
    reader.subscribe([topic])
    assert sorted(message.value() for message in read(reader, len(sent))) == sorted(sent)
    reader.close()


for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    cases[f"produce_and_consume_{codec}"] = lambda codec=codec: round_trip(codec, **{"compression.type": codec})
for acks in ("0", "1", "all"):
    cases[f"produce_with_acks_{acks}"] = lambda acks=acks: round_trip("acks", acks=acks)


@case
def idempotent_producer():
    round_trip("idempotent", **{"enable.idempotence": True, "linger.ms": 1, "batch.num.messages": 10})


@case
def large_messages():
    topic, sent = make_topic("large", 1), [os.urandom(900_000) for _ in range(5)]
    produce(topic, sent, 1)
    reader = consumer("unused")
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    assert [message.value() for message in read(reader, 5)] == sent
    reader.close()


@case
def a_group_of_two_shares_a_topic():
    for strategy in ("range", "roundrobin", "cooperative-sticky"):
        topic = make_topic("shared", 4)
        members = [consumer(topic + "-group", **{"partition.assignment.strategy": strategy}) for _ in range(2)]
        for member in members:
            member.subscribe([topic])
        end = time.monotonic() + 40
        while [len(member.assignment()) for member in members] != [2, 2]:
            assert time.monotonic() < end, f"{strategy}: {[member.assignment() for member in members]}"
            for member in members:
                member.poll(0.1)
        for member in members:
            member.close()


@case
def offsets_are_committed_and_gone_on_from():
    topic = make_topic("commits", 1)
    produce(topic, values(20), 1)
    first = consumer(topic + "-group", **{"enable.auto.commit": False})
    first.subscribe([topic])
    first.commit(message=read(first, 10)[9], asynchronous=False)
    first.close()
    second = consumer(topic + "-group")
    second.subscribe([topic])
    assert read(second, 10)[0].offset() == 10
    assert second.committed([TopicPartition(topic, 0)], 20)[0].offset == 10
    second.close()


@case
def static_members_come_back_as_they_were():
    topic = make_topic("static", 2)
    settings = {"group.instance.id": "one", "session.timeout.ms": 20000}
    first = consumer(topic + "-group", **settings)
    first.subscribe([topic])
    produce(topic, values(4), 2)
    read(first, 4)
    first.close()
    again = consumer(topic + "-group", **settings)
    again.subscribe([topic])
    produce(topic, values(4), 2)
    assert len(read(again, 4, seconds=15)) == 4
    again.close()


@case
def watermarks_and_offsets_by_time():
    topic = make_topic("times", 1)
    produce(topic, values(5), 1)
    reader = consumer("unused")
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), 20) == (0, 5)
    assert reader.offsets_for_times([TopicPartition(topic, 0, 1)], 20)[0].offset == 0
    reader.close()
    partition = TopicPartition(topic, 0)
    for spec, offset in ((OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 5), (OffsetSpec.max_timestamp(), 4)):
        told = admin.list_offsets({partition: spec})[partition].result(30).offset
        assert told == offset or spec is not OffsetSpec.latest(), (spec, told)


@case
def topics_are_made_described_extended_and_deleted():
    topic = make_topic("life", 1)
    results(admin.create_partitions([NewPartitions(topic, 4)]))
    from confluent_kafka import TopicCollection
    described = results(admin.describe_topics(TopicCollection([topic])))[topic]
    assert len(described.partitions) == 4 and len(described.partitions[0].replicas) == NODES
    try:
        results(admin.create_topics([NewTopic(topic, 1, 1)]))
        raise AssertionError("it was made twice")
    except KafkaException as error:
        assert error.args[0].name() == "TOPIC_ALREADY_EXISTS", error
    results(admin.delete_topics([topic]))
    assert topic not in admin.list_topics(timeout=20).topics


@case
def configurations_are_altered_and_described():
    topic = make_topic("configs", 1)
    entry = ConfigEntry("retention.ms", "123456", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    results(admin.incremental_alter_configs([resource]))
    told = results(admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))
    assert next(iter(told.values()))["retention.ms"].value == "123456"


@case
def groups_are_listed_described_altered_and_deleted():
    topic = make_topic("groups", 1)
    group = topic + "-group"
    produce(topic, values(5), 1)
    reader = consumer(group)
    reader.subscribe([topic])
    read(reader, 5)
    reader.commit(asynchronous=False)
    state = results(admin.describe_consumer_groups([group]))[group].state.name
    assert state == "STABLE", state
    reader.close()
    assert group in [each.group_id for each in admin.list_consumer_groups().result(30).valid]
    results(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 2)])]))
    told = results(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))[group]
    assert [(each.partition, each.offset) for each in told.topic_partitions] == [(0, 2)]
    results(admin.delete_consumer_groups([group]))
    assert group not in [each.group_id for each in admin.list_consumer_groups().result(30).valid]


@case
def records_are_deleted():
    topic = make_topic("records", 1)
    produce(topic, values(10), 1)
    partition = TopicPartition(topic, 0, 6)
    assert next(iter(results(admin.delete_records([partition])).values())).low_watermark == 6


@case
def the_cluster_is_described():
    described = admin.describe_cluster().result(30)
    assert len(described.nodes) == NODES and described.cluster_id and described.controller


def main():
    for name, run in cases.items():
        begun = time.monotonic()
        try:
            run()
            said = f"PASS {(time.monotonic() - begun) * 1000:.0f} {name}"
        except Exception as error:  # whatever a case ends with is its result
            said = f"FAIL {(time.monotonic() - begun) * 1000:.0f} {name}: {type(error).__name__} {str(error)[:300]!r}"
        print(said, flush=True)


if __name__ == "__main__":
    main()
