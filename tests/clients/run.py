"""Runs the suites of real Kafka clients against one Chronik node and against three (`make client-tests`).

    python3 tests/clients/run.py [--nodes 1] [--nodes 3] [--update-docs] [SUITE …]

They are downloaded from the languages' registries into build/client-suites/. Cases that do not pass must be in
expected/SUITE.txt with a reason, and those that are there must not pass: else the run fails.
"""

import argparse
import sys
import time

import expected
import nodes as machines
import summary
from franz_go import FranzGo
from kafka_python import KafkaPython, KafkaPython2
from librdkafka import Librdkafka, LibrdkafkaNoAutoCreate
from own_program import ConfluentPython, KafkaJs
from rdkafka_rust import RdkafkaRust
from sarama import Sarama
from suite import FAILED, PASSED, SKIPPED, WORK, Unavailable

SUITES = [Librdkafka(), LibrdkafkaNoAutoCreate(), FranzGo(), Sarama(), KafkaPython2(), KafkaPython(), ConfluentPython(),
          KafkaJs(), RdkafkaRust()]


def run_suite(suite, count):
    """One suite against so many nodes: a summary.Row."""
    row = summary.Row(suite, count)
    wanted = expected.Expected(suite.name, count)
    begun = time.monotonic()
    logs = WORK / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / f"{suite.name}-{count}.log"
    nodes = machines.Nodes(count, suite.broker_settings, suite.first_node)
    with nodes, open(path, "w", encoding="utf-8") as log:
        suite.prepare(nodes)
        nodes.start()
        row.cases = suite.run(nodes, wanted.left_out, log)
        for number, status, said in nodes.ended():
            row.wrong.append(f"node {number} ended with {status}: {said}")
        if not row.wrong:
            row.wrong += [f"node {number} stopped with {status}" for number, status in nodes.stop()]
        for node in nodes.nodes:
            (logs / f"{suite.name}-{count}-node-{node.number}.log").write_text(node.log.read_text(errors="replace"))
    row.seconds = time.monotonic() - begun
    row.wrong += [sentence for case in row.cases if (sentence := wanted.verdict(case))]
    row.wrong += [f"{entry.pattern} is listed and there is no such case" for entry in wanted.unused(row.cases)]
    if not row.cases:
        row.wrong.append("no case ran")
    row.keep()
    return row


def run(suites, counts):
    """Every suite against every number of nodes, with progress: rows, those that could not be had among them."""
    rows = []
    for suite in suites:
        print(f"{suite.name}: fetching", flush=True)
        try:
            suite.version = suite.fetch()
        except Unavailable as why:
            print(f"{suite.name}: not available here: {why}", flush=True)
            rows.append(summary.Row(suite, 0, unavailable=str(why)))
            continue
        for count in counts:
            if count not in suite.nodes:
                continue
            print(f"{suite.name} {suite.version} against {count} node{'s' if count > 1 else ''}", flush=True)
            try:
                row = run_suite(suite, count)
            except (AssertionError, Unavailable) as why:  # the nodes do not start, or the suite leaves no results
                row = summary.Row(suite, count, wrong=[str(why)])
            print(f"  {row.count(PASSED)} passed, {row.count(FAILED)} failed, {row.count(SKIPPED)} skipped in "
                  f"{row.seconds:.0f} s", flush=True)
            for sentence in row.wrong:
                print(f"  UNEXPECTED {sentence}", flush=True)
            rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(suite.name for suite in SUITES))
    parser.add_argument("--nodes", type=int, action="append", choices=(1, 3), help="how many; without it 1, then 3")
    parser.add_argument("--update-docs", action="store_true", help="write the table into docs/COMPATIBILITY.md")
    given = parser.parse_args()
    known = {suite.name: suite for suite in SUITES}
    if unknown := set(given.suites) - set(known):
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    if not machines.SERVER.exists():
        parser.error(f"there is no {machines.SERVER}; build it first (make build)")
    rows = run([known[name] for name in given.suites] or SUITES, given.nodes or [1, 3])
    print(summary.text(rows))
    if given.update_docs:
        summary.update_documents(SUITES)
    passed = sum(row.count(PASSED) for row in rows)
    skipped = sum(row.count(SKIPPED) + (1 if row.unavailable else 0) for row in rows)
    expected_failures = sum(row.count(FAILED) for row in rows if not row.wrong)
    wrong = sum(len(row.wrong) for row in rows)
    print(f"{expected_failures} failed as their reasons say")
    print(f"{passed} passed, {wrong} failed, {skipped} skipped", flush=True)
    sys.exit(1 if wrong or not passed else 0)


if __name__ == "__main__":
    main()
