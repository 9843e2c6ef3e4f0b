"""librdkafka's own tests of a broker: in C, its program runs many of them at a time."""

import concurrent.futures
import json
import re
import shutil
import tarfile

from expected import is_left_out
from suite import FAILED, PASSED, SKIPPED, ROOT, WORK, Case, Suite, execute, must

PACKAGE = "@confluentinc/kafka-javascript@1.10.1"
# The package has librdkafka's source and tests, but neither of its two build systems whole. CMake's part is in this
# crate.
CRATE = "rdkafka-sys"
CRATE_VERSION = "4.10.0+2.12.1"
# Newer code asks for these, the crate's CMake files do not set them yet.
FLAGS = "-DHAVE_ATOMICS_32_ATOMIC=1 -DHAVE_ATOMICS_64_ATOMIC=1 -w"
# Tests that are many in one: each of their parts is a case, or one that is not advertised would hide the others.
PARTS = {"0061_consumer_lag": ("without transactions", "with transactions"),
         "0055_producer_latency": ("standard settings", "low linger.ms", "microsecond linger.ms", "high linger.ms",
                                   "linger.ms < 1000", "no acks", "idempotence", "transactions")}
IN_PARTS = {"0081_admin": "0081-admin.c", "0137_barrier_batch_consume": "0137-barrier_batch_consume.c",
            "0011_produce_batch": "0011-produce_batch.c"}
TOPICS_SCRIPT = """#!/bin/sh
# Kafka's own tool, without a setting that does not exist here.
for word in "$@"; do
  shift
  case $word in file.delete.delay.ms=*) word=retention.ms=-1 ;; esac
  set -- "$@" "$word"
done
exec java -cp '{jars}/*' org.apache.kafka.tools.TopicCommand "$@"
"""
KAFKA_JARS = ROOT / "build" / "kafka-java" / "libs"

AT_A_TIME = 4
LONG = ("0113_cooperative_rebalance", "0081_admin", "0061_consumer_lag", "0056_balanced_group_mt")


class Librdkafka(Suite):
    name = "librdkafka"
    title = "librdkafka"
    source = "npm `@confluentinc/kafka-javascript`, `deps/librdkafka/tests`"
    scenario = "default"
    # As its own clusters are started (tests/cluster_testing.py).
    broker_settings = {"num.partitions": 4}

    @property
    def directory(self):
        return WORK / "librdkafka"

    @property
    def tests(self):
        return self.directory / "tests"

    @property
    def program(self):
        return self.directory / "build" / "tests" / "test-runner"

    def fetch(self):
        if not self.program.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            self._unpack()
            self._take_cmake_files()
            build = self.directory / "build"
            ccache = shutil.which("ccache")
            launcher = [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache" for language in ("C", "CXX") if ccache]
            flags = f"{FLAGS} -fmacro-prefix-map={self.tests}/="  # some topics are called after their test's file
            must(["cmake", "-S", self.directory, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                  "-DCMAKE_C_FLAGS_RELEASE=-O1", "-DCMAKE_CXX_FLAGS_RELEASE=-O1", f"-DCMAKE_C_FLAGS={flags}",
                  f"-DCMAKE_CXX_FLAGS={flags}", "-DRDKAFKA_BUILD_EXAMPLES=OFF", "-DRDKAFKA_BUILD_TESTS=ON",
                  "-DWITH_CURL=OFF", "-DWITH_SASL=OFF", *launcher], 120)
            must(["cmake", "--build", build, "--target", "test-runner", "interceptor_test"], 1800)
        self._take_kafkas_tools()
        header = (self.directory / "src" / "rdkafka.h").read_text(encoding="utf-8")
        number = int(re.search(r"#define RD_KAFKA_VERSION (0x\w+)", header).group(1), 16)
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8))

    def _unpack(self):
        must(["npm", "pack", "--silent", PACKAGE], 180, cwd=self.directory)
        archive = next(self.directory.glob("confluentinc-kafka-javascript-*.tgz"))
        prefix = "package/deps/librdkafka/"
        with tarfile.open(archive) as packed:
            for member in packed.getmembers():
                if member.isfile() and member.name.startswith(prefix):
                    member.name = member.name[len(prefix):]
                    packed.extract(member, self.directory)

    def _take_cmake_files(self):
        take_crate(CRATE, CRATE_VERSION, "librdkafka/packaging/cmake", self.directory / "packaging" / "cmake",
                   self.directory / "crate")

    def _take_kafkas_tools(self):
        """Some tests call kafka-topics.sh: the real one, where `make java` can fetch it."""
        if not KAFKA_JARS.is_dir() and shutil.which("java") and shutil.which("mvn"):
            must([ROOT / "tests" / "client" / "java", "fetch"], 300)
        script = self.directory / "kafka" / "bin" / "kafka-topics.sh"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(TOPICS_SCRIPT.format(jars=KAFKA_JARS))
        script.chmod(0o755)

    def run(self, nodes, left_out, log):
        """Each case in a process of its own: a test that hangs takes the whole program with it."""
        where = self.directory / f"run-{self.scenario}-{len(nodes.nodes)}"
        where.mkdir(exist_ok=True)
        (where / "test.conf").write_text(f"bootstrap.servers={nodes.addresses}\ntest.timeout.multiplier=3\n")
        environment = {"KAFKA_PATH": str(self.directory / "kafka"), "BROKERS": nodes.addresses,
                       "TEST_KAFKA_VERSION": "4.1.0", "RDKAFKA_TEST_CONF": str(where / "test.conf")}
        # TESTS takes a number, which may name several tests.
        together = {}
        for name, part in [pair for name in self._networked() for pair in self._parts(name)]:
            if not is_left_out(title(name, part), left_out):
                together.setdefault((name.split("_", 1)[0], part), []).append(name)
        # The longest first: they decide how long all take.
        todo = sorted(together.items(), key=lambda item: item[1][0] not in LONG)
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            results = list(pool.map(lambda item: self._run_number(*item[0], item[1], where, environment), todo))
        for cases, said in results:
            log.write(f"=== {' '.join(case.name for case in cases)}\n{said}\n")
        return sorted((case for cases, _ in results for case in cases), key=lambda case: case.name)

    def _parts(self, name):
        """The cases that a test of librdkafka's table is: (name, what selects the part)."""
        if name in PARTS:
            return [(name, part) for part in PARTS[name]]
        if name not in IN_PARTS:
            return [(name, "")]
        text = (self.tests / IN_PARTS[name]).read_text(encoding="utf-8")
        functions = re.split(r"^(?:static )?void ", text, flags=re.M)[1:]
        named = [(re.match(r"\w+", body).group(0), body) for body in functions]
        return [(name, f"{function}:") for function, body in named if re.search(r"\bSUB_TEST(_QUICK)?\(", body)]

    def _networked(self):
        """Names of the tests that need a broker."""
        text = (self.tests / "test.c").read_text(encoding="utf-8")
        table = text[text.index("struct test tests[] = {"):text.index("/* Manual tests */\n    _TEST")]
        names = []
        for entry in re.split(r"\n {4}_TEST\(", table)[1:]:
            name, flags = entry.split(",", 1)
            scenarios = re.search(r'scenario = "([\w,]+)"', flags)
            if "TEST_F_LOCAL" not in flags and self.scenario in (scenarios.group(1) if scenarios else "default"):
                names.append(name)
        return names

    def _run_number(self, number, part, names, where, environment):
        file = re.sub(r"\W+", "-", title(number, part))
        own = where / file
        own.mkdir(exist_ok=True)
        report = own / "report.json"  # its program takes short names only
        report.unlink(missing_ok=True)
        # SUBTESTS takes a piece of what a part is called.
        more = {"TESTS": number, "TEST_REPORT": report.name, **({"SUBTESTS": part} if part else {})}
        command = [self.program, "-L", "-p1", "-s", self.scenario]
        status, said = execute(command, 1200, None, own, {**environment, **more})
        plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
        ended = status is not None and report.exists()
        states = json.loads(report.read_text(encoding="utf-8"))["tests"] if ended else {}
        return [self._case(name, part, states.get(name), status, plain) for name in names], plain

    @staticmethod
    def _case(name, part, state, status, said):
        if state is None:
            return Case(title(name, part), FAILED, 0.0, f"it ended with {status}: {said[-500:]}")
        outcome = {"PASSED": PASSED, "SKIPPED": SKIPPED}.get(state["state"], FAILED)
        case = Case(title(name, part), outcome, state["duration"], reason_of(said, name) or state["state"])
        if part and outcome == PASSED and not re.search(rf"\[ .*{re.escape(part.rstrip(':'))}.*: PASS", said):
            case.outcome, case.text = FAILED, "no part of this name ran"
        return case


def take_crate(name, version, part, target, work):
    """Copies a folder of a crate's source to `target`; `work` is where cargo may put what it fetches."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "lib.rs").write_text("")
    (work / "Cargo.toml").write_text('[package]\nname = "wants-its-source"\nversion = "0.0.0"\nedition = "2021"\n'
                                     f'[lib]\npath = "lib.rs"\n[dependencies]\n{name} = "={version}"\n')
    must(["cargo", "vendor", "--quiet", "--versioned-dirs"], 300, cwd=work)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(work / "vendor" / f"{name}-{version}" / part, target)


def title(name, part):
    return f"{name}/{part.rstrip(':').replace(' ', '-')}" if part else name


def reason_of(said, name):
    """What failed first, or what the summary says of the test beside its state."""
    failed = re.search(r"TEST FAILURE\n###(.*)\n(.*)", said)
    told = re.search(rf"^\| {name} +\| +\w+ \| +[\d.]+s \|(.*)$", said, re.M)
    return " ".join(failed.groups())[-500:] if failed else told.group(1).strip() if told else ""


class LibrdkafkaNoAutoCreate(Librdkafka):
    """The tests that want a broker which creates no topics by itself: its scenario of that name."""

    name = "librdkafka-noautocreate"
    title = "librdkafka, scenario `noautocreate`"
    scenario = "noautocreate"
    broker_settings = dict(Librdkafka.broker_settings, **{"auto.create.topics.enable": "false"})
