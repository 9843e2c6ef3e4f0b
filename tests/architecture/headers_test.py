"""Each header compiles alone: it includes what it needs.

A header costs about two seconds, nearly all of it in Abseil's and fmt's headers, so these are precompiled, without
giving anything away: a header gets a precompiled set only if it includes (itself or through ours) all members of that
set. For the same reason headers are compiled one behind the other, in chains: a header may stand behind another only if
it includes that one, and so all before it.
What was found good is remembered in the build directory until one of the files it read changes.
"""

import concurrent.futures
import hashlib
import os
import pathlib
import subprocess
import tempfile
import unittest

import source

CXX = os.environ.get("CXX", "g++")
FLAGS = ["-std=c++20", "-msse4.2", "-Wall", "-Wextra", "-Werror"]

# Sets worth precompiling: all that these of our headers include from outside, and some more. The first set whose
# members a header includes is taken.
SETS = [
    ("core/base/status.h", ["absl/container/btree_map.h", "absl/functional/any_invocable.h"]),
    ("core/base/status.h", ["absl/container/btree_map.h"]),
    ("core/base/status.h", ["absl/functional/any_invocable.h"]),
    ("core/base/status.h", []),
    ("core/base/check.h", []),
]


def closure(header, texts):
    """(ours, others): all that a header includes, directly or through headers of the tree."""
    ours, others, queue = {header}, set(), [header]
    while queue:
        for _, quoted, included in source.includes(texts[queue.pop()]):
            if not quoted or included not in texts:
                others.add(included)
            elif included not in ours:
                ours.add(included)
                queue.append(included)
    return ours, others


class Checker:
    """Compiles headers of the tree below `root`, with precompiled sets and stamps below `work`."""

    def __init__(self, root, texts, work):
        self.root, self.texts, self.work = pathlib.Path(root), texts, pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        version = subprocess.run([CXX, "--version"], capture_output=True, text=True, check=True).stdout
        self.salt = version + " ".join(FLAGS)
        self.sets = []
        for header, more in SETS:
            if header in texts:
                self.sets.append(frozenset(closure(header, texts)[1]) | frozenset(more))

    def stamp(self, header):
        digest = hashlib.sha256(self.salt.encode())
        for name in sorted(closure(header, self.texts)[0]):
            digest.update(name.encode() + b"\0" + self.texts[name].encode() + b"\0")
        return self.work / (digest.hexdigest()[:32] + ".good")

    def precompiled(self, header):
        others = closure(header, self.texts)[1]
        return next((s for s in self.sets if s <= others), None)

    def set_path(self, members):
        name = hashlib.sha256((self.salt + " ".join(sorted(members))).encode()).hexdigest()[:16]
        return self.work / (name + ".h")

    def precompile(self, members):
        path = self.set_path(members)
        if not path.with_suffix(".h.gch").exists():
            path.write_text("".join(f"#include <{m}>\n" for m in sorted(members)))
            subprocess.run([CXX, *FLAGS, "-x", "c++-header", str(path), "-o", str(path) + ".part"], check=True)
            os.replace(str(path) + ".part", str(path) + ".gch")

    def chains(self, headers):
        """The headers in chains; each header of a chain includes, directly or not, all that stand before it."""
        chains = []
        closures = {h: closure(h, self.texts)[0] for h in headers}
        for header in sorted(headers, key=lambda h: (len(closures[h]), h)):
            fitting = [chain for chain in chains if chain[-1] in closures[header]]
            if fitting:
                max(fitting, key=lambda chain: len(closures[chain[-1]])).append(header)
            else:
                chains.append([header])
        return chains

    def compile(self, headers):
        """Why the headers do not compile one behind the other; empty: they do."""
        members = self.precompiled(headers[0])
        use = ["-include", str(self.set_path(members))] if members else []
        done = subprocess.run([CXX, *FLAGS, "-I.", "-fsyntax-only", *use, "-x", "c++", "-"], cwd=self.root,
                              input="".join(f'#include "{h}"\n' for h in headers), capture_output=True, text=True)
        return done.stderr if done.returncode != 0 else ""

    def check(self, chain):
        """What is wrong with headers of a chain. Each of those that are well gets its stamp."""
        errors = []
        whole = not self.compile(chain)
        for header in chain:
            error = "" if whole else self.compile([header])
            if error:
                errors.append(f"{header} does not compile alone:\n" + "\n".join(error.split("\n")[:8]))
            else:
                self.stamp(header).touch()
        return errors

    def run(self, headers):
        due = [h for h in sorted(headers) if not self.stamp(h).exists()]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            list(pool.map(self.precompile, {self.precompiled(h) for h in due} - {None}))
            return [error for errors in pool.map(self.check, self.chains(due)) for error in errors]


class Headers(source.Rules):
    def test_compile_alone(self):
        texts = source.read((".h",))
        self.assertGreater(len(texts), 20)
        errors = Checker(source.ROOT, texts, source.BUILD / "headers").run(texts)
        self.assert_none(errors)


class PlantedViolation(unittest.TestCase):
    def errors(self, texts):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in texts.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return Checker(folder, texts, pathlib.Path(folder) / "work").run(texts)

    def test_a_header_that_lacks_an_include_is_found(self):
        texts = {"core/base/check.h": "#pragma once\n#include <cstdint>\nusing Number = std::int32_t;\n",
                 "core/base/good.h": "#pragma once\n#include <string>\ninline std::string f() { return {}; }\n",
                 "core/base/bad.h": '#pragma once\n#include "core/base/check.h"\ninline std::string g();\n',
                 "core/base/worse.h": "#pragma once\ninline Number h() { return 1; }\n"}
        self.assertEqual(["core/base/bad.h", "core/base/worse.h"], [e.split(" ")[0] for e in self.errors(texts)])

    def test_a_header_behind_one_that_it_does_not_include_gets_nothing_from_it(self):
        texts = {"core/base/check.h": "#pragma once\n#include <cstdint>\n",
                 "core/base/a.h": "#pragma once\n#include <vector>\ninline std::vector<int> a() { return {}; }\n",
                 "core/base/b.h": '#pragma once\n#include "core/base/a.h"\ninline auto b() { return a(); }\n',
                 "core/base/c.h": "#pragma once\ninline std::vector<int> c() { return {}; }\n",
                 "core/base/d.h": '#pragma once\n#include "core/base/c.h"\n#include <vector>\n'}
        self.assertEqual(["core/base/c.h", "core/base/d.h"], [e.split(" ")[0] for e in self.errors(texts)])

    def test_a_precompiled_set_helps_no_header_that_does_not_include_it(self):
        texts = {"core/base/check.h": "#pragma once\n#include <string>\n#include <vector>\nusing S = std::string;\n",
                 "core/base/part.h": "#pragma once\n#include <string>\ninline std::vector<int> f() { return {}; }\n"}
        self.assertEqual(["core/base/part.h"], [e.split(" ")[0] for e in self.errors(texts)])


if __name__ == "__main__":
    unittest.main()
