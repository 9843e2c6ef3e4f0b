"""Topics: made, told, grown, moved, deleted."""

from operations.cluster import NOBODYS_ID


def one(name, partitions=1, replicas=1, **more):
    return {"Name": name, "NumPartitions": partitions, "ReplicationFactor": replicas, **more}


def run(script):
    create(script)
    create_with_assignments(script)
    create_with_configs(script)
    metadata(script)
    describe_partitions(script)
    grow(script)
    reassign(script)
    elect(script)
    delete(script)


def create(script):
    def ask(name, *topics, version=7, **more):
        script.ask(f"create: {name}", "CreateTopics", version, timeoutMs=10_000, Topics=list(topics), **more)

    ask("one partition", one("a"))
    ask("it exists", one("a"))
    ask("three partitions, version 2", one("b", 3), version=2)
    ask("version 5", one("c", 2), version=5)
    ask("the broker's defaults", one("defaults", -1, -1))
    ask("only validated", one("validated"), validateOnly=True)
    ask("only validated, and exists", one("a"), validateOnly=True)
    ask("only validated, with a bad replication factor", one("validated", replicas=5), validateOnly=True)
    for name in ("", ".", "..", "a/b", "x" * 250):
        ask(f"the name {name[:9]!r}", one(name))
    ask("a name that collides with another", one("with.dot"), one("with_dot"))
    script.topic("other.dot")
    ask("a name that collides with one that is there", one("other_dot"))
    ask("no partitions", one("bad", 0))
    ask("less than no partitions", one("bad", -2))
    ask("more replicas than brokers", one("bad", 1, 2))
    ask("no replicas", one("bad", 1, 0))
    ask("less than no replicas", one("bad", 1, -2))
    ask("one good, one bad", one("good"), one("bad", 0))
    ask("the same twice", one("twice"), one("twice"))
    ask("the same twice and another", one("twice"), one("twice"), one("once"))
    ask("nothing")
    ask("no partitions, version 2", one("bad", 0), version=2)
    ask("a name of the broker's own", one("__consumer_offsets"), validateOnly=True)
    script.ask("create: no time", "CreateTopics", 7, timeoutMs=0, Topics=[one("no-time")])
    for name, partitions in (("a", 1), ("b", 3), ("c", 2), ("defaults", 1), ("good", 1)):
        script.led(name, partitions)


def create_with_assignments(script):
    def ask(name, assignments, partitions=-1, replicas=-1):
        topic = one(f"placed-{name}", partitions, replicas,
                    Assignments=[{"PartitionIndex": index, "BrokerIds": brokers} for index, brokers in assignments])
        script.ask(f"create placed: {name}", "CreateTopics", 7, timeoutMs=10_000, Topics=[topic])

    ask("two", [(0, [1]), (1, [1])])
    ask("unordered", [(1, [1]), (0, [1])])
    ask("with a number", [(0, [1])], partitions=1)
    ask("with a factor", [(0, [1])], replicas=1)
    ask("with the same number and factor", [(0, [1])], 1, 1)
    ask("with a hole", [(0, [1]), (2, [1])])
    ask("not from 0", [(1, [1])])
    ask("one twice", [(0, [1]), (0, [1])])
    ask("on nobody", [(0, [])])
    ask("on an unknown broker", [(0, [7])])
    ask("on a broker twice", [(0, [1, 1])])


def create_with_configs(script):
    def ask(name, configs, **more):
        topic = one(f"set-{name}", Configs=[{"Name": key, "Value": value} for key, value in configs])
        script.ask(f"create set: {name}", "CreateTopics", 7, timeoutMs=10_000, Topics=[topic], **more)

    ask("retention", [("retention.ms", "12345"), ("cleanup.policy", "compact,delete")])
    ask("unknown", [("no.such.setting", "1")])
    ask("not-a-number", [("retention.ms", "soon")])
    ask("out-of-range", [("segment.bytes", "1")])
    ask("below-the-range", [("retention.ms", "-2")])
    ask("not-a-boolean", [("unclean.leader.election.enable", "maybe")])
    ask("not-in-the-list", [("cleanup.policy", "forget")])
    ask("null", [("retention.ms", None)])
    ask("twice", [("retention.ms", "1"), ("retention.ms", "2")])
    ask("an-empty-name", [("", "1")])
    ask("policy-empty", [("cleanup.policy", "")])
    ask("in-sync", [("min.insync.replicas", "3")])
    ask("spaces", [("retention.ms", " 1000 ")])
    ask("policy-twice", [("cleanup.policy", "delete,delete")])
    ask("timestamp-type", [("message.timestamp.type", "SomeTime")])
    ask("ratio", [("min.cleanable.dirty.ratio", "1.5")])
    ask("validated", [("retention.ms", "5")], validateOnly=True)


def metadata(script):
    for version in (0, 4, 7, 8, 9, 10, 12, 13):
        script.ask(f"metadata {version} of a topic", "Metadata", version, Topics=[{"Name": "b"}])
    script.ask("metadata 12 with operations", "Metadata", 12, Topics=[{"Name": "a"}],
               IncludeTopicAuthorizedOperations=True)
    topic_id = script.led("b", 3)
    script.ask("metadata 12 by id", "Metadata", 12, Topics=[{"TopicId": topic_id, "Name": None}])
    script.ask("metadata 12 by id and another name", "Metadata", 12, Topics=[{"TopicId": topic_id, "Name": "a"}])
    script.ask("metadata 12 of the same twice", "Metadata", 12, Topics=[{"Name": "a"}, {"Name": "a"}])
    script.ask("metadata 12 of one that is and one that is not", "Metadata", 12,
               Topics=[{"Name": "a"}, {"Name": "nowhere"}], AllowAutoTopicCreation=False)
    script.ask("metadata 4 makes a topic", "Metadata", 4, Topics=[{"Name": "made"}], AllowAutoTopicCreation=True)
    script.led("made")
    script.ask("metadata 4 of what it made", "Metadata", 4, Topics=[{"Name": "made"}])
    script.ask("metadata 0 makes a topic", "Metadata", 0, Topics=[{"Name": "made-0"}])
    script.ask("metadata 5 does not make a bad one", "Metadata", 5, Topics=[{"Name": "b@d"}])


def describe_partitions(script):
    def ask(name, *topics, **more):
        answer = script.ask(f"describe partitions: {name}", "DescribeTopicPartitions", 0,
                            Topics=[{"Name": topic} for topic in topics], **more)
        return answer.get("NextCursor")

    ask("of two topics", "b", "a")
    ask("of an unknown topic", "nowhere", "a")
    ask("of a bad name", "a/b")
    ask("of the same twice", "a", "a")
    cursor = ask("two of three", "b", "c", ResponsePartitionLimit=2)
    ask("from there", "b", "c", Cursor=cursor)
    ask("from a topic that is not asked for", "c", Cursor={"TopicName": "a", "PartitionIndex": 0})
    ask("from a partition that is not there", "b", Cursor={"TopicName": "b", "PartitionIndex": 9})
    ask("from a partition below 0", "b", Cursor={"TopicName": "b", "PartitionIndex": -1})
    ask("none at all", "b", ResponsePartitionLimit=0)


def grow(script):
    def ask(name, *topics, version=3, **more):
        script.ask(f"grow: {name}", "CreatePartitions", version, TimeoutMs=10_000, Topics=list(topics), **more)

    def to(name, count, *brokers):
        return {"Name": name, "Count": count, "Assignments": [{"BrokerIds": ids} for ids in brokers] or None}

    ask("only validated", to("a", 5), ValidateOnly=True)
    ask("to two", to("a", 2), version=0)
    script.led("a", 2)
    ask("to as many", to("a", 2))
    ask("to fewer", to("a", 1))
    ask("to none", to("a", 0))
    ask("to less than none", to("a", -1))
    ask("an unknown topic", to("nowhere", 2))
    ask("a bad name", to("a/b", 2))
    ask("with assignments", to("c", 4, [1], [1]))
    ask("with too few assignments", to("b", 5, [1]))
    ask("with too many assignments", to("b", 4, [1], [1]))
    ask("on an unknown broker", to("b", 4, [7]))
    ask("on nobody", to("b", 4, []))
    ask("on a broker twice", to("b", 4, [1, 1]))
    ask("the same twice", to("b", 4), to("b", 5))
    ask("one that is and one that is not", to("nowhere", 2), to("good", 2))
    ask("nothing")
    script.led("c", 4)


def reassign(script):
    def ask(name, topic, partition, replicas, version=1, **more):
        script.ask(f"reassign: {name}", "AlterPartitionReassignments", version, TimeoutMs=10_000, Topics=[
            {"Name": topic, "Partitions": [{"PartitionIndex": partition, "Replicas": replicas}]}], **more)

    ask("to where it is", "b", 0, [1], version=0)
    ask("an unknown topic", "nowhere", 0, [1])
    ask("an unknown partition", "b", 9, [1])
    ask("to nobody", "b", 0, [])
    ask("to an unknown broker", "b", 0, [7])
    ask("to a broker twice", "b", 0, [1, 1])
    ask("to a broker below 0", "b", 0, [-3])
    ask("call off what is not under way", "b", 0, None)
    ask("call off for an unknown topic", "nowhere", 0, None)
    ask("with another factor that is not allowed", "b", 0, [1, 7], AllowReplicationFactorChange=False)
    script.ask("reassign: nothing", "AlterPartitionReassignments", 1, TimeoutMs=10_000)
    script.ask("reassignments: all", "ListPartitionReassignments", 0)
    script.ask("reassignments: of a topic", "ListPartitionReassignments", 0,
               Topics=[{"Name": "b", "PartitionIndexes": [0, 9]}])
    script.ask("reassignments: of an unknown topic", "ListPartitionReassignments", 0,
               Topics=[{"Name": "nowhere", "PartitionIndexes": [0]}])


def elect(script):
    def ask(name, topics, kind=0, version=2):
        kinds = {"ElectionType": kind} if version else {}
        script.ask(f"elect: {name}", "ElectLeaders", version, TopicPartitions=topics, TimeoutMs=5000, **kinds)

    ask("who leads already", [{"Topic": "b", "Partitions": [0, 1]}])
    ask("version 0", [{"Topic": "b", "Partitions": [0]}], version=0)
    ask("everything", None)
    ask("an unknown topic", [{"Topic": "nowhere", "Partitions": [0]}])
    ask("an unknown partition", [{"Topic": "b", "Partitions": [9]}])
    ask("unclean", [{"Topic": "b", "Partitions": [0]}], kind=1)
    ask("of an unknown kind", [{"Topic": "b", "Partitions": [0]}], kind=5)
    ask("nothing", [])
    ask("the same twice", [{"Topic": "b", "Partitions": [0, 0]}])


def delete(script):
    def ask(name, *topics, version=6):
        fields = {"Topics": list(topics)} if version >= 6 else {"TopicNames": list(topics)}
        script.ask(f"delete: {name}", "DeleteTopics", version, TimeoutMs=10_000, **fields)

    ask("by name, version 1", "made", version=1)
    ask("by name, version 5", "good", "nowhere", version=5)
    ask("by name", {"Name": "c"})
    topic_id = script.led("defaults")
    ask("by id", {"TopicId": topic_id})
    ask("by the id of one that is gone", {"TopicId": topic_id})
    ask("an unknown id", {"TopicId": NOBODYS_ID})
    ask("an unknown name", {"Name": "nowhere"})
    ask("a bad name", {"Name": "a/b"})
    ask("no name and no id", {})
    b = script.led("b", 3)
    ask("a name and an id", {"Name": "b", "TopicId": b})
    ask("the same name twice", {"Name": "b"}, {"Name": "b"})
    ask("the same by name and by id", {"Name": "b"}, {"TopicId": b})
    ask("the same id twice", {"TopicId": b}, {"TopicId": b})
    ask("the same twice, version 5", "made-0", "made-0", version=5)
    ask("nothing")
    script.ask("delete: it is gone", "Metadata", 12, Topics=[{"Name": "c"}], AllowAutoTopicCreation=False,
               until=lambda answer: answer["Topics"][0]["ErrorCode"])
    script.ask("delete: its id is gone", "Metadata", 12, Topics=[{"TopicId": topic_id, "Name": None}],
               until=lambda answer: answer["Topics"][0]["ErrorCode"])
    script.topic("again")
    ask("one that is made again", {"Name": "again"})
    script.wait("Metadata", 12, lambda answer: answer["Topics"][0]["ErrorCode"], Topics=[{"Name": "again"}],
                AllowAutoTopicCreation=False)
    script.ask("create: again", "CreateTopics", 7, timeoutMs=10_000, Topics=[one("again")])
