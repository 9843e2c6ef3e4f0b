"""Runs a file of Python unittests and leaves its results where .ci/test counts them (GoogleTest's XML).

    python3 tests/support/run_python.py tests/architecture/tidy_test.py [TestName.test_case …]

GTEST_OUTPUT=xml:PATH says where the results go. CHRONIK_SOURCE is the tree under test; without it, this one.
"""

import importlib.util
import os
import pathlib
import sys
import unittest
import xml.etree.ElementTree


class Result(unittest.TextTestResult):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.cases = []

    def note(self, test, kind=None, text=""):
        self.cases.append((test.id(), kind, text))

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, "failure", str(error[1]))

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, "failure", repr(error[1]))

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.note(subtest, "failure", str(error[1]))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)


def write_results(cases, path):
    suites = xml.etree.ElementTree.Element("testsuites")
    suite = xml.etree.ElementTree.SubElement(suites, "testsuite", name=path.stem)
    for name, kind, text in cases:
        case = xml.etree.ElementTree.SubElement(suite, "testcase", name=name, status="run")
        if kind:
            xml.etree.ElementTree.SubElement(case, kind, message=text[:2000])
    path.parent.mkdir(parents=True, exist_ok=True)
    xml.etree.ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def main():
    script = pathlib.Path(sys.argv[1]).resolve()
    os.environ.setdefault("CHRONIK_SOURCE", str(pathlib.Path(__file__).resolve().parents[2]))
    sys.path.insert(0, str(script.parent))
    specification = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(specification)
    sys.modules[script.stem] = module
    specification.loader.exec_module(module)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(sys.argv[2:], module) if sys.argv[2:] else loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=1).run(suite)
    output = os.environ.get("GTEST_OUTPUT", "")
    if output.startswith("xml:"):
        write_results(result.cases, pathlib.Path(output[len("xml:"):]))
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
