"""The committed lists of cases that do not pass, each with its reason: expected/SUITE.txt.

A line at the margin is a reason; the indented lines below it are its cases:

    transactions are not advertised
      skip 0098_consumer_txn
      leave TestTxn* nodes=3

skip: the suite itself skips it. fail: it runs and fails. leave: it is not run, since it would hang or disturb others.
vary: it may pass or not. A name may have * and ?. nodes=N: only against so many nodes. # begins a comment.
"""

import dataclasses
import pathlib
import re

from suite import FAILED, PASSED, SKIPPED

FOLDER = pathlib.Path(__file__).resolve().parent / "expected"
KINDS = ("skip", "fail", "leave", "vary")


def matches(pattern, name):
    """* and ? alone have a meaning: names have brackets in them."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), name) is not None


def is_left_out(name, left_out):
    return any(matches(pattern, name) for pattern in left_out)


@dataclasses.dataclass
class Entry:
    kind: str
    pattern: str
    nodes: int  # 0: any
    reason: str

    def applies(self, name, nodes):
        return self.nodes in (0, nodes) and matches(self.pattern, name)


def parse(text, where):
    entries, reason = [], None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].rstrip()
        if not words:
            continue
        if not words[0].isspace():
            reason = words
            continue
        kind, _, rest = words.strip().partition(" ")
        name, _, nodes = rest.strip().partition(" nodes=")
        if kind not in KINDS or not name or reason is None or (nodes and not nodes.isdigit()):
            raise ValueError(f"{where}:{number}: wanted a reason at the margin, or {'|'.join(KINDS)} CASE [nodes=N]")
        entries.append(Entry(kind, name.strip(), int(nodes or 0), reason))
    return entries


class Expected:
    def __init__(self, suite, nodes):
        path = FOLDER / f"{suite}.txt"
        entries = parse(path.read_text(encoding="utf-8"), path.name) if path.exists() else []
        self.entries = [entry for entry in entries if entry.nodes in (0, nodes)]
        self.nodes = nodes

    def entry(self, name):
        return next((entry for entry in self.entries if entry.applies(name, self.nodes)), None)

    @property
    def left_out(self):
        return [entry.pattern for entry in self.entries if entry.kind == "leave"]

    def verdict(self, case):
        """None where the case did what the list says, else a sentence."""
        entry = self.entry(case.name)
        kind = entry.kind if entry else "pass"
        if kind == "vary" or (kind, case.outcome) in (("pass", PASSED), ("fail", FAILED), ("skip", SKIPPED)):
            return None
        wanted = {"pass": "is not listed", "fail": "is listed as failing", "skip": "is listed as skipped",
                  "leave": "is listed as left out"}[kind]
        return f"{case.name} {case.outcome} and {wanted}: {case.text[:600] or 'it gave no reason'}"

    def unused(self, cases):
        """Entries that none of the cases fits; those that are left out never run, and are not among them."""
        return [entry for entry in self.entries if entry.kind != "leave"
                and not any(entry.applies(case.name, self.nodes) for case in cases)]
