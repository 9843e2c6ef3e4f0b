"""The planted bugs of tests/mutants/ all apply, and each names a checker, a scenario and a rule that there is."""

import pathlib
import re
import sys
import unittest

import source

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "mutants"))
import mutants  # noqa: E402

MUTANTS_MIN = 50
# Of the entries of docs/SCENARIOS.md: a deadlock, a lost wake-up, a full queue, a wait without a deadline.
HANGS = {"F-02", "F-03", "F-04", "F-05", "F-06", "F-07", "F-08", "F-10", "F-29", "F-30", "F-31", "F-32", "F-38", "F-41",
         "F-47", "F-53", "F-60", "F-61"}
# Caught in tests of their own (tests/sim): the simulator's judgement of itself, and of the scenarios that are to fail.
NOT_PLANTED = {"AUDIT", "CRASH", "DETERMINISM", "FAULT-NOT-FIRED", "HANG"}
RULES = {f"R{number}" for number in range(1, 19)}  # of durability, on one node and between nodes


def problems(planted, read, scenarios, checkers):
    """One line for each mutant that does not apply or names what is not there. read(path): the file's text."""
    found = []
    for mutant in planted:
        try:
            mutant.apply(read(mutant.file))
        except (OSError, ValueError) as error:
            found.append(str(error))
        if not re.fullmatch(r"(core|runtime)/.*\.cc", mutant.file):
            found.append(f"{mutant.name}: {mutant.file} is no .cc file of the program under test")
        if mutant.scenario not in scenarios:
            found.append(f"{mutant.name}: there is no scenario {mutant.scenario}")
        if mutant.checker not in checkers:
            found.append(f"{mutant.name}: docs/SIMULATION.md knows no checker {mutant.checker}")
    return found


def scenarios_of(folder):
    names = set()
    for path in folder.rglob("*.cc"):
        names.update(re.findall(r'(?:name\(\) const override \{ return|\.name =) "([\w-]+)"',
                                path.read_text(encoding="utf-8")))
    return names


class Planted(source.Rules):
    def setUp(self):
        self.planted = mutants.read_all(source.ROOT / "tests" / "mutants")

    def test_bugs_apply_and_name_what_there_is(self):
        document = (source.ROOT / "docs" / "SIMULATION.md").read_text(encoding="utf-8")
        checkers = set(re.findall(r"^\|[^|\n]*?`([A-Z-]+)`", document, re.M))
        self.assert_none(problems(self.planted, lambda path: (source.ROOT / path).read_text(encoding="utf-8"),
                                  scenarios_of(source.ROOT / "sim" / "scenarios"), checkers))

    def test_bugs_are_enough_and_break_every_rule(self):
        self.assertGreaterEqual(len(self.planted), MUTANTS_MIN)
        self.assertEqual(set(), RULES - {mutant.rule for mutant in self.planted})

    def test_each_checker_catches_one(self):
        document = (source.ROOT / "docs" / "SIMULATION.md").read_text(encoding="utf-8")
        table = document.split("| checker | number | says |")[1].split("\n\n")[0]
        checkers = set(re.findall(r"^\| `([A-Z-]+)` \|", table, re.M))
        self.assertGreater(len(checkers), 40)
        self.assertEqual(NOT_PLANTED, checkers - {mutant.checker for mutant in self.planted})

    def test_each_hang_of_the_field_is_planted(self):
        document = (source.ROOT / "docs" / "SCENARIOS.md").read_text(encoding="utf-8")
        table = document.split("## Hangs, planted")[1].split("\n## ")[0]
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in table.splitlines() if line.startswith("| F-")]
        self.assertEqual(HANGS, {entry for row in rows for entry in row[0].split(", ")})
        self.assertEqual({4}, {len(row) for row in rows})
        models = (source.ROOT / "sim" / "scenarios" / "frozen.cc").read_text(encoding="utf-8")
        known = {mutant.name for mutant in self.planted} | set(re.findall(r'"(frozen-[\w-]+)"', models))
        for row in rows:
            names = re.findall(r"`([\w-]+)`", row[2])
            self.assertTrue(names, row)
            self.assertEqual(set(), set(names) - known, row)
            self.assertTrue(row[3], row)

    def test_each_has_a_row_in_the_table_of_what_was_found(self):
        document = (source.ROOT / "docs" / "PLANTED.md").read_text(encoding="utf-8")
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in document.splitlines() if line.startswith("| `")]
        self.assertEqual([[f"`{mutant.name}`", mutant.rule, mutant.what, f"`{mutant.scenario}`", f"`{mutant.checker}`"]
                          for mutant in self.planted], [row[:5] for row in rows])
        self.assertEqual({7}, {len(row) for row in rows})


class PlantedViolation(unittest.TestCase):
    TEXT = ("file: core/a.cc\nrule: R2\nchecker: WAL\nscenario: steady\nseeds: 10\nwhat: forgets\n"
            "<<<<\n  sync();\n====\n>>>>\n")

    def check(self, text, content):
        return problems([mutants.parse("m", text)], lambda path: content, {"steady"}, {"WAL"})

    def test_a_bug_that_applies_is_well(self):
        self.assertEqual([], self.check(self.TEXT, "f() {\n  sync();\n}\n"))
        self.assertEqual("f() {\n}\n", mutants.parse("m", self.TEXT).apply("f() {\n  sync();\n}\n"))

    def test_text_that_is_gone_or_there_twice_is_found(self):
        self.assertEqual(1, len(self.check(self.TEXT, "f() {}\n")))
        self.assertEqual(1, len(self.check(self.TEXT, "  sync();\n  sync();\n")))

    def test_names_of_nothing_are_found(self):
        self.assertEqual(1, len(self.check(self.TEXT.replace("steady", "stormy"), "  sync();\n")))
        self.assertEqual(1, len(self.check(self.TEXT.replace("WAL", "WALL"), "  sync();\n")))
        self.assertEqual(1, len(self.check(self.TEXT.replace("a.cc", "a.h"), "  sync();\n")))

    def test_a_file_without_its_fields_or_without_a_change_is_refused(self):
        for text in (self.TEXT.replace("rule: R2\n", ""), self.TEXT.split("<<<<")[0],
                     self.TEXT.replace("====\n", "====\n  sync();\n")):
            with self.assertRaises(ValueError):
                mutants.parse("m", text)


if __name__ == "__main__":
    unittest.main()
