"""A few of the suites of `make client-tests` that need no compiler, against one node. Skipped where they cannot be
had."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
import expected  # noqa: E402 (of the folder beside this one)
from kafka_python import KafkaPython  # noqa: E402
from own_program import ConfluentPython, KafkaJs  # noqa: E402
from run import SUITES, run_suite  # noqa: E402
from suite import FAILED, PASSED, SKIPPED, Case, Unavailable  # noqa: E402


LIST = """
a reason   # and a remark
  fail broken*
  skip not[here]
  leave hangs nodes=3
another
  vary slow
"""


class Lists(unittest.TestCase):
    def test_say_which_results_are_wrong(self):
        of_three = expected.Expected("none", 3)
        of_three.entries = expected.parse(LIST, "list")
        right = [("other", PASSED), ("broken-a", FAILED), ("not[here]", SKIPPED), ("slow", PASSED), ("slow", FAILED)]
        wrong = [("other", FAILED), ("other", SKIPPED), ("broken-a", PASSED), ("not[here]", PASSED), ("noth", SKIPPED)]
        self.assertEqual([None] * len(right), [of_three.verdict(Case(*pair)) for pair in right])
        self.assertNotIn(None, [of_three.verdict(Case(*pair)) for pair in wrong])
        unused = of_three.unused([Case(*right[1]), Case(*right[3])])
        self.assertEqual(["not[here]"], [entry.pattern for entry in unused])
        self.assertEqual(["hangs"], of_three.left_out)

    def test_refuse_what_they_do_not_understand(self):
        for text in ("  fail early", "why\n  lose it", "why\n  fail", "why\n  fail it nodes=all"):
            with self.assertRaises(ValueError):
                expected.parse(text, "list")

    def test_belong_to_a_suite_and_can_be_read(self):
        names = {suite.name for suite in SUITES}
        for path in expected.FOLDER.glob("*.txt"):
            self.assertIn(path.stem, names)
            self.assertGreater(len(expected.parse(path.read_text(encoding="utf-8"), path.name)), 0)


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
