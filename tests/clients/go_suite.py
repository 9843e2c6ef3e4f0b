"""Suites in Go: a module of the proxy, whose tests are compiled into one program."""

import json
import shutil

from expected import is_left_out
from suite import FAILED, PASSED, SKIPPED, Case, Suite, Unavailable, execute, must


class GoSuite(Suite):
    module = ""
    version = ""
    package = ""
    go = "1.26"  # what its go.mod asks for
    tags = ""
    limit = 1200  # seconds for all of its cases
    each_alone = False  # each test in a process of its own, where one that panics would end all

    @property
    def program(self):
        return self.directory / "tests.program"

    def fetch(self):
        if not shutil.which("go"):
            raise Unavailable("there is no go")
        self.directory.mkdir(parents=True, exist_ok=True)
        needs = f"module suite\n\ngo {self.go}\n\nrequire {self.module} {self.version}\n"
        (self.directory / "go.mod").write_text(needs)
        tags = ["-tags", self.tags] if self.tags else []
        must(["go", "test", "-mod=mod", "-vet=off", *tags, "-c", "-o", self.program, self.package], 900,
             cwd=self.directory)
        return self.version

    def tests(self):
        """Names of the tests that need a broker."""
        raise NotImplementedError

    def environment(self, nodes):
        return {}

    def source_folder(self):
        """Where the module's files lie: its tests read some of them."""
        said = must(["go", "list", "-mod=mod", "-f", "{{.Dir}}", self.package], 60, cwd=self.directory)
        return said.strip().splitlines()[-1]

    def run(self, nodes, left_out, log):
        folder, environment = self.source_folder(), self.environment(nodes)
        names = [name for name in self.tests() if not is_left_out(name, left_out)]
        runs = [[name] for name in names] if self.each_alone else [names]
        return [case for some in runs for case in self._run_some(some, folder, environment, log)]

    def _run_some(self, names, folder, environment, log):
        command = ["go", "tool", "test2json", "-t", self.program, "-test.v=test2json", f"-test.timeout={self.limit}s",
                   f"-test.run=^({'|'.join(names)})$"]
        _, said = execute(command, self.limit + 60, log, folder, environment)
        return parse(said, names)


def parse(said, names):
    """Cases from the events of test2json: each test and each of its subtests; tests without an end have failed."""
    outcomes = {"pass": PASSED, "fail": FAILED, "skip": SKIPPED}
    ended, texts = {}, {}
    for line in said.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        name = event.get("Test")
        if not name:
            continue
        if event["Action"] == "output":
            texts.setdefault(name, []).append(event["Output"])
        elif event["Action"] in outcomes:
            ended[name] = Case(name, outcomes[event["Action"]], event.get("Elapsed", 0.0))
        else:
            ended.setdefault(name, None)
    for name in names:
        ended.setdefault(name, None)
    whole = " ".join(texts.get(names[-1], []))[-400:] or said[-400:]
    return [case_of(name, case, "".join(texts.get(name, [])), whole) for name, case in ended.items()]


def case_of(name, case, text, whole):
    case = case or Case(name, FAILED, 0.0)
    # Clients log much while they run: what a test says of itself begins with its file.
    lines = [line for line in text.splitlines() if "_test.go:" in line]
    case.text = " ".join(line.strip() for line in lines[-4:])[-600:] or text[-300:] or f"it did not end: {whole}"
    return case
