#!/usr/bin/env python3
"""Runs the operations against Apache Kafka and against Chronik and compares every answer (make beside-kafka).

Kafka's answers are left in kafka.txt, with which tests/client/beside_test.py compares Chronik's where there is no
Kafka; the table in docs/COMPATIBILITY.md is made of differences.txt. Exit status 0: each difference is explained, and
each explanation is needed.
"""

import argparse
import pathlib
import subprocess
import sys

import answers
import descriptions
import differences
import script
import summary

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients"))
from nodes import Nodes  # noqa: E402 (of another folder)

KAFKA = pathlib.Path(__file__).resolve().parent / "kafka.txt"
REPORT = ROOT / "build" / "beside-kafka.txt"


def run_chronik():
    with Nodes(1, script.SETTINGS) as nodes:
        nodes.start()
        steps = script.run(nodes.nodes[0].address)
        if failed := nodes.stop():
            raise AssertionError(f"chronik-server ended with {failed}: {nodes.nodes[0].said()}")
        return steps


def run_kafka():
    subprocess.run([ROOT / "tests" / "client" / "java", "fetch"], check=True)
    subprocess.run([ROOT / "tests" / "conformance" / "run", "fetch"], check=True)
    put(descriptions.FILE, descriptions.describe(ROOT / "build" / "kafka-messages"))
    from kafka_node import KafkaNode
    with KafkaNode(script.SETTINGS) as node:
        steps = script.run(node.address)
    put(KAFKA, answers.write(steps))
    return steps


def put(path, text):
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)} is another one now", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recorded", action="store_true", help="compare with Kafka's answers of an earlier run")
    recorded = parser.parse_args().recorded
    kafka = answers.read(KAFKA.read_text(encoding="utf-8")) if recorded else run_kafka()
    chronik = run_chronik()
    found = differences.between(kafka, chronik)
    known = differences.explanations()
    wrong = differences.explain(found, known)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(summary.report(kafka, chronik, found), encoding="utf-8")
    summary.update_document(known)
    print("".join(f"{sentence}\n" for sentence in wrong), end="")
    print(f"{len(kafka)} operations, {len({one.operation for one in found})} of them answered differently in "
          f"{len(found)} places; {len(wrong)} wrong. All of them: {REPORT.relative_to(ROOT)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
