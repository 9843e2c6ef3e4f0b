"""Includes go down the floors of the house, and each library stays in its rooms. The table is house.py."""

import unittest

import house
import source


def folder_of(path):
    """The folder of the table that a path lies in, or None."""
    parts = path.split("/")[:-1]
    for length in range(len(parts), 0, -1):
        candidate = "/".join(parts[:length])
        if candidate in house.FLOORS or candidate in house.OUTSIDE:
            return candidate
    return None


def edge_error(path, included):
    """Why `path` may not include the project's file `included`; None if it may."""
    here, there = folder_of(path), folder_of(included)
    if there is None:
        return f"{included} lies in no folder of the house"
    if here in house.OUTSIDE:
        return None if there != "fuzz" or here == "fuzz" else f"{here} may not include fuzz"
    if there in house.OUTSIDE:
        return f"{here} may not include {there}"
    if here == there:
        return None
    if (here, there) in house.FORBIDDEN_EDGES:
        return f"{here} may not include {there}: {house.FORBIDDEN_EDGES[(here, there)]}"
    if house.FLOORS[there] >= house.FLOORS[here]:
        return f"{here} (floor {house.FLOORS[here]}) may not include {there} (floor {house.FLOORS[there]})"
    return None


def allowed(path, patterns):
    return any(path.startswith(p) if p.endswith("/") else path == p for p in patterns)


def library_error(path, header):
    """Why `path` may not include the header <header>; None if it may."""
    if folder_of(path) in house.OUTSIDE:
        return None
    if header in house.CORE_STANDARD:
        return None
    if header in house.STANDARD:
        return f"core may not include <{header}>" if path.startswith("core/") else None
    if header in house.SYSTEM_HEADERS or header.startswith(house.SYSTEM_PREFIXES):
        return None if allowed(path, house.SYSTEM_FOLDERS) else f"<{header}> belongs behind a port"
    for prefix, patterns in house.LIBRARIES:
        if header.startswith(prefix):
            rooms = ", ".join(patterns) or "no room of the house"
            return None if allowed(path, patterns) else f"<{header}> may be included by {rooms}"
    return f"<{header}> is not in the table of tests/architecture/house.py"


def violations(files):
    found = []
    for path, text in sorted(files.items()):
        if folder_of(path) is None:
            found.append(f"{path}: lies in no folder of the house")
            continue
        for line, quoted, header in source.includes(text):
            error = edge_error(path, header) if quoted else library_error(path, header)
            if error:
                found.append(f"{path}:{line}: {error}")
    return found


class TheTree(source.Rules):
    def test_keeps_to_the_table(self):
        files = source.read((".h", ".cc"), ("core/", "inspect/", "sim/", "runtime/", "server/", "tests/", "fuzz/"))
        self.assertGreater(len(files), 20)
        self.assert_none(violations(files))

    def test_has_no_source_outside_the_house(self):
        known = ("core/", "inspect/", "sim/", "runtime/", "server/", "tests/", "fuzz/")
        self.assert_none([p for p in source.tracked() if p.endswith((".h", ".cc")) and not p.startswith(known)])


class PlantedViolation(unittest.TestCase):
    def found(self, path, text):
        return violations({path: text})

    def test_an_include_upwards_is_found(self):
        self.assertEqual(["core/base/x.h:1: core/base (floor 0) may not include core/raft (floor 5)"],
                         self.found("core/base/x.h", '#include "core/raft/fsm.h"\n'))

    def test_an_include_sideways_is_found(self):
        self.assertEqual(1, len(self.found("core/wal/wal.cc", '#include "core/protocol/codec.h"\n')))
        self.assertEqual(1, len(self.found("sim/world.cc", '#include "runtime/loop.h"\n')))
        self.assertEqual(1, len(self.found("runtime/loop.cc", '#include "sim/world.h"\n')))

    def test_core_on_the_real_or_the_simulated_world_is_found(self):
        for world in ("sim/world.h", "runtime/loop.h", "server/main.h"):
            self.assertEqual(1, len(self.found("core/node/node.cc", f'#include "{world}"\n')))

    def test_a_simulator_in_the_server_is_found(self):
        self.assertEqual(1, len(self.found("server/main.cc", '#include "sim/world.h"\n')))

    def test_production_code_on_test_code_is_found(self):
        self.assertEqual(1, len(self.found("core/log/log.cc", '#include "tests/support/status_matchers.h"\n')))

    def test_an_unknown_folder_is_found(self):
        self.assertEqual(1, len(self.found("core/util/helpers.h", "\n")))
        self.assertEqual(1, len(self.found("core/log/log.cc", '#include "core/util/helpers.h"\n')))

    def test_a_library_outside_its_room_is_found(self):
        self.assertEqual(1, len(self.found("core/log/log.cc", "#include <rocksdb/db.h>\n")))
        self.assertEqual(1, len(self.found("runtime/loop.cc", "#include <rocksdb/db.h>\n")))
        self.assertEqual(1, len(self.found("core/raft/driver.cc", "#include <boost/context/fiber.hpp>\n")))
        self.assertEqual(1, len(self.found("core/broker/handlers.cc", "#include <absl/synchronization/mutex.h>\n")))
        self.assertEqual(1, len(self.found("server/main.cc", "#include <some/new_library.h>\n")))

    def test_threads_clocks_and_streams_in_core_are_found(self):
        for header in ("thread", "mutex", "atomic", "chrono", "random", "iostream", "unistd.h", "sys/socket.h"):
            self.assertEqual(1, len(self.found("core/log/log.cc", f"#include <{header}>\n")), header)

    def test_what_goes_down_is_not_found(self):
        self.assertEqual([], self.found("core/log/log.cc", '#include "core/wal/wal.h"\n#include <vector>\n'))
        self.assertEqual([], self.found("server/main.cc", '#include "core/node/node.h"\n#include <CLI/CLI.hpp>\n'))
        self.assertEqual([], self.found("tests/core/log_test.cc", '#include "sim/disk.h"\n#include <gtest/gtest.h>\n'))


if __name__ == "__main__":
    unittest.main()
