"""Three real nodes, struck one after the other, under producers with acks=all: everything acknowledged is there, once,
in order, and nobody is stuck.

CHRONIK_CHAOS_TIME says how long they are struck (30s in `make test`; `make chaos TIME=30m` for more).
"""

import json
import os
import random
import socket
import struct
import subprocess
import time
import unittest

import producers
from broker import SYSTEM_PYTHON, has_module, run
from cluster import Cluster

# Sends what comes on its standard input to a topic, by kafka-python with its own settings but for acks.
SEND = """
import sys, kafka
producer = kafka.KafkaProducer(bootstrap_servers=sys.argv[1], acks="all")
producer.send(sys.argv[2], sys.stdin.buffer.readline().strip()).get(timeout=60)
"""


def apis_of(node):
    """How many APIs a node says that it speaks, asked for over a connection that knows nothing else of it."""
    api_versions, null = 18, -1
    request = struct.pack(">hhih", api_versions, 0, 7, null)
    with socket.create_connection(("127.0.0.1", node.kafka), timeout=5) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.makefile("rb")
        answer.read(4)
        correlation_id, error, count = struct.unpack(">ihi", answer.read(10))
    if (correlation_id, error) != (7, 0):
        raise AssertionError(f"ApiVersions: {correlation_id} {error}")
    return count


@unittest.skipUnless(has_module("confluent_kafka") and has_module("kafka"), "the Python clients are not installed")
class ClusterOfThree(unittest.TestCase):
    def strike(self, cluster, draws):
        """One fault on one node, healed again; waits until the cluster is whole."""
        node = draws.choice(cluster.nodes)
        how = draws.choice(["kill", "suspend", "stop"])
        pause = draws.uniform(0.2, 4)
        if how == "kill":
            node.kill()
        elif how == "stop":
            self.assertEqual(node.stop(), 0)
        else:
            node.suspend()
        time.sleep(pause)
        began = time.monotonic()
        if how == "suspend":
            node.resume()
        else:
            node.start()
        cluster.wait_until(lambda: node.state() == "serving", f"node {node.number} serves after {how}")
        cluster.wait_until_whole(f"after {how}")
        whole_after = round(time.monotonic() - began, 2)
        return {"how": how, "node": node.number, "for": round(pause, 2), "whole_after": whole_after}

    def test_everything_acknowledged_survives(self):
        draws = random.Random(int(os.environ.get("CHRONIK_CHAOS_SEED", "1")))
        with Cluster() as cluster:
            cluster.start()
            producers.strike_under_load(self, cluster, producers.chaos_seconds("30s"), lambda: draws.uniform(0.5, 1.5),
                                        lambda: self.strike(cluster, draws))

    def test_nodes_wait_for_each_other(self):
        with Cluster() as cluster:
            first, second, third = cluster.nodes
            first.start()
            cluster.wait_until(lambda: first.state() == "waiting for quorum (1 of 3)", "the first says that it waits")
            self.assertEqual(first.page("/ready")[0], 503)
            self.assertEqual(first.page("/health")[0], 200)
            self.assertEqual(first.stop(), 0, "a node that waits can be stopped")
            third.start()
            time.sleep(1)
            second.start()
            cluster.wait_until(lambda: second.state() == "waiting for quorum (2 of 3)", "two wait for the third")
            first.start()
            for node in cluster.nodes:
                cluster.wait_until(lambda: node.state() == "serving", f"node {node.number} serves")
            # Once formed, two are enough.
            for node in cluster.nodes:
                node.kill()
            second.start()
            third.start()
            for node in (second, third):
                cluster.wait_until(lambda: node.state() == "serving", f"node {node.number} serves without the first")
            run("kcat", "-P", "-b", third.address, "-t", "two", "-X", "acks=all", stdin=b"a\nb\n")

    def test_clients_of_a_node_that_waits_go_on_when_the_others_are_there(self):
        with Cluster() as cluster:
            first, *others = cluster.nodes
            first.start()
            cluster.wait_until(lambda: first.state() == "waiting for quorum (1 of 3)", "the first says that it waits")
            self.assertEqual(json.loads(first.page("/admin/health")[1])["state"], "waiting for quorum (1 of 3)")
            self.assertGreater(apis_of(first), 30)
            clients = [
                subprocess.Popen(["kcat", "-P", "-b", first.address, "-t", "kcat", "-X", "acks=all", "-X",
                                  "enable.idempotence=true", "-X", "log_level=0"], stdin=subprocess.PIPE),
                subprocess.Popen([SYSTEM_PYTHON, "-c", SEND, first.address, "python"], stdin=subprocess.PIPE)]
            try:
                for client in clients:
                    client.stdin.write(b"one\n")
                    client.stdin.close()
                time.sleep(3)
                self.assertEqual([client.poll() for client in clients], [None, None], "they wait")
                self.assertEqual(first.state(), "waiting for quorum (1 of 3)")
                for node in others:
                    node.start()
                began = time.monotonic()
                self.assertEqual([client.wait(timeout=30) for client in clients], [0, 0])
                print(json.dumps({"clients_done_after": round(time.monotonic() - began, 2)}), flush=True)
            finally:
                for client in clients:
                    client.kill()
                    client.wait()
            for topic in ("kcat", "python"):
                self.assertEqual(run("kcat", "-C", "-e", "-q", "-b", others[0].address, "-t", topic), b"one\n")


if __name__ == "__main__":
    unittest.main()
