#!/usr/bin/env python3
"""What three nodes on this machine do for chronik-bench: messages and syncs a second, latency, and each node's
processor time per message.

With acks=all, 1 and 0, straight to the leaders and through one node that forwards (CHRONIK_FORWARD), and with acks=all
at 5,000 messages a second. A message with acks=0 counts once it has arrived; what has not within 30 s is said.
`tests/bench/three_nodes.py [SECONDS]`, after `make build`; clients and nodes share the machine, so it says how they
compare, not what a node could do alone.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "beside"), str(TESTS / "client")]
from broker import BUILD  # noqa: E402 (of another folder)
from cluster import Cluster  # noqa: E402 (of another folder)
from wire import Connection  # noqa: E402 (of another folder)

WARM_UP_S, ARRIVES_S = 3, 30
CONNECTIONS, BYTES, PARTITIONS, REPLICAS = 128, 256, 6, 3


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench(servers, topic, acks, seconds, *more):
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        done = subprocess.run([BUILD / "chronik-bench", "-b", servers, "-t", topic, "-c", str(CONNECTIONS), "-s",
                               str(BYTES), "--acks", acks, "-r", str(REPLICAS), "-p", str(PARTITIONS), "-w", "0s", "-d",
                               f"{seconds}s", "--json-output", result.name, *more], capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"chronik-bench ended with {done.returncode}: {done.stderr[-1000:]}")
        return json.load(result)


def syncs(node):
    return node.metrics()["chronik_wal_fsync_total"]


def arrived(cluster, topic):
    """The records in all partitions."""
    ends = {}
    for node in cluster.nodes:
        connection = Connection(node.address)
        connection.send("ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": 0, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": n, "Timestamp": -1} for n in range(PARTITIONS)]}]})
        for one in connection.receive("ListOffsets", 5)["Topics"][0]["Partitions"]:
            ends[one["PartitionIndex"]] = max(ends.get(one["PartitionIndex"], 0), one["Offset"])
        connection.close()
    return sum(ends.values())


def await_all(cluster, topic, expected):
    end = time.monotonic() + ARRIVES_S
    while (there := arrived(cluster, topic)) < expected and time.monotonic() < end:
        time.sleep(0.02)
    return there


def measure(cluster, name, servers, topic, acks, seconds, *more):
    known = arrived(cluster, topic) if acks == "0" else 0
    known += bench(servers, topic, acks, WARM_UP_S, *more)["total_messages"]
    if acks == "0":
        await_all(cluster, topic, known)
    began = time.monotonic()
    before = [(processor_seconds(node.process.pid), syncs(node)) for node in cluster.nodes]
    told = bench(servers, topic, acks, seconds, *more)
    messages = told["total_messages"]
    took = told["duration"]["secs"] + told["duration"]["nanos"] / 1e9
    if acks == "0":
        if (there := await_all(cluster, topic, known + messages)) < known + messages:
            print(f"{'':24}{known + messages - there} of the next have not arrived", flush=True)
        took = time.monotonic() - began
    busy = [processor_seconds(node.process.pid) - one[0] for node, one in zip(cluster.nodes, before)]
    synced = [syncs(node) - one[1] for node, one in zip(cluster.nodes, before)]
    each = " ".join(f"{one / messages * 1e6:6.1f}" for one in busy)
    each_synced = " ".join(f"{one / took:6.0f}" for one in synced)
    print(f"{name:24}{messages / took:9.0f}{told['latency_p50_us'] / 1000:9.2f}{told['latency_p99_us'] / 1000:9.2f}   "
          f"{each_synced}   {sum(busy) / messages * 1e6:7.1f} = {each}", flush=True)
    if told["failed_messages"]:
        print(f"{'':24}{told['failed_messages']} failed", flush=True)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print(f"{CONNECTIONS} clients, {BYTES} bytes, {PARTITIONS} partitions of {REPLICAS} replicas, {seconds} s each\n"
          f"{'':24}{'msg/s':>9}{'p50 ms':>9}{'p99 ms':>9}   {'syncs/s by node':20}   {'CPU us/message = by node'}")
    for forwards in (False, True):
        with Cluster(head="forward = true\n" if forwards else "") as cluster:
            cluster.start()
            cluster.wait_until_whole("the start")
            servers = cluster.nodes[1].address if forwards else cluster.addresses
            where = "through one node" if forwards else "to the leaders"
            for acks in ("all", "1", "0"):
                measure(cluster, f"acks={acks}, {where}", servers, "bench", acks, seconds)
            if not forwards:
                measure(cluster, "acks=all, 5,000 msg/s", servers, "bench", "all", seconds, "--rate-limit", "5000")


if __name__ == "__main__":
    main()
