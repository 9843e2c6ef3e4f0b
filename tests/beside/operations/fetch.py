"""Records fetched: ranges, limits, epochs, sessions."""

from operations.cluster import NOBODYS_ID
from records import batch

FETCHED, OTHER = "fetched", "other"


def partition(offset, number=0, bytes_max=1 << 20, **more):
    return {"Partition": number, "FetchOffset": offset, "PartitionMaxBytes": bytes_max, **more}


def fetch(script, name, *partitions, topic=FETCHED, version=12, wait_ms=0, bytes_min=0, topics=None, **more):
    """topics: in place of the partitions of one topic."""
    topics = [{"Topic": topic, "Partitions": list(partitions)}] if topics is None else topics
    return script.ask(f"fetch: {name}", "Fetch", version, MaxWaitMs=wait_ms, MinBytes=bytes_min, Topics=topics, **more)


def run(script):
    topic_id = script.topic(FETCHED, 2)
    script.topic(OTHER)
    script.produce(FETCHED, batch(b"0", b"1", b"2"), batch(b"3"), batch(b"4", b"5"))
    ranges(script)
    by_id(script, topic_id)
    limits(script)
    epochs(script)
    session(script)
    bad_sessions(script)
    session_by_id(script, topic_id)


def ranges(script):
    for version in (4, 5, 7, 9, 11, 12):
        fetch(script, f"all, version {version}", partition(0), version=version)
    fetch(script, "from the middle of a batch", partition(1))
    fetch(script, "the last batch", partition(4))
    fetch(script, "at the end", partition(6))
    fetch(script, "beyond the end", partition(7))
    fetch(script, "below 0", partition(-1))
    fetch(script, "nothing in it", partition(0, 1))
    fetch(script, "an unknown partition", partition(0, 9))
    fetch(script, "an unknown topic", partition(0), topic="nowhere")
    fetch(script, "an unknown topic, version 4", partition(0), topic="nowhere", version=4)
    fetch(script, "a bad name", partition(0), topic="a/b")
    fetch(script, "nothing", topics=[])
    fetch(script, "the same partition twice", partition(0), partition(4))
    fetch(script, "committed records only", partition(0), IsolationLevel=1)
    fetch(script, "an unknown isolation", partition(0), IsolationLevel=7)
    fetch(script, "at the end, and waits", partition(6), wait_ms=100, bytes_min=1)
    fetch(script, "with a rack", partition(4), RackId="here")
    fetch(script, "as a replica that is not there", partition(4), ReplicaId=7, version=12)
    fetch(script, "as the debugging consumer", partition(4), ReplicaId=-2)


def by_id(script, topic_id):
    def ask(name, topic_id, *partitions, version=13):
        fetch(script, name, version=version, topics=[{"TopicId": topic_id, "Partitions": list(partitions)}])

    for version in (13, 15, 16, 17):
        ask(f"by id, version {version}", topic_id, partition(4), version=version)
    ask("by an unknown id", NOBODYS_ID, partition(0))
    ask("by no id", "", partition(0))
    ask("by id, beyond the end", topic_id, partition(7))
    ask("by id, an unknown partition", topic_id, partition(0, 9))


def limits(script):
    fetch(script, "at most 1 byte", partition(0), MaxBytes=1)
    fetch(script, "at most 0 bytes", partition(0), MaxBytes=0)
    fetch(script, "at most 0 bytes of the partition", partition(0, bytes_max=0))
    fetch(script, "at most 1 byte of the partition", partition(0, bytes_max=1))
    fetch(script, "at most 1 byte of each", topics=[{"Topic": OTHER, "Partitions": [partition(0, bytes_max=1)]},
                                                    {"Topic": FETCHED, "Partitions": [partition(0, bytes_max=1)]}])
    fetch(script, "less than 0 bytes", partition(0), MaxBytes=-1)
    fetch(script, "one batch and a part", partition(0, bytes_max=100))
    fetch(script, "bytes for the first of two", partition(0), partition(0, 1), MaxBytes=100)


def epochs(script):
    """The leader's epoch is 0 on both brokers: nobody has led before."""
    fetch(script, "with the leader's epoch", partition(4, CurrentLeaderEpoch=0))
    fetch(script, "with a later epoch", partition(4, CurrentLeaderEpoch=5))
    fetch(script, "with an epoch below 0", partition(4, CurrentLeaderEpoch=-2))
    fetch(script, "with the last record's epoch", partition(4, LastFetchedEpoch=0))
    fetch(script, "with a later epoch of the last record", partition(4, LastFetchedEpoch=5))
    fetch(script, "beyond the end, with the last record's epoch", partition(9, LastFetchedEpoch=0))


def session(script):
    answer = fetch(script, "session: new", partition(0), partition(0, 1), SessionEpoch=0)
    number = answer["SessionId"]

    def ask(name, epoch, *partitions, **more):
        more.setdefault("topics", [{"Topic": FETCHED, "Partitions": list(partitions)}] if partitions else [])
        fetch(script, f"session: {name}", SessionId=number, SessionEpoch=epoch, **more)

    ask("nothing new to tell", 1, partition(6))
    script.produce(FETCHED, batch(b"6"))
    ask("a record is new", 2)
    ask("the same record again", 3)
    ask("go on", 4, partition(7))
    ask("one more partition", 5, topics=[{"Topic": OTHER, "Partitions": [partition(0)]}])
    ask("an unknown topic", 6, topics=[{"Topic": "nowhere", "Partitions": [partition(0)]}])
    ask("the unknown topic is told again", 7)
    ask("forget one", 8, ForgottenTopicsData=[{"Topic": "nowhere", "Partitions": [0]}])
    ask("forget what is not in it", 9, ForgottenTopicsData=[{"Topic": OTHER, "Partitions": [7]}])
    ask("out of range", 10, partition(99))
    ask("out of range again", 11)
    ask("a wrong epoch", 20)
    ask("the right one after it", 12, partition(7))
    ask("an epoch once more", 12)
    ask("ended", -1, partition(4))
    ask("after its end", 13)


def bad_sessions(script):
    fetch(script, "session: an unknown number", topics=[], SessionId=12345, SessionEpoch=1)
    fetch(script, "session: an unknown number, epoch 0", partition(4), SessionId=12345, SessionEpoch=0)
    fetch(script, "session: no number, epoch 5", topics=[], SessionId=0, SessionEpoch=5)
    fetch(script, "session: none", partition(4), SessionId=0, SessionEpoch=-1)
    fetch(script, "session: of what is unknown", partition(0), topic="nowhere", SessionEpoch=0)


def session_by_id(script, topic_id):
    topics = [{"TopicId": topic_id, "Partitions": [partition(7)]}]
    answer = fetch(script, "session by id: new", version=13, topics=topics, SessionEpoch=0)
    number = answer["SessionId"]
    fetch(script, "session by id: an unknown id", version=13, SessionId=number, SessionEpoch=1,
          topics=[{"TopicId": NOBODYS_ID, "Partitions": [partition(0)]}])
    fetch(script, "session by id: told again", version=13, topics=[], SessionId=number, SessionEpoch=2)
    fetch(script, "session by id: by name now", topics=[], SessionId=number, SessionEpoch=3)
    fetch(script, "session: of nothing", topics=[], SessionId=0, SessionEpoch=0)
