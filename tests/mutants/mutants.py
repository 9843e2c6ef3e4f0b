"""Planted bugs: how they are written down, and how they are applied.

A mutant is a file NAME.mutant in this folder:

    file: core/wal/committer.cc
    rule: R2
    checker: WAL
    scenario: node-kill
    seeds: 200
    what: one line that says what goes wrong
    <<<<
    text that is there exactly once
    ====
    text that takes its place
    >>>>

There may be several changes, all to the same file. `rule` is a rule of durability that the bug breaks, or `-`; `seeds`
is how many seeds the checker may need.
"""

import dataclasses
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIELDS = ("file", "rule", "checker", "scenario", "seeds", "what")
_CHANGE = re.compile(r"^<<<<\n(.*?)^====\n(.*?)^>>>>\n", re.M | re.S)


@dataclasses.dataclass
class Mutant:
    name: str
    file: str
    rule: str
    checker: str
    scenario: str
    seeds: int
    what: str
    changes: list  # [(old text, new text)]

    def apply(self, text):
        """The text with the bug in it. ValueError where it does not apply."""
        for old, new in self.changes:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: the old text is {text.count(old)} times in the file, not once:\n{old}")
            text = text.replace(old, new)
        return text


def parse(name, text):
    fields = dict(re.findall(r"^(\w+): (.+)$", text.split("<<<<")[0], re.M))
    if sorted(fields) != sorted(FIELDS):
        raise ValueError(f"{name}: fields {sorted(fields)}, {sorted(FIELDS)} are right")
    changes = _CHANGE.findall(text)
    if not changes or any(old == new or not old.strip() for old, new in changes):
        raise ValueError(f"{name}: no change, or one that changes nothing")
    return Mutant(name=name, changes=changes, **{**fields, "seeds": int(fields["seeds"])})


def read_all(folder=HERE):
    return [parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.mutant"))]
