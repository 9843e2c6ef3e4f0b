"""rust-rdkafka's tests, on the librdkafka that the suite librdkafka has built."""

import re
import shutil

from librdkafka import Librdkafka, take_crate
from suite import FAILED, PASSED, SKIPPED, Case, Suite, Unavailable, execute, must

PROGRAMS = ("test_admin", "test_high_consumers", "test_high_producers", "test_low_consumers", "test_low_producers",
            "test_metadata", "test_topic_partition_list", "test_transactions")


class RdkafkaRust(Suite):
    name = "rust-rdkafka"
    title = "rust-rdkafka"
    source = "crates.io `rdkafka`"
    release = "0.39.0"
    # Its tests name broker 0 and, some of them, localhost with Kafka's own port.
    first_node = 0
    broker_settings = {"num.partitions": 3}

    def prepare(self, nodes):
        first = nodes.nodes[0]
        first.kafka = 9092
        first.address = f"127.0.0.1:{first.kafka}"

    @property
    def tree(self):
        return self.directory / "rdkafka"

    def environment(self):
        built = Librdkafka().directory / "build"
        return {"PKG_CONFIG_PATH": str(self.directory), "LD_LIBRARY_PATH": str(built / "src"), "CARGO_BUILD_JOBS": "1"}

    def fetch(self):
        if not shutil.which("cargo"):
            raise Unavailable("there is no cargo")
        version = Librdkafka().fetch()
        if not self.tree.exists():
            take_crate("rdkafka", self.release, "", self.tree, self.directory / "crate")
        source = Librdkafka().directory
        (self.directory / "rdkafka.pc").write_text(
            f"Name: librdkafka\nDescription: built for its own tests\nVersion: {version}\n"
            f"Cflags: -I{source}/src\nLibs: -L{source}/build/src -lrdkafka\n")
        must(["cargo", "test", "--no-run", "--features", "dynamic-linking", *self.programs()], 1800, cwd=self.tree,
             environment=self.environment())
        return self.release

    @staticmethod
    def programs():
        return [word for name in PROGRAMS for word in ("--test", name)]

    def run(self, nodes, left_out, log):
        environment = dict(self.environment(), KAFKA_HOST=nodes.addresses, KAFKA_VERSION="4.1.0", RUST_LOG="off")
        skipped = [word for name in left_out for word in ("--skip", name)]
        _, said = execute(["cargo", "test", "--no-fail-fast", "--features", "dynamic-linking", *self.programs(), "--",
                           "--test-threads=2", *skipped], 1200, log, self.tree, environment)
        return parse(said)


def parse(said):
    """Cases of cargo's test runner, with what those that failed said."""
    outcomes = {"ok": PASSED, "FAILED": FAILED, "ignored": SKIPPED}
    texts = dict(re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^----|^failures:)", said, re.M | re.S))
    return [Case(name, outcomes[word], 0.0, texts.get(name, "").strip()[:600])
            for name, word in re.findall(r"^test (\S+) \.\.\. (ok|FAILED|ignored)", said, re.M)]
