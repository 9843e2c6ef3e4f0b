"""What a suite of a real client is to the runner: where it comes from, how it runs, and what became of each case."""

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "client-suites"

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Unavailable(Exception):
    """A suite cannot be had or built on this machine; says why, in one line."""


@dataclasses.dataclass
class Case:
    name: str
    outcome: str  # PASSED, FAILED or SKIPPED
    seconds: float = 0.0
    text: str = ""  # why it failed or was skipped, in its own words


class Suite:
    """One client's own tests. `name` is what SUITES= selects and how its list in expected/ is called."""

    name = ""
    title = ""  # for the table in docs/COMPATIBILITY.md
    source = ""  # the registry's name of the package
    nodes = (1, 3)  # numbers of nodes that it can run against
    first_node = 1  # the number of the first of them
    broker_settings = {}  # of Kafka's broker settings, what its authors' own brokers have

    def fetch(self):
        """Brings the suite into `directory` and builds it; its version. Unavailable where that is not possible."""
        raise NotImplementedError

    def run(self, nodes, left_out, log):
        """Runs all cases but those whose names are in left_out against the nodes; a list of Case."""
        raise NotImplementedError

    def prepare(self, nodes):
        """May change where clients find the nodes before these are started."""

    @property
    def directory(self):
        return WORK / self.name


def last_line(text):
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def execute(command, seconds, log=None, cwd=None, environment=None):
    """Runs a command with everything it starts, at most so long; its exit status (None: it was too slow) and what it
    said. All processes of its group are ended, also where it leaves some."""
    with subprocess.Popen([str(part) for part in command], cwd=cwd, env=dict(os.environ, **(environment or {})),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            status = None
    text = said.decode(errors="replace")
    if log:
        log.write(f"$ {' '.join(map(str, command))}\n{text}\nexit status {status}\n")
        log.flush()
    return status, text


def must(command, seconds, **more):
    """The same for a step of fetching or building."""
    try:
        status, text = execute(command, seconds, **more)
    except OSError as error:
        raise Unavailable(f"{command[0]}: {error.strerror}") from error
    if status != 0:
        why = "took too long" if status is None else last_line(text)
        raise Unavailable(f"{' '.join(map(str, command))[:100]}: {why}")
    return text


class PythonSuite(Suite):
    """A suite in a virtual environment of its own."""

    @property
    def python(self):
        return self.directory / "venv" / "bin" / "python"

    def pip(self, *arguments, seconds=300):
        must([self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--timeout", "20", "--retries", "1",
              *arguments], seconds)

    def make_environment(self):
        """In place of what is there."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        must([sys.executable, "-m", "venv", self.directory / "venv"], 120)
