"""A few of the suites of `make client-tests` that need no compiler, against one node; skipped where they cannot be had."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
from kafka_python import KafkaPython  # noqa: E402 (of the folder beside this one)
from own_program import ConfluentPython, KafkaJs  # noqa: E402
from run import run_suite  # noqa: E402
from suite import Unavailable  # noqa: E402


class Suites(unittest.TestCase):
    def check(self, suite):
        try:
            suite.fetch()
        except Unavailable as why:
            self.skipTest(f"{suite.name} cannot be fetched here: {why}")
        row = run_suite(suite, 1)
        self.assertEqual([], row.wrong)

    def test_kafka_python(self):
        self.check(KafkaPython())

    def test_confluent_kafka_python(self):
        self.check(ConfluentPython())

    def test_kafkajs(self):
        self.check(KafkaJs())


if __name__ == "__main__":
    unittest.main()
