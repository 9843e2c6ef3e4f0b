"""The table of named points (core/base/sim_point.h) and the code agree, and so do the broker's errors and the table of
those that a simulation counts (sim/coverage.cc)."""

import re
import unittest

import source

TABLE = "core/base/sim_point.h"
VERB_OF_KIND = {"kPass": "sim_point", "kPause": "sim_pause", "kFail": "sim_fails"}
POINTS_MIN = 40


def listed_points(text):
    """[(name, kind)] of the table."""
    return re.findall(r'\{"([\w.]+)", PointKind::(k\w+)\}', text)


def points_of(files):
    """[(path, verb, name)] of the code."""
    found = []
    for path, text in files.items():
        found += [(path, verb, name) for verb, name in re.findall(r'\b(sim_\w+)\("([^"]*)"\)', text)]
    return found


def point_problems(table, files):
    """One line for each disagreement."""
    kinds, problems, places = dict(table), [], {}
    if len(kinds) != len(table):
        problems.append("a point is listed twice")
    for path, verb, name in points_of(files):
        places.setdefault(name, []).append(path)
        if not re.fullmatch(r"[a-z]+\.[a-z_]+", name):
            problems.append(f"{path}: {name} is no room.what")
        if verb != VERB_OF_KIND.get(kinds.get(name)):
            problems.append(f"{path}: {verb}(\"{name}\") is not what the table says")
    problems += [f"{name} is listed and stands nowhere" for name in kinds if name not in places]
    return problems + [f"{name} stands at {len(paths)} places" for name, paths in places.items() if len(paths) > 1]


def errors_of_the_code(files):
    """Names of the errors that the code gives, not of those that it only looks for."""
    names = set()
    for text in files.values():
        looked_for = r"(?:==|!=|\bcase)\s*(?:protocol::)?ErrorCode::k\w+"
        names.update(re.findall(r"ErrorCode::(k\w+)", re.sub(looked_for, "", text)))
    return names - {"kNone"}


def errors_of_the_table(text):
    lists = re.findall(r"constexpr ErrorCode k(?:Answered|Internal)\[\] = \{(.*?)\};", text, re.S)
    return [name for one in lists for name in re.findall(r"ErrorCode::(k\w+)", one)]


class Points(source.Rules):
    def test_table_and_code_agree(self):
        files = source.read((".h", ".cc"), ("core/",))
        table = listed_points(files.pop(TABLE))
        self.assertGreaterEqual(len(table), POINTS_MIN)
        self.assert_none(point_problems(table, files))

    def test_errors_that_are_counted_are_those_of_the_code(self):
        rooms = ("core/broker/", "core/group/", "core/cluster/", "core/replication/", "core/log/",
                 "core/protocol/record_batch")
        code = errors_of_the_code(source.read((".h", ".cc"), rooms))
        table = errors_of_the_table((source.ROOT / "sim/coverage.cc").read_text(encoding="utf-8"))
        self.assertEqual(len(table), len(set(table)), "an error is listed twice")
        self.assertEqual(sorted(code), sorted(table))


class PlantedViolation(unittest.TestCase):
    def found(self, text, table=(("wal.before_sync", "kPause"),)):
        return point_problems(list(table), {"core/a.cc": text})

    def test_a_point_that_is_listed_and_stands_once_is_well(self):
        self.assertEqual([], self.found('sim_pause("wal.before_sync");'))

    def test_a_point_of_another_kind_or_name_is_found(self):
        self.assertEqual(1, len(self.found('sim_point("wal.before_sync");')))
        self.assertEqual(1, len(self.found('sim_pause("wal.before_sync"); sim_pause("wal.other");')))
        self.assertEqual(3, len(self.found('sim_pause("Other");')))

    def test_a_point_that_stands_nowhere_or_twice_is_found(self):
        self.assertEqual(1, len(self.found("")))
        self.assertEqual(1, len(self.found('sim_pause("wal.before_sync"); sim_pause("wal.before_sync");')))

    def test_an_error_that_is_only_looked_for_is_not_given(self):
        self.assertEqual({"kB"}, errors_of_the_code({"a.cc": "if (e == ErrorCode::kA) { return ErrorCode::kB; }"}))


if __name__ == "__main__":
    unittest.main()
