"""kafka-python's tests of a broker, of its newest version and of 2.0.2, which many still run."""

import pathlib
import re
import shutil
import tarfile
import xml.etree.ElementTree

from suite import FAILED, PASSED, SKIPPED, Case, PythonSuite, Unavailable, execute, must

FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures"
ASKS_FOR_VERSION = """
import sys, kafka
print(".".join(map(str, kafka.KafkaConsumer(bootstrap_servers=sys.argv[1]).config["api_version"])))
"""
CODECS = ["lz4", "python-snappy", "zstandard", "crc32c"]


class KafkaPython(PythonSuite):
    name = "kafka-python"
    title = "kafka-python"
    source = "PyPI `kafka-python`"
    release = "3.0.12"
    tools = ["pytest", "pytest-timeout", "pytest-mock", "py"]
    files = ["test/integration"]
    first_node = 0  # some of its tests name broker 0
    # Its own brokers have these.
    broker_settings = {"group.min.session.timeout.ms": 1000, "group.initial.rebalance.delay.ms": 0}

    def fetch(self):
        done = self.directory / "done"
        if not done.exists():
            self.make_environment()
            self.pip("install", f"kafka-python=={self.release}", *self.tools, *CODECS)
            self.pip("download", "--no-deps", "--no-binary", "kafka-python", "-d", self.directory,
                     f"kafka-python=={self.release}")
            with tarfile.open(next(self.directory.glob("kafka*.tar.gz"))) as packed:
                for member in packed.getmembers():
                    if member.isfile() and (place := re.search(r"^[^/]+/(test/.*)", member.name)):
                        member.name = place.group(1)
                        packed.extract(member, self.directory)
            (self.directory / "test" / "__init__.py").touch()
            must([self.python, "-c", "import kafka"], 60)
            done.touch()
        self.add_what_is_missing(self.directory / "test")
        return self.release

    def add_what_is_missing(self, folder):
        shutil.copy(FIXTURES / "kafka_python_service.py", folder / "service.py")

    def version_taken_for(self, address):
        """The version of Kafka that the client takes a broker for, by the APIs that it advertises."""
        return must([self.python, "-c", ASKS_FOR_VERSION, address], 60).strip().splitlines()[-1]

    def run(self, nodes, left_out, log):
        chosen = ["-k", f"not ({' or '.join(left_out)})"] if left_out else []
        cases = {case.name: case for case in self._run_chosen(nodes, chosen, log)}
        # A consumer whose subscription falls into its first request for metadata waits 300 s for the next: a race of
        # the client's own, which fails about one case in ten. So what has failed is tried twice more.
        for _ in range(2):
            failed = sorted({name.split("[")[0] for name, case in cases.items() if case.outcome == FAILED})
            if failed:
                again = self._run_chosen(nodes, ["-k", " or ".join(failed)], log)
                cases.update((case.name, case) for case in again if cases[case.name].outcome == FAILED)
        return list(cases.values())

    def _run_chosen(self, nodes, chosen, log):
        report = self.directory / f"report-{len(nodes.nodes)}.xml"
        report.unlink(missing_ok=True)
        address = nodes.nodes[0].address
        environment = {"KAFKA_URI": f"kafka://{address}", "KAFKA_VERSION": self.version_taken_for(address),
                       "KAFKA_ROOT": str(self.directory), "CHRONIK_NODES": str(len(nodes.nodes))}
        pytest = [self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "--timeout=120"]
        command = [*pytest, f"--junitxml={report}", *chosen, *self.files]
        _, said = execute(command, 1200, log, self.directory, environment)
        if not report.exists():
            raise Unavailable(f"pytest left no report: {said[-500:]}")
        return parse(report)


class KafkaPython2(KafkaPython):
    name = "kafka-python-2.0.2"
    title = "kafka-python 2.0.2"
    release = "2.0.2"
    tools = ["pytest", "pytest-timeout", "mock"]
    files = ["test/test_admin_integration.py", "test/test_consumer_integration.py", "test/test_consumer_group.py",
             "test/test_producer.py"]

    def add_what_is_missing(self, folder):
        shutil.copy(FIXTURES / "kafka_python_2_conftest.py", folder / "conftest.py")


def parse(report):
    """Cases of pytest's XML, by the names of their functions with parameters."""
    cases = []
    for found in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        case = Case(found.get("name"), PASSED, float(found.get("time", 0)))
        for kind, outcome in (("skipped", SKIPPED), ("failure", FAILED), ("error", FAILED)):
            if (told := found.find(kind)) is not None:
                case.outcome = outcome
                case.text = f"{told.get('message', '')[:400]} {(told.text or '')[-200:]}"
        cases.append(case)
    return cases
