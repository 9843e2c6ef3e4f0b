"""A source file that changes is left as `make format` leaves it. One version of clang-format decides: others differ."""

import os
import shutil
import subprocess
import unittest

import source

CLANG_FORMAT = "clang-format-14"


def unformatted(paths, root):
    """Those of the files that clang-format would change, each with the first place."""
    groups = [paths[i::2] for i in range(2)]
    running = [subprocess.Popen([CLANG_FORMAT, "--dry-run", "--style=file", *group], cwd=root, text=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for group in groups if group]
    first = {}
    for process in running:
        for line in process.communicate()[1].split("\n"):
            if " warning: code should be clang-formatted" in line or " error: code should be" in line:
                path, number = line.split(":")[:2]
                first.setdefault(path, f"{path}:{number}: `make format` would change this")
    return sorted(first.values())


@unittest.skipUnless(shutil.which(CLANG_FORMAT), CLANG_FORMAT + " is not installed")
class Sources(source.Rules):
    def test_are_formatted(self):
        paths = [p for p in source.changed() if p.endswith((".h", ".cc"))]
        if not paths:
            self.skipTest("no source file changed")
        self.assert_none(unformatted(paths, source.ROOT))


@unittest.skipUnless(shutil.which(CLANG_FORMAT), CLANG_FORMAT + " is not installed")
class PlantedViolation(unittest.TestCase):
    def test_an_unformatted_file_is_found(self):
        folder = source.BUILD / "format"
        os.makedirs(folder, exist_ok=True)
        shutil.copy(source.ROOT / ".clang-format", folder)
        (folder / "good.cc").write_text("int f() { return 1; }\n")
        (folder / "bad.cc").write_text("int  g( ) {return 1;}\n")
        self.assertEqual(["bad.cc:1: `make format` would change this"], unformatted(["good.cc", "bad.cc"], folder))


if __name__ == "__main__":
    unittest.main()
