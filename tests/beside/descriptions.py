"""Kafka's messages, field by field, as its own message files describe them (messages.txt is made of those).

A message is a line at the margin, its fields are indented below it, those of a struct below that:

    FetchRequest 1 0-17 flexible=12+
      MaxWaitMs int32 0+
      Topics []FetchTopic 0+
        Topic string 0-12

A field may have null=VERSIONS, tag=NUMBER and default=VALUE. The number of a message is its API's.
"""

import dataclasses
import json
import pathlib
import re

FILE = pathlib.Path(__file__).resolve().parent / "messages.txt"
NEWEST = 1 << 15
# What the operations use.
APIS = """ApiVersions Metadata CreateTopics DeleteTopics CreatePartitions DescribeConfigs AlterConfigs
    IncrementalAlterConfigs Produce Fetch ListOffsets OffsetForLeaderEpoch DeleteRecords InitProducerId
    FindCoordinator JoinGroup SyncGroup Heartbeat LeaveGroup OffsetCommit OffsetFetch OffsetDelete
    DescribeGroups ListGroups DeleteGroups DescribeCluster DescribeLogDirs DescribeProducers
    DescribeTopicPartitions ElectLeaders AlterPartitionReassignments ListPartitionReassignments
    ListConfigResources""".split()


@dataclasses.dataclass
class Versions:
    """A range such as 3+, 2-7, 0 or none."""
    text: str

    def __post_init__(self):
        first, dash, last = self.text.rstrip("+").partition("-")
        if self.text == "none":
            self.first, self.last = 0, -1
        else:
            self.first = int(first)
            self.last = NEWEST if self.text.endswith("+") else int(last) if dash else self.first

    def __contains__(self, version):
        return self.first <= version <= self.last


@dataclasses.dataclass
class Field:
    name: str
    type: str  # int32, []string, []FetchTopic, ...
    versions: Versions
    nullable: Versions
    tag: int  # None: not a tagged field
    default: str  # None: what the type starts as
    fields: list  # of a struct

    @property
    def element(self):
        """What a list is of; the field itself where it is no list."""
        return dataclasses.replace(self, type=self.type.removeprefix("[]"), nullable=Versions("none"))

    def initial(self):
        """What a field is where nobody gives it a value."""
        if self.default == "null":
            return None
        if self.type.startswith("[]"):
            return []
        if self.fields:
            return {}
        if self.type in ("string", "bytes", "records", "uuid"):
            kind = bytes if self.type in ("bytes", "records") else str
            return kind() if self.default is None else self.default
        if self.type == "bool":
            return self.default in ("true", "True")
        return float(self.default or 0) if self.type == "float64" else int(self.default or "0", 0)


@dataclasses.dataclass
class Message:
    name: str
    api: int
    versions: Versions
    flexible: Versions
    fields: list


def parse(text):
    """Messages by their names."""
    messages, parents = {}, []
    for line in text.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        words = [word for word in line.split() if "=" not in word]
        options = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if depth == 0:
            name, api, versions = words
            messages[name] = Message(name, int(api), Versions(versions), Versions(options["flexible"]), [])
            parents = [messages[name]]
            continue
        name, kind, versions = words
        field = Field(name, kind, Versions(versions), Versions(options.get("null", "none")),
                      int(options["tag"]) if "tag" in options else None, options.get("default"), [])
        del parents[depth:]
        parents[-1].fields.append(field)
        parents.append(field)
    return messages


def read():
    return parse(FILE.read_text(encoding="utf-8"))


def _field_lines(fields, common, depth):
    for field in fields:
        words = [field["name"], field["type"], field["versions"]]
        if field.get("nullableVersions", "none") != "none":
            words.append(f"null={field['nullableVersions']}")
        if "tag" in field:
            words.append(f"tag={field['tag']}")
            if field["taggedVersions"] != field["versions"]:
                raise ValueError(f"{field['name']} is tagged in some of its versions only")
        if field.get("default", "") != "":
            words.append(f"default={field['default']}")
        yield "  " * depth + " ".join(words)
        below = field.get("fields") or common.get(field["type"].removeprefix("[]"), [])
        yield from _field_lines(below, common, depth + 1)


def describe(folder):
    """The text of messages.txt, out of the folder of Kafka's own files."""
    lines = []
    for name in (api + kind for api in APIS for kind in ("Request", "Response")):
        text = (pathlib.Path(folder) / f"{name}.json").read_text(encoding="utf-8")
        message = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
        lines.append(f"{name} {message['apiKey']} {message['validVersions']} flexible={message['flexibleVersions']}")
        common = {struct["name"]: struct["fields"] for struct in message.get("commonStructs", [])}
        lines += _field_lines(message["fields"], common, 1)
    return "\n".join(lines) + "\n"
