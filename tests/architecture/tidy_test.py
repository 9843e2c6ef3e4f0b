"""Style that a machine can see: sizes of lines, files and functions, leftovers, headings, paths of one machine."""

import re
import unittest

import source

LINE_MAX = 120
FUNCTION_MAX = 70
FILE_MAX = {"core/": 500, "": 800}  # the first prefix that fits

# A ratchet: functions that are longer and how long each may be. It only shrinks: an entry that is no longer needed, or
# larger than needed, fails.
LONG_FUNCTIONS = {}

SOURCES = (".h", ".cc", ".py", ".cmake", "CMakeLists.txt", ".sh")
TEXTS = SOURCES + (".md", ".json", ".toml", ".mutant", "Makefile", ".ci/deps", ".ci/run", ".ci/test", ".ci/tidy")
LEFTOVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|Users)/\w|\.\./" r"shared\b")


def long_lines(files):
    return [f"{path}:{number}: {len(line)} columns, at most {LINE_MAX}"
            for path, text in sorted(files.items())
            for number, line in enumerate(text.split("\n"), 1) if len(line) > LINE_MAX]


def long_files(files):
    found = []
    for path, text in sorted(files.items()):
        most = next(limit for prefix, limit in FILE_MAX.items() if path.startswith(prefix))
        lines = text.count("\n")
        if lines > most:
            found.append(f"{path}: {lines} lines, at most {most}: it may hold two ideas")
    return found


def long_functions(files, ratchet):
    found, unused = [], dict(ratchet)
    for path, text in sorted(files.items()):
        for name, line, lines in source.functions(text):
            if lines <= FUNCTION_MAX:
                continue
            key = f"{path}:{name}"
            unused.pop(key, None)
            if ratchet.get(key) != lines:
                found.append(f"{path}:{line}: {name} has {lines} lines, at most {ratchet.get(key, FUNCTION_MAX)}")
    return found + [f"{key}: take it out of LONG_FUNCTIONS, it is shorter now" for key in unused]


def matches(files, pattern, what):
    return [f"{path}:{source.line_of(text, m.start())}: {what}: {m.group(0)}"
            for path, text in sorted(files.items()) for m in pattern.finditer(text)]


def title_errors(files):
    found = []
    for path, text in sorted(files.items()):
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        titles = re.findall(r"^# .+", prose, re.M)
        if len(titles) != 1:
            found.append(f"{path}: {len(titles)} titles, exactly one is right")
        elif not prose.lstrip().startswith("# "):
            found.append(f"{path}: does not begin with its title")
    return found


def unbuilt(tests, built):
    return [f"{path}: no test program builds it (tests/CMakeLists.txt)" for path in sorted(set(tests) - set(built))]


class TheTree(source.Rules):
    def setUp(self):
        self.sources = source.read(SOURCES)
        self.cpp = source.read((".h", ".cc"))
        self.texts = source.read(TEXTS)

    def test_lines_are_short(self):
        self.assert_none(long_lines(self.sources))

    def test_files_are_short(self):
        self.assert_none(long_files(self.sources))

    def test_functions_are_short(self):
        self.assertGreater(sum(len(source.functions(text)) for text in self.cpp.values()), 50)
        self.assert_none(long_functions(self.cpp, LONG_FUNCTIONS))

    def test_nothing_is_left_to_be_done_later(self):
        self.assert_none(matches(self.texts, LEFTOVER, "left over"))

    def test_no_path_of_one_machine(self):
        self.assert_none(matches(self.texts, MACHINE_PATH, "a path of one machine"))

    def test_documents_have_one_title(self):
        self.assert_none(title_errors(source.read((".md",))))

    def test_every_test_is_built(self):
        listing = source.BUILD / "test-sources.txt"
        if not listing.exists():
            self.skipTest("no build directory given")
        built = [line.replace(str(source.ROOT) + "/", "") for line in listing.read_text().split("\n") if line]
        tests = [p for p in source.tracked() if p.startswith("tests/") and p.endswith("_test.cc")]
        self.assert_none(unbuilt(tests, built))


class PlantedViolation(unittest.TestCase):
    def test_a_long_line_is_found(self):
        self.assertEqual(1, len(long_lines({"core/a.h": "x" * 120 + "\n" + "x" * 121 + "\n"})))

    def test_a_long_file_is_found(self):
        self.assertEqual(1, len(long_files({"core/a.h": "\n" * 501, "core/b.h": "\n" * 500})))
        self.assertEqual(1, len(long_files({"sim/a.h": "\n" * 801, "sim/b.h": "\n" * 800})))

    def body(self, lines):
        return "namespace a {\nstruct S {\n int f(int x) const {\n" + "  g();\n" * (lines - 2) + " }\n};\n}\n"

    def test_a_long_function_is_found(self):
        self.assertEqual(["a.cc:3: f has 71 lines, at most 70"], long_functions({"a.cc": self.body(71)}, {}))
        self.assertEqual([], long_functions({"a.cc": self.body(70)}, {}))
        constructor = "a::S::S(int x, P p = {})\n    : b_{1}, c_(2) {\n" + "g();\n" * 80 + "}\n"
        self.assertEqual(["a.cc:1: a::S::S has 83 lines, at most 70"], long_functions({"a.cc": constructor}, {}))

    def test_the_ratchet_turns_one_way_only(self):
        self.assertEqual([], long_functions({"a.cc": self.body(80)}, {"a.cc:f": 80}))
        self.assertEqual(1, len(long_functions({"a.cc": self.body(81)}, {"a.cc:f": 80})))
        self.assertNotEqual([], long_functions({"a.cc": self.body(79)}, {"a.cc:f": 80}))
        self.assertEqual(1, len(long_functions({"a.cc": self.body(9)}, {"a.cc:f": 80})))

    def test_a_leftover_is_found(self):
        self.assertEqual(1, len(matches({"a.h": "// TO" + "DO: later\n"}, LEFTOVER, "left over")))

    def test_a_machine_path_is_found(self):
        self.assertEqual(1, len(matches({"a.md": "see /ho" + "me/ann/x\n"}, MACHINE_PATH, "path")))
        self.assertEqual([], matches({"a.md": "core/work/x and https://x.org/home/y\n"}, MACHINE_PATH, "path"))

    def test_a_second_and_a_missing_title_are_found(self):
        self.assertEqual(1, len(title_errors({"a.md": "# A\n\n# B\n"})))
        self.assertEqual(1, len(title_errors({"a.md": "text\n"})))
        self.assertEqual([], title_errors({"a.md": "# A\n```\n# a comment\n```\n"}))

    def test_a_test_that_nobody_builds_is_found(self):
        self.assertEqual(1, len(unbuilt(["tests/core/x/a_test.cc"], ["tests/core/y/b_test.cc"])))


if __name__ == "__main__":
    unittest.main()
