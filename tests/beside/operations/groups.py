"""The life of a classic consumer group: found, joined, synced, kept alive, left, described, deleted."""

import struct

GROUP = "group"
SESSION_MS = 30_000
LOADING = (14, 15, 16)  # what a coordinator answers that is not there yet


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def subscription(*topics):
    """What a member of the protocol `consumer` says of itself."""
    return struct.pack(">hi", 0, len(topics)) + b"".join(map(text, topics)) + struct.pack(">i", -1)


def joining(member="", group=GROUP, protocols=(("range", subscription("grouped")),), kind="consumer", instance=None,
            session_ms=SESSION_MS):
    """The fields of a JoinGroup from version 5 on."""
    return {"GroupId": group, "SessionTimeoutMs": session_ms, "RebalanceTimeoutMs": 30_000, "MemberId": member,
            "GroupInstanceId": instance, "ProtocolType": kind,
            "Protocols": [{"Name": name, "Metadata": metadata} for name, metadata in protocols]}


def run(script):
    script.topic("grouped", 2)
    find(script)
    bad_joins(script)
    first = one_member(script)
    second = two_members(script, first)
    rejoins(script, first, second)
    tell(script)
    leave(script, first, second)
    old_versions(script)
    static_members(script)
    delete(script)


def find(script):
    def found(answer):
        return all(one["ErrorCode"] not in LOADING for one in answer.get("Coordinators", [answer]))

    for version in (0, 1, 2, 3):
        script.ask(f"coordinator: version {version}", "FindCoordinator", version, until=found, Key=GROUP)
    for version in (4, 5, 6):
        script.ask(f"coordinator: version {version}", "FindCoordinator", version, until=found,
                   CoordinatorKeys=[GROUP, "other"])
    script.ask("coordinator: of an empty name", "FindCoordinator", 4, until=found, CoordinatorKeys=[""])
    script.ask("coordinator: of nothing", "FindCoordinator", 4, CoordinatorKeys=[])
    script.ask("coordinator: of the same twice", "FindCoordinator", 4, CoordinatorKeys=[GROUP, GROUP])
    script.ask("coordinator: of an unknown kind", "FindCoordinator", 4, KeyType=7, CoordinatorKeys=[GROUP])
    script.ask("coordinator: of an unknown kind, version 2", "FindCoordinator", 2, KeyType=7, Key=GROUP)
    script.ask("coordinator: of a share group, version 5", "FindCoordinator", 5, KeyType=2, CoordinatorKeys=["a:b:0"])
    script.ask("coordinator: of transactions", "FindCoordinator", 4, until=found, within_s=2, KeyType=1,
               CoordinatorKeys=["t"])


def bad_joins(script):
    def ask(name, version=9, **more):
        script.ask(f"join: {name}", "JoinGroup", version, until=lambda answer: answer["ErrorCode"] not in LOADING,
                   **joining(**more))

    ask("no group", group="")
    ask("a session that is too short", session_ms=1)
    ask("a session that is too long", session_ms=100_000_000)
    ask("an unknown member of an unknown group", member="nobody")
    ask("no protocols", protocols=())
    ask("no kind", kind="")
    ask("an unknown instance with a member id", member="nobody", instance="unknown")


def sync(script, name, member, generation, assignments=(), group=GROUP, version=5, client="beside", **more):
    if version >= 5:
        more = {"ProtocolType": "consumer", "ProtocolName": "range", **more}
    return script.ask(f"sync: {name}", "SyncGroup", version, client=client, GroupId=group, MemberId=member,
                      GenerationId=generation, **more,
                      Assignments=[{"MemberId": who, "Assignment": what} for who, what in assignments])


def beat(script, name, member, generation, group=GROUP, version=4, until=None, **more):
    script.ask(f"heartbeat: {name}", "Heartbeat", version, until=until, GroupId=group, MemberId=member,
               GenerationId=generation, **more)


def one_member(script):
    beat(script, "of an unknown group", "nobody", 1)
    beat(script, "of no group", "nobody", 1, group="")
    sync(script, "of an unknown group", "nobody", 1)
    member = script.ask("join: a member id is required", "JoinGroup", 9, **joining())["MemberId"]
    script.ask("groups: one that is begun", "DescribeGroups", 5, Groups=[GROUP])
    script.ask("groups: list of those that are begun", "ListGroups", 4, StatesFilter=[])
    joined = script.ask("join: with the id that was given", "JoinGroup", 9, **joining(member))
    generation = joined["GenerationId"]
    beat(script, "before anything is assigned", member, generation)
    script.ask("groups: one that waits for its assignment", "DescribeGroups", 5, Groups=[GROUP])
    sync(script, "an unknown member", "nobody", generation)
    sync(script, "a generation that is not yet", member, generation + 5)
    sync(script, "another kind of protocol", member, generation, ProtocolType="connect")
    sync(script, "another protocol", member, generation, ProtocolName="roundrobin")
    sync(script, "of the leader", member, generation, [(member, b"all of it")])
    sync(script, "again", member, generation)
    sync(script, "again, version 3", member, generation, version=3)
    beat(script, "of a member", member, generation)
    beat(script, "version 0", member, generation, version=0)
    beat(script, "of an unknown member", "nobody", generation)
    beat(script, "of another generation", member, generation + 1)
    beat(script, "with an instance that is unknown", member, generation, GroupInstanceId="unknown")
    script.ask("join: another kind", "JoinGroup", 9, client="second", **joining(kind="connect"))
    script.ask("join: no protocol in common", "JoinGroup", 9, client="second",
               **joining(protocols=[("roundrobin", b"")]))
    script.ask("join: an unknown member", "JoinGroup", 9, **joining("nobody"))
    return member


def two_members(script, first):
    second = script.ask("join: a second member's id", "JoinGroup", 9, client="second", **joining())["MemberId"]
    script.begin("second", "JoinGroup", 9, **joining(second))
    beat(script, "when another joins", first, 1, until=lambda answer: answer["ErrorCode"])
    script.ask("groups: one that prepares", "DescribeGroups", 5, Groups=[GROUP])
    sync(script, "when another joins", first, 1)
    generation = script.ask("join: the first again", "JoinGroup", 9, **joining(first))["GenerationId"]
    script.end("join: the second", "second", "JoinGroup", 9)
    script.begin("second", "SyncGroup", 5, GroupId=GROUP, MemberId=second, GenerationId=generation, Assignments=[],
                 ProtocolType="consumer", ProtocolName="range")
    sync(script, "of the leader of two", first, generation, [(first, b"a half"), (second, b"the other")])
    script.end("sync: of the second", "second", "SyncGroup", 5)
    return second


def rejoins(script, first, second):
    script.ask("join: again as it is, not the leader", "JoinGroup", 9, client="second", **joining(second))
    script.ask("join: again as it is, version 2", "JoinGroup", 2, client="second",
               **{field: value for field, value in joining(second).items() if field != "GroupInstanceId"})
    beat(script, "after it joined as it was", second, 2)
    script.ask("groups: two members", "DescribeGroups", 5, Groups=[GROUP])
    beat(script, "of an old generation", first, 1)


def tell(script):
    for version in (0, 3, 4):
        script.ask(f"groups: version {version}", "DescribeGroups", version, Groups=[GROUP])
    script.ask("groups: with operations", "DescribeGroups", 6, Groups=[GROUP], IncludeAuthorizedOperations=True)
    for version in (5, 6):
        script.ask(f"groups: an unknown one, version {version}", "DescribeGroups", version, Groups=["nowhere"])
    script.ask("groups: of no name", "DescribeGroups", 6, Groups=[""])
    script.ask("groups: the same twice", "DescribeGroups", 6, Groups=[GROUP, GROUP])
    script.ask("groups: none", "DescribeGroups", 6, Groups=[])
    for version in (0, 1, 2, 3):
        script.ask(f"groups: list, version {version}", "ListGroups", version)
    script.ask("groups: list, version 4", "ListGroups", 4, StatesFilter=[])
    for states in (["Stable"], ["stable"], ["Empty"], ["Nonsense"], ["Stable", "Empty"]):
        script.ask(f"groups: list {states}", "ListGroups", 5, StatesFilter=states, TypesFilter=[])
    for types in (["classic"], ["Classic"], ["consumer"], ["nonsense"]):
        script.ask(f"groups: list types {types}", "ListGroups", 5, StatesFilter=[], TypesFilter=types)


def leave(script, first, second):
    def ask(name, *members, group=GROUP, version=5):
        script.ask(f"leave: {name}", "LeaveGroup", version, GroupId=group,
                   Members=[{"MemberId": member, "GroupInstanceId": instance} for member, instance in members])

    ask("an unknown group", ("nobody", None), group="nowhere")
    ask("no group", ("nobody", None), group="")
    ask("an unknown member", ("nobody", None))
    ask("an unknown instance", ("", "unknown"))
    ask("nobody")
    script.ask("leave: an unknown member, version 1", "LeaveGroup", 1, GroupId=GROUP, MemberId="nobody")
    script.ask("delete groups: one with members", "DeleteGroups", 2, GroupsNames=[GROUP])
    ask("the second, and one that is unknown", (second, None), ("nobody", None))
    script.ask("leave: the first, version 2", "LeaveGroup", 2, GroupId=GROUP, MemberId=first)
    script.ask("groups: one without members", "DescribeGroups", 6, Groups=[GROUP])
    script.ask("groups: list those without members", "ListGroups", 5, StatesFilter=["Empty"], TypesFilter=[])
    beat(script, "of one that has left", first, 3)


def old_versions(script):
    fields = {field: value for field, value in joining(group="old").items() if field != "GroupInstanceId"}
    for version in (1, 3):
        member = script.ask(f"join: version {version}", "JoinGroup", version, **fields)["MemberId"]
        script.ask(f"leave: version {version - 1}", "LeaveGroup", version - 1, GroupId="old",
                   **({"MemberId": member} if version < 4 else {}))
    script.ask("join: version 4", "JoinGroup", 4, **fields)
    fields.pop("RebalanceTimeoutMs")
    member = script.ask("join: version 0", "JoinGroup", 0, **fields)["MemberId"]
    sync(script, "version 0", member, 5, [(member, b"everything")], group="old", version=0)
    script.ask("leave: of version 0", "LeaveGroup", 0, GroupId="old", MemberId=member)


def static_members(script):
    group = "static"
    first = script.ask("static: joins", "JoinGroup", 9, **joining(group=group, instance="i"))
    old, generation = first["MemberId"], first["GenerationId"]
    sync(script, "a static member", old, generation, [(old, b"all")], group=group, GroupInstanceId="i")
    beat(script, "a static member", old, generation, group=group, GroupInstanceId="i")
    script.ask("groups: with a static member", "DescribeGroups", 5, Groups=[group])
    again = script.ask("static: comes back", "JoinGroup", 9, **joining(group=group, instance="i"))
    new, generation = again["MemberId"], again["GenerationId"]
    beat(script, "of who it was before", old, generation, group=group, GroupInstanceId="i")
    beat(script, "of who it was before, without its instance", old, generation, group=group)
    sync(script, "of who it was before", old, generation, group=group, GroupInstanceId="i")
    script.ask("static: joins as who it was before", "JoinGroup", 9, **joining(old, group=group, instance="i"))
    script.ask("static: comes back, version 8", "JoinGroup", 8, **joining(group=group, instance="i"))
    script.ask("static: joins with other topics", "JoinGroup", 9,
               **joining(group=group, instance="i", protocols=[("range", subscription("records"))]))
    script.ask("static: leaves as who it was before", "LeaveGroup", 5, GroupId=group,
               Members=[{"MemberId": old, "GroupInstanceId": "i"}])
    script.ask("static: leaves by its instance", "LeaveGroup", 5, GroupId=group,
               Members=[{"MemberId": "", "GroupInstanceId": "i"}])
    script.ask("static: it has left", "DescribeGroups", 5, Groups=[group])
    beat(script, "of a static member that has left", new, generation, group=group, GroupInstanceId="i")


def delete(script):
    script.ask("delete groups: two, one unknown", "DeleteGroups", 2, GroupsNames=["static", "nowhere"])
    script.ask("delete groups: no name", "DeleteGroups", 2, GroupsNames=[""])
    script.ask("delete groups: version 0", "DeleteGroups", 0, GroupsNames=["old"])
    script.ask("delete groups: the same twice", "DeleteGroups", 1, GroupsNames=[GROUP, GROUP])
    script.ask("delete groups: it is gone", "DescribeGroups", 6, Groups=["static"])
    script.ask("delete groups: nothing", "DeleteGroups", 2, GroupsNames=[])
