"""What is compared of an answer: every field, with names for what differs from run to run.

An answer becomes structs by their paths, {"Topics[a].Partitions[0]": {"ErrorCode": "NONE", ...}}; the whole of it has
the empty path. Elements of lists are called by what identifies them, so that their order does not matter.
"""

import json
import pathlib
import re
import time

import records
import wire

ERRORS = pathlib.Path(__file__).resolve().parents[2] / "core" / "protocol" / "errors.h"
# What an element of a list is called by: the first of these that it has.
IDENTITIES = ("Topic", "TopicName", "GroupId", "MemberId", "ResourceName", "Name", "TopicId", "PartitionIndex",
              "Partition", "PartitionId", "Index", "BaseOffset", "Offset", "Key", "NodeId", "BrokerId", "ProducerId",
              "ApiKey")
NAME_MAX = 60  # of a name that is shown
TEXTS = ("ErrorMessage", "BatchIndexErrorMessage")
GIVEN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HOUR_MS = 3_600_000


def error_names():
    """{3: "UNKNOWN_TOPIC_OR_PARTITION"}"""
    found = re.findall(r"^  k(\w+) = (-?\d+),", ERRORS.read_text(encoding="utf-8"), re.M)
    return {int(number): re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper() for name, number in found}


class Numbered:
    """Names in the order in which values appear: member 1, member 2."""

    def __init__(self, kind):
        self.kind, self.seen = kind, {}

    def __call__(self, value):
        return self.seen.setdefault(value, f"{self.kind} {len(self.seen) + 1}")


class Names:
    """What a broker has chosen by itself, by names that are the same for every broker. Lives as long as a run."""
    errors = error_names()

    def __init__(self, address):
        self.port = int(address.rsplit(":", 1)[1])
        self.topic_ids = {}
        self.numbered = {"ProducerId": Numbered("producer"), "SessionId": Numbered("session")}
        self.member = Numbered("id")

    def of_topic(self, topic_id, name):
        if topic_id == wire.NO_ID:
            return "none"
        if name and topic_id not in self.topic_ids:
            again = sum(known == name or known.startswith(f"{name} again") for known in self.topic_ids.values())
            self.topic_ids[topic_id] = f"{name} again" * bool(again) or name
        return f"id of {self.topic_ids[topic_id]}" if topic_id in self.topic_ids else topic_id

    def value(self, field, value, struct):
        """A field that is no struct."""
        if field in TEXTS:
            return "(a text)" if value else None
        if field.endswith("ErrorCode"):
            return self.errors.get(value, value)
        if field == "TopicId":
            return self.of_topic(value, struct.get("Name") or struct.get("Topic") or struct.get("TopicName"))
        if field in self.numbered and value > 0:
            return self.numbered[field](value)
        if field == "Port" and value == self.port:
            return "its port"
        if field in ("ClusterId", "LogDir") and value:
            return "its own"
        if field in ("TotalBytes", "UsableBytes", "FinalizedFeaturesEpoch") and value > 0:
            return "some"
        if isinstance(value, int) and abs(value - time.time() * 1000) < HOUR_MS:
            return "now"
        if isinstance(value, bytes):
            value = value.decode(errors="backslashreplace")
        if isinstance(value, str) and len(value) > NAME_MAX:
            return f"{value[:9]}... ({len(value)})"
        if isinstance(value, str):
            return GIVEN_ID.sub(lambda match: self.member(match.group()), value)
        return value

    def structs(self, answer, path=""):
        """The structs of an answer by their paths."""
        plain, below = {}, {}
        for field, value in answer.items():
            here = f"{path}.{field}" if path else field
            if field == "Records" and isinstance(value, bytes):
                value, plain["RecordsAfterLast"] = records.read(value)
            if isinstance(value, dict):
                below |= self.structs(value, here)
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                below |= self.elements(value, here)
            else:
                plain[field] = self.value(field, value, answer)
        return {path: plain} | below

    def elements(self, values, path):
        found, seen = {}, {}
        # Producers are given their names in the order of their ids.
        for index, value in enumerate(sorted(values, key=lambda value: value.get("ProducerId", 0))):
            name = next((self.value(field, value[field], value) for field in IDENTITIES
                         if value.get(field) not in (None, "", wire.NO_ID)), index)
            seen[name] = seen.get(name, 0) + 1
            found |= self.structs(value, f"{path}[{name}]" + (f"#{seen[name]}" if seen[name] > 1 else ""))
        return found


def natural(path):
    """Sorts the partition 10 behind the partition 9."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", path)]


def texts_of(answer, path=""):
    """All texts for people in an answer."""
    found = []
    for field, value in answer.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                found += texts_of(one)
            elif field in TEXTS and one:
                found.append(one)
    return found


class Step:
    """One operation and how it was answered."""

    def __init__(self, name, request, structs, texts=()):
        self.name, self.request, self.structs, self.texts = name, request, structs, list(texts)

    def lines(self):
        yield f"{self.name} | {self.request}"
        for path in sorted(self.structs, key=natural):
            fields = " ".join(f"{field}={json.dumps(value)}" for field, value in self.structs[path].items())
            yield f"  {path or '.'}: {fields}".rstrip()


def write(steps):
    return "\n".join(line for step in steps for line in step.lines()) + "\n"


def read(text):
    """What write() has written."""
    steps = []
    decoder = json.JSONDecoder()
    for line in text.splitlines():
        if not line.startswith("  "):
            steps.append(Step(*line.split(" | ", 1), {}))
            continue
        path, _, rest = line.strip().partition(": ") if ": " in line else (line.strip()[:-1], "", "")
        fields = {}
        while rest:
            field, _, rest = rest.partition("=")
            fields[field], end = decoder.raw_decode(rest)
            rest = rest[end:].lstrip()
        steps[-1].structs["" if path == "." else path] = fields
    return steps
