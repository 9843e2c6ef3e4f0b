"""Names without linkage are unique within what may become one translation unit.

The release and sanitizer presets are unity builds: several .cc files of a library are compiled as one. Two helpers of
one name in namespaces without a name then collide. Preset dev compiles files apart and would not notice; this does.
"""

import re
import unittest

import source


NO_VARIABLE = re.compile(r"(?:using|friend|static_assert|template|class|struct|enum)\b")


def unit_of(path):
    """What is compiled together: a library, or a test program."""
    parts = path.split("/")
    return "/".join(parts[:-1]) if parts[0] == "tests" else parts[0]


def parameters(head):
    inside = head[head.find("("):head.rfind(")")]
    return 0 if not inside[1:].strip() else inside.count(",") + 1


def local_names(text):
    """[(what, line)] of what namespaces without a name define; functions differ by their number of parameters."""
    found = []
    for kind, name, head, line, _, scopes in source.declarations(text):
        if "" not in scopes or scopes[-1] != "" or not name or name.startswith(("TEST", "RC_GTEST")):
            continue
        place = "::".join(s for s in scopes if s)
        if kind == "function":
            found.append((f"{place}::{name}() of {parameters(head)}", line))
        elif kind == "type" or kind == "variable" and not NO_VARIABLE.match(head):
            found.append((f"{place}::{name}", line))
    return found


def collisions(files):
    seen, found = {}, []
    for path, text in sorted(files.items()):
        for what, line in local_names(text):
            first = seen.setdefault((unit_of(path), what), path)
            if first != path:
                found.append(f"{path}:{line}: {what} is also in {first}: share it, or give it a name of its own")
    return found


class TheTree(source.Rules):
    def test_files_of_one_library_have_no_local_name_twice(self):
        files = source.read((".cc",), ("core/", "inspect/", "sim/", "runtime/", "server/", "tests/"))
        self.assertGreater(sum(len(local_names(text)) for text in files.values()), 20)
        self.assert_none(collisions(files))


class PlantedViolation(unittest.TestCase):
    def file(self, body, space="chronik::wal"):
        return f"#include <x>\nnamespace {space} {{\nnamespace {{\n{body}\n}}  // namespace\nvoid g() {{ h(); }}\n}}\n"

    def found(self, first, second, path="core/wal/b.cc", space="chronik::wal"):
        return len(collisions({"core/wal/a.cc": self.file(first), path: self.file(second, space)}))

    def test_the_same_constant_function_or_type_is_found(self):
        self.assertEqual(1, self.found("constexpr int kAt = 0;", "constexpr long kAt = 8;"))
        self.assertEqual(1, self.found("constexpr char kTable[] = {1, 2};", "constexpr int kTable[2] = {3, 4};"))
        self.assertEqual(1, self.found("const Size kSmall{1, 2};", "const Size kSmall{3, 4};"))
        self.assertEqual(1, self.found("int f(int a) { return a; }", "long f(long b) {\n  return b;\n}"))
        self.assertEqual(1, self.found("struct Entry { int a; };", "class Entry final { int b; };"))

    def test_overloads_and_names_of_other_places_are_not_found(self):
        self.assertEqual(0, self.found("int f(int a) { return a; }", "int f(int a, int b) { return a + b; }"))
        self.assertEqual(0, self.found("constexpr int kAt = 0;", "constexpr int kAt = 8;", space="chronik::log"))
        self.assertEqual(0, self.found("constexpr int kAt = 0;", "constexpr int kAt = 8;", path="sim/b.cc"))
        self.assertEqual(0, self.found("struct A { int size; };", "struct B { int size; };"))


if __name__ == "__main__":
    unittest.main()
