"""Differences between two runs of the operations, and the committed reasons for those that are meant to be.

differences.txt: a line at the margin is a reason; the indented lines below it are what it explains:

    transactions are not advertised
      versions* | ApiKeys[24]*

The name of an operation, and a field or a struct of its answer; both may have * and ?. # begins a comment.
"""

import dataclasses
import pathlib
import re

from answers import TEXTS

FILE = pathlib.Path(__file__).resolve().parent / "differences.txt"
ABSENT = "(not there)"
# Behind the name of a text for people that Chronik alone has: that is explained apart from one that is missing.
ALONE = " alone"


@dataclasses.dataclass
class Difference:
    operation: str
    field: str
    kafka: object
    chronik: object
    reason: str = ""


def _of_step(kafka, chronik):
    for path in dict.fromkeys([*kafka.structs, *chronik.structs]):
        ours, theirs = chronik.structs.get(path), kafka.structs.get(path)
        if ours is None or theirs is None:
            # What is below a struct that is not there is not there either.
            if not any(path.startswith(f"{other}.") for other in {**kafka.structs, **chronik.structs}
                       if other and ((other in kafka.structs) != (other in chronik.structs))):
                yield path or "the answer", theirs or ABSENT, ours or ABSENT
            continue
        for field in dict.fromkeys([*theirs, *ours]):
            values = theirs.get(field, ABSENT), ours.get(field, ABSENT)
            # Where the one has elements and the other has none, the elements are the difference.
            if values[0] != values[1] and values not in ((ABSENT, []), ([], ABSENT)):
                alone = ALONE if field in TEXTS and theirs.get(field, ABSENT) is None else ""
                yield (f"{path}.{field}" if path else field) + alone, *values


def between(kafka, chronik):
    """The differences of two lists of steps, in their order."""
    found = []
    ours = {step.name: step for step in chronik}
    for step in kafka:
        if step.name not in ours:
            found.append(Difference(step.name, "", "was run", ABSENT))
            continue
        found += [Difference(step.name, *difference) for difference in _of_step(step, ours.pop(step.name))]
    return found + [Difference(name, "", ABSENT, "was run") for name in ours]


@dataclasses.dataclass
class Explanation:
    reason: str
    operation: str
    field: str
    used: int = 0

    def explains(self, difference):
        return _matches(self.operation, difference.operation) and _matches(self.field, difference.field)


def _matches(pattern, name):
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), name) is not None


def explanations(text=None):
    found, reason = [], None
    for number, line in enumerate((text or FILE.read_text(encoding="utf-8")).splitlines(), 1):
        words = line.split("#", 1)[0].rstrip()
        if not words:
            continue
        if not words[0].isspace():
            reason = words
            continue
        operation, bar, field = words.strip().partition(" | ")
        if not bar or reason is None:
            raise ValueError(f"{FILE.name}:{number}: wanted a reason at the margin, or OPERATION | FIELD")
        found.append(Explanation(reason, operation.strip(), field.strip()))
    return found


def explain(differences, known):
    """Gives each difference its reason where there is one; what is wrong, as sentences."""
    for difference in differences:
        for explanation in known:
            if explanation.explains(difference):
                explanation.used += 1
                difference.reason = difference.reason or explanation.reason
    wrong = [f"{one.operation} | {one.field}: {one.kafka!r} beside {one.chronik!r}"
             for one in differences if not one.reason]
    return wrong + [f"{one.operation} | {one.field} explains nothing any more: {one.reason}"
                    for one in known if not one.used]
