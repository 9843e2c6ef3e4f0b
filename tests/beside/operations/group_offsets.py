"""Offsets of groups: committed, fetched, deleted, with members and without."""

from operations.groups import joining, subscription, sync

SIMPLE, MEMBERS = "simple", "members"


def run(script):
    script.topic("read", 2)
    script.topic("also-read")
    simple(script)
    fetched(script)
    of_members(script)
    deleted(script)


def commit(script, name, *partitions, group=SIMPLE, topic="read", member="", generation=-1, version=8, **more):
    """partitions: (number, offset, metadata)"""
    epoch = {"CommittedLeaderEpoch": 0} if version >= 6 else {}
    script.ask(f"commit: {name}", "OffsetCommit", version, GroupId=group, MemberId=member,
               GenerationIdOrMemberEpoch=generation, Topics=[{"Name": topic, "Partitions": [
                   {"PartitionIndex": number, "CommittedOffset": offset, "CommittedMetadata": metadata, **epoch}
                   for number, offset, metadata in partitions]}], **more)


def simple(script):
    for version in (2, 5, 7, 8, 9):
        commit(script, f"version {version}", (0, version, "here"), version=version)
    commit(script, "null as its metadata", (1, 5, None))
    commit(script, "metadata that is too long", (0, 3, "x" * 5000))
    commit(script, "one good, one with long metadata", (0, 11, "fine"), (1, 3, "x" * 5000))
    commit(script, "an unknown topic", (0, 3, ""), topic="nowhere")
    commit(script, "a bad name", (0, 3, ""), topic="a/b")
    commit(script, "an unknown partition", (0, 12, ""), (9, 3, ""))
    commit(script, "no group", (0, 3, ""), group="")
    commit(script, "an offset below 0", (1, -5, ""))
    commit(script, "a member of a group without members", (0, 3, ""), member="nobody", generation=1)
    commit(script, "a member of an unknown group", (0, 3, ""), group="nowhere", member="nobody", generation=1)
    commit(script, "a member without a generation", (0, 3, ""), member="nobody")
    commit(script, "a generation without a member", (0, 3, ""), generation=4)
    commit(script, "an instance of an unknown group", (0, 3, ""), group="nowhere", GroupInstanceId="unknown")
    commit(script, "a retention, version 3", (1, 6, ""), version=3, RetentionTimeMs=1000)
    commit(script, "nothing of a topic")
    script.ask("commit: nothing", "OffsetCommit", 8, GroupId=SIMPLE, Topics=[])
    commit(script, "the same partition twice", (1, 7, "first"), (1, 8, "second"))


def fetched(script):
    def ask(name, topics, group=SIMPLE, version=7, **more):
        if version < 8:
            fields = {"GroupId": group, "Topics": topics}
        else:
            fields = {"Groups": [{"GroupId": group, "Topics": topics}]}
        script.ask(f"committed: {name}", "OffsetFetch", version, **fields, **more)

    both = [{"Name": "read", "PartitionIndexes": [0, 1]}]
    for version in (1, 2, 3, 5, 6, 7, 8, 9):
        ask(f"version {version}", both, version=version)
    for version in (2, 7, 9):
        ask(f"all, version {version}", None, version=version)
    ask("nothing", [])
    ask("nothing, version 9", [], version=9)
    ask("an unknown group", both, group="nowhere")
    ask("all of an unknown group", None, group="nowhere", version=9)
    ask("no group", both, group="")
    ask("no group, version 9", both, group="", version=9)
    ask("an unknown topic", [{"Name": "nowhere", "PartitionIndexes": [0]}])
    ask("an unknown partition", [{"Name": "read", "PartitionIndexes": [9]}])
    ask("only what is stable", both, RequireStable=True)
    script.ask("committed: two groups", "OffsetFetch", 8, Groups=[
        {"GroupId": SIMPLE, "Topics": both}, {"GroupId": "nowhere", "Topics": None}])
    script.ask("committed: no groups", "OffsetFetch", 8, Groups=[])
    script.ask("committed: as an unknown member", "OffsetFetch", 9, Groups=[
        {"GroupId": SIMPLE, "Topics": both, "MemberId": "nobody", "MemberEpoch": 3}])
    script.ask("committed: the group is listed", "DescribeGroups", 5, Groups=[SIMPLE])


def of_members(script):
    protocols = (("range", subscription("read")),)
    fields = joining(group=MEMBERS, protocols=protocols, instance="i")
    joined = script.call("JoinGroup", 9, **fields)
    member, generation = joined["MemberId"], joined["GenerationId"]

    def ask(name, member, generation, **more):
        commit(script, f"members: {name}", (0, 5, ""), group=MEMBERS, member=member, generation=generation, **more)

    ask("before anything is assigned", member, generation)
    sync(script, "of a group that commits", member, generation, [(member, b"all")], group=MEMBERS, GroupInstanceId="i")
    ask("as a member", member, generation)
    ask("as a member, version 6", member, generation, version=6)
    ask("with its instance", member, generation, GroupInstanceId="i")
    ask("with another instance", member, generation, GroupInstanceId="j")
    ask("as another with its instance", "nobody", generation, GroupInstanceId="i")
    ask("an old generation", member, generation - 1)
    ask("a later generation", member, generation + 1)
    ask("an unknown member", "nobody", generation)
    ask("no member", "", -1)
    ask("no member but a generation", "", generation)
    ask("a member without a generation", member, -1)


def deleted(script):
    def ask(name, group, topic, *partitions):
        script.ask(f"delete offsets: {name}", "OffsetDelete", 0, GroupId=group, Topics=[
            {"Name": topic, "Partitions": [{"PartitionIndex": number} for number in partitions]}])

    ask("of what its members read", MEMBERS, "read", 0)
    ask("of what they do not read", MEMBERS, "also-read", 0)
    ask("of an unknown group", "nowhere", "read", 0)
    ask("of no group", "", "read", 0)
    ask("of an unknown topic", SIMPLE, "nowhere", 0)
    ask("of an unknown partition", SIMPLE, "read", 9)
    ask("of a partition", SIMPLE, "read", 0)
    ask("of the same again", SIMPLE, "read", 0)
    ask("of nothing", SIMPLE, "read")
    script.ask("delete offsets: what is left", "OffsetFetch", 9, Groups=[{"GroupId": SIMPLE, "Topics": None}])
    commit(script, "of another topic", (0, 1, ""), topic="also-read")  # or the group would go with the topic
    script.call("DeleteTopics", 6, Topics=[{"Name": "read"}], TimeoutMs=10_000)
    script.ask("delete offsets: its topic is gone", "OffsetFetch", 9,
               until=lambda answer: len(answer["Groups"][0]["Topics"]) == 1,
               Groups=[{"GroupId": SIMPLE, "Topics": None}])
    script.ask("delete offsets: the group", "DeleteGroups", 2, GroupsNames=[SIMPLE])
    script.ask("delete offsets: the group is gone", "OffsetFetch", 9, Groups=[{"GroupId": SIMPLE, "Topics": None}])
