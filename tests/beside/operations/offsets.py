"""Offsets of a log: by time, by epoch, and its start moved."""

from records import batch

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED = -1, -2, -3, -4, -5


def run(script):
    script.topic("timeline", 2)
    script.produce("timeline", batch(b"0", b"1", time=1_000_000), batch(b"2", time=3_000_000),
                   batch(b"3", b"4", time=2_000_000))
    by_time(script)
    by_epoch(script)
    delete_records(script)


def by_time(script):
    def ask(name, time, number=0, version=10, topic="timeline", **more):
        of_partition = {key: more.pop(key) for key in ("CurrentLeaderEpoch",) if key in more}
        script.ask(f"offsets: {name}", "ListOffsets", version, ReplicaId=more.pop("ReplicaId", -1), Topics=[
            {"Name": topic, "Partitions": [{"PartitionIndex": number, "Timestamp": time, **of_partition}]}], **more)

    for version in (1, 2, 4, 6, 7, 8, 9, 10):
        ask(f"the end, version {version}", LATEST, version=version)
    for name, time in (("the start", EARLIEST), ("the greatest time", MAX_TIMESTAMP),
                       ("the local start", EARLIEST_LOCAL), ("the end of what is tiered", LATEST_TIERED),
                       ("what is not defined", -6), ("far below 0", -99)):
        ask(name, time)
        ask(f"{name}, of an empty partition", time, number=1)
    ask("the greatest time, version 6", MAX_TIMESTAMP, version=6)
    ask("the local start, version 7", EARLIEST_LOCAL, version=7)
    ask("what is tiered, version 8", LATEST_TIERED, version=8)
    for time in (0, 1_000_000, 1_000_001, 1_500_000, 2_500_000, 3_000_000, 3_000_001):
        ask(f"at {time}", time)
    ask("an unknown partition", LATEST, number=9)
    ask("an unknown topic", LATEST, topic="nowhere")
    ask("a bad name", LATEST, topic="a/b")
    ask("the leader's epoch", LATEST, CurrentLeaderEpoch=0)
    ask("a later epoch", LATEST, CurrentLeaderEpoch=5)
    ask("committed records only", LATEST, IsolationLevel=1)
    ask("as the debugging consumer", LATEST, ReplicaId=-2)
    ask("as a replica that is not there", LATEST, ReplicaId=7)
    script.ask("offsets: the same partition twice", "ListOffsets", 10, ReplicaId=-1, Topics=[
        {"Name": "timeline", "Partitions": [{"PartitionIndex": 0, "Timestamp": LATEST},
                                            {"PartitionIndex": 0, "Timestamp": EARLIEST}]}])
    script.ask("offsets: nothing", "ListOffsets", 10, ReplicaId=-1, Topics=[])


def by_epoch(script):
    def ask(name, epoch, number=0, version=4, topic="timeline", current=-1, **more):
        script.ask(f"epochs: {name}", "OffsetForLeaderEpoch", version, Topics=[{"Topic": topic, "Partitions": [
            {"Partition": number, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}]}], **more)

    ask("the first, version 2", 0, version=2)
    ask("the first, version 3", 0, version=3, ReplicaId=-1)
    ask("the first", 0, ReplicaId=-1)
    ask("a later one", 5)
    ask("below 0", -1)
    ask("far below 0", -5)
    ask("of an empty partition", 0, number=1)
    ask("of an unknown partition", 0, number=9)
    ask("of an unknown topic", 0, topic="nowhere")
    ask("with the current one", 0, current=0)
    ask("with a later one", 0, current=5)


def delete_records(script):
    def ask(name, offset, number=0, version=2, topic="timeline"):
        script.ask(f"delete records: {name}", "DeleteRecords", version, TimeoutMs=5000, Topics=[
            {"Name": topic, "Partitions": [{"PartitionIndex": number, "Offset": offset}]}])

    ask("below 1", 1, version=0)
    ask("below 1 again", 1)
    ask("below less", 0)
    ask("beyond the end", 99)
    ask("below -1", -2)
    ask("in an unknown partition", 1, number=9)
    ask("in an unknown topic", 1, topic="nowhere")
    ask("in a bad name", 1, topic="a/b")
    ask("in a compacted topic", 1, topic="compacted")
    script.ask("delete records: what is left", "ListOffsets", 10, ReplicaId=-1, Topics=[
        {"Name": "timeline", "Partitions": [{"PartitionIndex": 0, "Timestamp": EARLIEST}]}])
    script.ask("delete records: fetched below the start", "Fetch", 12, MaxWaitMs=0, MinBytes=0, Topics=[
        {"Topic": "timeline", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}])
    script.ask("delete records: fetched at the start", "Fetch", 12, MaxWaitMs=0, MinBytes=0, Topics=[
        {"Topic": "timeline", "Partitions": [{"Partition": 0, "FetchOffset": 1, "PartitionMaxBytes": 100}]}])
    ask("all of them", -1)
    script.ask("delete records: nothing is left", "ListOffsets", 10, ReplicaId=-1, Topics=[
        {"Name": "timeline", "Partitions": [{"PartitionIndex": 0, "Timestamp": MAX_TIMESTAMP}]}])
    script.ask("delete records: the epoch of nothing", "OffsetForLeaderEpoch", 4, Topics=[
        {"Topic": "timeline", "Partitions": [{"Partition": 0, "LeaderEpoch": 0}]}])
    script.ask("delete records: of nothing", "DeleteRecords", 2, TimeoutMs=5000, Topics=[])
    script.produce("timeline", batch(b"new"))
    script.ask("delete records: what came after", "Fetch", 12, MaxWaitMs=0, MinBytes=0, Topics=[
        {"Topic": "timeline", "Partitions": [{"Partition": 0, "FetchOffset": 5, "PartitionMaxBytes": 1000}]}])
