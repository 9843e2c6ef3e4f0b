"""Clients whose packages have no tests of a broker: a program of ours uses them, as programs do."""

import pathlib
import re
import shutil

from suite import FAILED, PASSED, Case, PythonSuite, Suite, Unavailable, execute, must

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"


class OwnProgram(Suite):
    release = ""
    broker_settings = {"group.initial.rebalance.delay.ms": 0}
    limit = 900  # seconds for all of its cases

    def command(self):
        """What runs the program, without the addresses and the number of nodes."""
        raise NotImplementedError

    def run(self, nodes, left_out, log):
        command = [*self.command(), nodes.addresses, str(len(nodes.nodes))]
        status, said = execute(command, self.limit, log, self.directory)
        cases = [Case(name, {"PASS": PASSED, "FAIL": FAILED}[word], int(spent) / 1000, text)
                 for word, spent, name, text in re.findall(r"^(PASS|FAIL) (\d+) ([^:\n]+)(.*)$", said, re.M)]
        if status != 0:
            cases.append(Case("the whole program", FAILED, 0.0, f"it ended with {status}: {said[-600:]}"))
        return cases


class KafkaJs(OwnProgram):
    name = "kafkajs"
    title = "kafkajs"
    source = "npm `kafkajs`, which has no tests: our `tests/clients/programs/kafkajs_suite.js`"
    release = "2.2.4"

    def fetch(self):
        if not shutil.which("npm"):
            raise Unavailable("there is no npm")
        if not (self.directory / "node_modules" / "kafkajs" / "package.json").exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            must(["npm", "install", "--silent", "--no-save", "--fetch-retries=1", "--prefix", self.directory,
                  f"kafkajs@{self.release}"], 120)
        return self.release

    def command(self):
        # A module is looked for beside the program that asks for it.
        shutil.copy(PROGRAMS / "kafkajs_suite.js", self.directory)
        return ["node", self.directory / "kafkajs_suite.js"]


class ConfluentPython(OwnProgram, PythonSuite):
    name = "confluent-kafka-python"
    title = "confluent-kafka-python"
    source = "PyPI `confluent-kafka`, which has no tests of a broker: our `tests/clients/programs/confluent_suite.py`"
    release = "2.16.1"

    def fetch(self):
        done = self.directory / "done"
        if not done.exists():
            self.make_environment()
            self.pip("install", "--only-binary", ":all:", f"confluent-kafka=={self.release}", seconds=120)
            must([self.python, "-c", "import confluent_kafka"], 60)
            done.touch()
        return self.release

    def command(self):
        return [self.python, PROGRAMS / "confluent_suite.py"]
