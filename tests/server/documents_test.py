"""README.md and docs/OPERATIONS.md say what the programs do: their commands run, their tables are the programs' own.
And whatever file a document names is there, whatever name of the code docs/ARCHITECTURE.md gives is in the code."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import program  # noqa: E402 (beside this file)

ROOT = pathlib.Path(os.environ["CHRONIK_SOURCE"])
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/OPERATIONS.md").read_text(encoding="utf-8")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=program.environment(),
                          check=True).stdout


def listed_scenarios():
    return json.loads(output(os.environ["CHRONIK_SIM"], "list", "--json"))


def section(title):
    """What stands below a heading, its subsections included."""
    level = re.search(rf"^(#+) {re.escape(title)}$", OPERATIONS, re.M).group(1)
    text = OPERATIONS.split(f"\n{level} {title}\n", 1)[1]
    return re.split(rf"^#{{1,{len(level)}}} ", text, maxsplit=1, flags=re.M)[0]


def rows(text):
    """The tables of a text, without their heads: one list of cells for each row."""
    lines = re.findall(r"^\|(.*)\|$", re.sub(r"^\|.*\|\n\|[-|]+\|$", "", text, flags=re.M), re.M)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def code(cell):
    return re.findall(r"`([^`]+)`", cell)


class EveryDocument(unittest.TestCase):
    documents = {path: path.read_text(encoding="utf-8")
                 for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]}

    def test_files_that_it_names_exist(self):
        named = 0
        for path, text in self.documents.items():
            here = re.findall(r"`((?:\.ci|core|docs|fuzz|runtime|server|sim|tests)/[\w./-]*)`", text)
            linked = re.findall(r"\]\(([\w./-]+)(?:#[\w-]*)?\)", text)
            for file in [ROOT / name for name in here] + [path.parent / name for name in linked]:
                self.assertTrue(file.exists(), f"{path.relative_to(ROOT)} names {file}")
                named += 1
        self.assertGreater(named, 50)

    def test_names_of_code_exist(self):
        code_words = {}
        for folder in ("core", "runtime", "server", "sim"):
            for path in (ROOT / folder).rglob("*.h"):
                code_words[path] = set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
        everything = set().union(*code_words.values())
        for path, text in self.documents.items():
            for owner, member in re.findall(r"`(\w+)::(\w+)`", text):
                self.assertTrue(any({owner, member} <= words for words in code_words.values()),
                                f"{path.relative_to(ROOT)}: there is no {owner}::{member}")
        architecture = self.documents[ROOT / "docs/ARCHITECTURE.md"]
        picture = re.search(r"^```\n(.*?)^```", architecture, re.M | re.S).group(1)
        names = set(re.findall(r"`(\w+)`", architecture) + re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", picture))
        self.assertGreater(len(names), 20)
        self.assertEqual(names - everything, set())

    def test_the_waits_without_an_end_are_all_listed(self):
        architecture = self.documents[ROOT / "docs/ARCHITECTURE.md"]
        section = architecture.split("## Waits without an end\n", 1)[1].split("\n## ")[0]
        found = set()
        for path in (ROOT / "core").rglob("*.cc"):
            function = None
            for line in path.read_text(encoding="utf-8").splitlines():
                function = (re.match(r"\S.*?\b(\w+::\w+)\(.*\{$", line) or [None, function])[1]
                endless = r"\bfor_ever\(\)[,).]|\bDeadline(?: \w+)?\(MonotonicTime::never\(\)"
                if path.name != "wait.cc" and re.search(endless, line):
                    found.add(function)
        self.assertEqual(set(re.findall(r"`(\w+::\w+)`", section)), found)


class Rules(unittest.TestCase):
    """docs/RULES.md explains every rule that is cited, and each rule there is cited somewhere."""
    text = (ROOT / "docs/RULES.md").read_text(encoding="utf-8")
    RULE = re.compile(r"\b([RS])(\d{1,2})\b")

    def told(self):
        return {row[0]: row for row in rows(self.text) if self.RULE.fullmatch(row[0])}

    def cited(self):
        found = {}
        for folder in ("core", "sim", "runtime", "server", "docs"):
            for path in sorted((ROOT / folder).rglob("*")):
                if path.suffix not in (".h", ".cc", ".md") or path.name == "RULES.md":
                    continue
                text = path.read_text(encoding="utf-8").replace("rules R1 to R18, S1 to S18", "")
                for rule in self.RULE.findall(text):
                    found.setdefault("".join(rule), path.relative_to(ROOT))
        return found

    def test_what_is_cited_has_a_row_and_the_rows_are_cited(self):
        told, cited = self.told(), self.cited()
        self.assertEqual({rule: path for rule, path in cited.items() if rule not in told}, {})
        self.assertEqual(set(told) - set(cited), set())
        self.assertGreater(len(told), 30)

    def test_each_names_who_checks_it(self):
        known = set(re.findall(r"^\|[^|\n]*?`([A-Z-]+)`", Promises.text.split("\n## Promises\n", 1)[0], re.M))
        known |= {scenario["name"] for scenario in listed_scenarios()["scenarios"]}
        for rule, row in self.told().items():
            self.assertEqual(len(row), 4, rule)
            self.assertTrue(code(row[3]), f"{rule}: nobody checks it")
            for name in code(row[3]):
                self.assertTrue((ROOT / name).is_file() if "/" in name else name in known, f"{rule}: {name}")


class Promises(unittest.TestCase):
    """The table of docs/SIMULATION.md that says by what each promise is held."""
    text = (ROOT / "docs/SIMULATION.md").read_text(encoding="utf-8")
    PROMISES = 11  # six that one node can keep, three of several, and those of groups and of compaction

    def table(self):
        return rows(self.text.split("\n## Promises\n", 1)[1].split("\n## ")[0])

    def test_every_promise_has_all_that_holds_it(self):
        self.assertEqual(len(self.table()), self.PROMISES)
        for row in self.table():
            self.assertEqual(len(row), 5, row[0])
            for cell in row[1:]:
                self.assertTrue(code(cell), f"{row[0]}: {cell!r} names nothing")

    def test_its_names_exist(self):
        told = self.text.split("\n## Promises\n", 1)[0]
        checkers = set(re.findall(r"^\|[^|\n]*?`([A-Z-]+)`", told, re.M))
        scenarios = {scenario["name"] for scenario in listed_scenarios()["scenarios"]}
        for promise, judges, where, bugs, real in self.table():
            self.assertLessEqual(set(code(judges)), checkers, promise)
            self.assertLessEqual(set(code(where)), scenarios, promise)
            for bug in code(bugs):
                mutant = ROOT / "tests/mutants" / f"{bug}.mutant"
                self.assertTrue(mutant.is_file(), f"{promise}: no bug {bug} is planted")
                checker = re.search(r"^checker: (.+)$", mutant.read_text(encoding="utf-8"), re.M).group(1)
                self.assertIn(checker, code(judges), f"{promise}: {bug} is caught by another checker")
            for tests in real.split(";"):
                file, *names = code(tests)
                program_text = (ROOT / file).read_text(encoding="utf-8")
                self.assertTrue(names, f"{promise}: which test of {file}?")
                for name in names:
                    self.assertIn(f"def {name}(", program_text, promise)


class FieldFailures(unittest.TestCase):
    """docs/SCENARIOS.md: each scenario of the field, and what is none, as the program lists them."""
    text = (ROOT / "docs/SCENARIOS.md").read_text(encoding="utf-8")

    def test_each_scenario_has_its_row(self):
        pages = {s["name"]: s["promises"] for s in listed_scenarios()["scenarios"] if re.match(r"f\d\d-", s["name"])}
        told = rows(self.text.split("\n## Entry by entry\n", 1)[1].split("\nWhat no scenario", 1)[0])
        self.assertEqual([code(row[1])[0] for row in told], list(pages))
        for entry, name, _, checkers in told:
            self.assertEqual(entry, "F-" + code(name)[0][1:3])
            self.assertEqual(code(checkers), pages[code(name)[0]], name)

    def test_what_is_none_is_held_somewhere(self):
        names = {scenario["name"] for scenario in listed_scenarios()["scenarios"]}
        told = rows(self.text.split("\nWhat no scenario", 1)[1].split("\n## ", 1)[0])
        listed = listed_scenarios()["elsewhere"]
        self.assertEqual([(row[0], row[1]) for row in told],
                         [("F-" + entry["entry"][1:], entry["what"]) for entry in listed])
        for entry in listed:
            holder = entry.get("held_by")
            self.assertTrue(holder is None or holder in names or (ROOT / holder).exists(), entry)

    def test_the_page_that_it_shows_is_in_the_tree(self):
        path = re.search(r"^This is a whole one, `([^`]+)`", self.text, re.M).group(1)
        shown = re.search(r"^```cpp\n(.*?)^```", self.text, re.M | re.S).group(1)
        self.assertEqual(shown, (ROOT / path).read_text(encoding="utf-8"))

    def test_checkers_are_those_of_the_table(self):
        simulation = (ROOT / "docs/SIMULATION.md").read_text(encoding="utf-8").split("\n## Promises\n", 1)[0]
        known = set(re.findall(r"`([A-Z-]+)`", "\n".join(re.findall(r"^\|[^|]*\|", simulation, re.M))))
        for scenario in listed_scenarios()["scenarios"]:
            self.assertLessEqual(set(scenario["promises"]), known, scenario["name"])


class Readme(unittest.TestCase):
    def test_every_verb_of_make_exists(self):
        verbs = set(re.findall(r"\bmake ([a-z][a-z-]*)", README))
        self.assertLessEqual({"run", "test", "sim", "bench"}, verbs)
        listed = output("make", "-C", str(ROOT), "--no-print-directory", "help")
        self.assertLessEqual(verbs, set(re.findall(r"^  make (\S+)", listed, re.M)))

    def test_every_flag_exists(self):
        tools = {"chronik-sim": os.environ["CHRONIK_SIM"], "chronik-server": program.SERVER}
        lines = re.findall(r"build/release/(chronik-\w+)((?: [a-z]+)+)((?: --?\w[\w-]* \S+)*)", README)
        for tool, command, flags in lines:
            done = output(tools[tool], *command.split(), "--help")
            for flag in re.findall(r" (--?[\w-]+) ", flags):
                self.assertRegex(done, rf"(?m)^ +(-\w,)?{flag}\b")
        self.assertIn("chronik-sim replay --scenario", README)
        for flag in re.findall(r"ARGS=\"(--?[\w-]+)", README):
            helped = output(program.SERVER, "start", "--help") + output(os.environ["CHRONIK_BENCH"], "--help")
            self.assertRegex(helped, rf"(?m)^ +(-\w,)?{flag}\b|^ +{flag},")

    def test_the_seed_of_the_replay_line_can_be_replayed(self):
        line = re.search(r"^build/release/chronik-sim (replay .*)$", README, re.M).group(1)
        self.assertIn("events", output(os.environ["CHRONIK_SIM"], *line.split()))

    @unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
    def test_its_four_lines_of_kcat_produce_and_consume(self):
        lines = re.search(r"^```sh\n(.*?)^```", README, re.M | re.S).group(1).splitlines()
        self.assertEqual(len(lines), 4)
        with program.Server() as server:
            given = [subprocess.run(["sh", "-c", line.replace("127.0.0.1:9092", server.kafka)], capture_output=True,
                                    text=True, timeout=30, check=True).stdout for line in lines]
        self.assertEqual(len(given[1].splitlines()), 3)
        self.assertIn("topic \"numbers\" with 3 partitions", given[2])
        self.assertRegex(given[3], r"^\d+ \d+\n")


class Operations(unittest.TestCase):
    def test_its_settings_are_those_of_the_table(self):
        source = (ROOT / "server/setting_names.cc").read_text(encoding="utf-8")
        table = source[source.index("kSettings{{"):source.index("}};")]
        settings = re.findall(r'\{"([^"]*)", "(CHRONIK_\w+)", "([^"]*)", "([^"]*)",', table)
        self.assertGreaterEqual(len(settings), 15)
        told = {code(row[1])[0]: row for row in rows(section("Settings").split("\n### ")[0])}
        self.assertEqual(set(told), {variable for _, variable, _, _ in settings})
        for flags, variable, key, default in settings:
            row = told[variable]
            self.assertEqual(",".join(code(row[0])), flags)
            self.assertEqual(code(row[2]), [key] if key else [])
            if default:
                self.assertEqual(code(row[3]), [default], variable)

    def test_the_help_names_every_setting_within_100_columns(self):
        source = (ROOT / "server/setting_names.cc").read_text(encoding="utf-8")
        table = re.findall(r'^    \{"([^"]*)", "([^"]*)", "([^"]*)", "', source, re.M)
        self.assertGreater(len(table), 30)
        helped = output(program.SERVER, "start", "--help")
        for flags, variable, key in table:
            if flags:
                self.assertRegex(helped, rf"(?m)^  {flags} TEXT\b")
                self.assertIn(f"(${variable})", helped)
            else:
                self.assertRegex(helped, rf"(?m)^  {', '.join(name for name in (variable, key) if name)}( |$)")
        for command in ([], ["start"], ["cluster"], ["cluster", "status"], ["cluster", "add-node"]):
            for line in output(program.SERVER, *command, "--help").splitlines():
                self.assertLessEqual(len(line), 100, line)

    def test_its_times_are_those_of_the_broker(self):
        source = (ROOT / "core/cluster/broker_config_defs.cc").read_text(encoding="utf-8")
        told = rows(section("How soon nodes notice each other"))
        self.assertEqual(len(told), 5)
        for name, default, *_ in told:
            definition = source.split(f'.name = "{code(name)[0]}"', 1)[1].split("{.name", 1)[0]
            self.assertIn(f'.default_value = "{default}"', definition, name)

    def test_its_example_of_a_file_is_taken(self):
        with program.tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "chronik.toml")
            example = re.search(r"^```toml\n(.*?)^```", OPERATIONS, re.M | re.S).group(1)
            pathlib.Path(path).write_text(example, encoding="utf-8")
            with program.Server("-c", path, "--metrics-bind", "off") as server:
                self.assertIn("clients are told broker-1.example.org:9092", server.banner)
                self.assertIn("WAL profile high", server.banner)

    def test_its_profiles_are_the_programs(self):
        text = section("Profiles")
        for variable, names in (("CHRONIK_WAL_PROFILE", 0), ("CHRONIK_PRODUCE_PROFILE", 0)):
            done = program.run("start", **{variable: "nonesuch"})
            known = re.findall(r"([\w-]+) \(([\w ]+)\)", done.stderr)
            self.assertEqual(len(known), 4)
            for name, others in known:
                aliases = ", ".join(f"`{other}`" for other in others.split())
                self.assertIn(f"| `{name}` | {aliases} |", text)

    def test_its_exit_statuses_are_the_programs(self):
        source = (ROOT / "core/ports/process.h").read_text(encoding="utf-8")
        known = set(re.findall(r"^  k\w+ = (\d+),", source, re.M))
        self.assertEqual({row[0] for row in rows(section("Exit statuses"))}, known | {"128 + n"})

    def test_its_metrics_are_those_that_are_served(self):
        with program.Server() as server:
            served = dict(re.findall(r"^# TYPE (\S+) (\S+)$", server.get("/metrics")[1], re.M))
            for path in (code(row[0])[0] for row in rows(section("Pages"))):
                self.assertEqual(server.get(path)[0], 200)
        self.assertEqual({code(row[0])[0]: row[1] for row in rows(section("Metrics"))}, served)

    def test_its_flags_of_the_benchmark_are_the_programs(self):
        helped = output(os.environ["CHRONIK_BENCH"], "--help")
        flags = set(re.findall(r"^ +(?:-\w,)?(--[\w-]+)", helped, re.M)) - {"--help", "--version"}
        self.assertEqual({code(row[0])[-1] for row in rows(section("chronik-bench"))}, flags)


if __name__ == "__main__":
    unittest.main()
