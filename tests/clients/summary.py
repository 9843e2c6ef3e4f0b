"""The table of all suites, as text and in docs/COMPATIBILITY.md."""

import dataclasses
import json

import expected
from suite import FAILED, PASSED, ROOT, SKIPPED, WORK, Case

DOCUMENT = ROOT / "docs" / "COMPATIBILITY.md"
BEGIN, END = "<!-- client-tests: begin -->\n", "<!-- client-tests: end -->\n"


@dataclasses.dataclass
class Row:
    suite: object
    nodes: int
    cases: list = dataclasses.field(default_factory=list)
    wrong: list = dataclasses.field(default_factory=list)  # sentences: what the lists do not expect
    seconds: float = 0.0
    unavailable: str = ""

    def count(self, outcome):
        return sum(case.outcome == outcome for case in self.cases)

    @property
    def version(self):
        return getattr(self.suite, "version", "")

    @property
    def path(self):
        return WORK / "results" / f"{self.suite.name}-{self.nodes}.json"

    def keep(self):
        """For the table of a later run of other suites."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({"version": self.version, "seconds": self.seconds,
                                         "cases": [dataclasses.astuple(case) for case in self.cases]}))


def kept_rows(suites):
    """The results that earlier runs have left."""
    rows = [Row(suite, nodes) for suite in suites for nodes in suite.nodes]
    for row in rows:
        if row.path.exists():
            kept = json.loads(row.path.read_text())
            row.suite.version, row.seconds = kept["version"], kept["seconds"]
            row.cases = [Case(*case) for case in kept["cases"]]
    return [row for row in rows if row.cases]


def text(rows):
    """For a terminal."""
    lines = [f"{'suite':26} {'version':>10} {'nodes':>5} {'passed':>7} {'failed':>7} {'skipped':>8} {'time':>7}"]
    for row in rows:
        if row.unavailable:
            lines.append(f"{row.suite.name:26} not available here: {row.unavailable}")
            continue
        passed, failed, skipped = (row.count(outcome) for outcome in (PASSED, FAILED, SKIPPED))
        lines.append(f"{row.suite.name:26} {row.version:>10} {row.nodes:>5} {passed:>7} {failed:>7} {skipped:>8} "
                     f"{row.seconds:>5.0f} s{'  UNEXPECTED' if row.wrong else ''}")
    return "\n".join(lines)


def counts(row):
    return f"{row.count(PASSED)} / {row.count(FAILED)} / {row.count(SKIPPED)}, {row.seconds:.0f} s" if row else "–"


WORDS = {"leave": "not run", "vary": "varies", "skip": "skipped", "fail": "fails"}


def document_rows(rows):
    """A line for each suite, then one for each case that does not pass."""
    lines = ["| client | from | version | one node: passed / failed / skipped | three nodes |", "|---|---|---|---|---|"]
    suites = list(dict.fromkeys(row.suite for row in rows if not row.unavailable))
    for suite in suites:
        of = {row.nodes: row for row in rows if row.suite is suite}
        cells = [suite.title, suite.source, suite.version, counts(of.get(1)), counts(of.get(3))]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| client | cases | | why |", "|---|---|---|---|"]
    for suite in suites:
        lines += reasons(suite, [row for row in rows if row.suite is suite])
    return "\n".join(lines) + "\n"


def reasons(suite, rows):
    """The entries of a suite's list, those of one reason together."""
    groups = {}
    for row in rows:
        for entry in expected.Expected(suite.name, row.nodes).entries:
            where = f" ({entry.nodes} nodes)" if entry.nodes > 1 else " (1 node)" if entry.nodes else ""
            key = (entry.reason, WORDS[entry.kind] + where)
            groups.setdefault(key, {})[entry.pattern] = None
    return [f"| {suite.title} | {', '.join(f'`{name}`' for name in names)} | {how} | {reason} |"
            for (reason, how), names in groups.items()]


def update_documents(suites):
    """From the newest results of each suite, of this run and of earlier ones."""
    rows = kept_rows(suites)
    whole = DOCUMENT.read_text(encoding="utf-8")
    head, rest = whole.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    DOCUMENT.write_text(f"{head}{BEGIN}\n{document_rows(rows)}\n{END}{tail}", encoding="utf-8")
