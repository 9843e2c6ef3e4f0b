"""Real nodes that come and go under producers with acks=all: a fourth is added, one is removed, one loses its directory
and is replaced; everything acknowledged is there, once, in order."""

import json
import os
import shutil
import subprocess
import unittest

import producers
from broker import SERVER, has_module, run
from cluster import Cluster

TOPIC = "librdkafka"


def command(node, *words, status=0):
    """`chronik-server cluster` with the node's file; what it printed, and complained of."""
    done = subprocess.run([SERVER, "cluster", *map(str, words), "-c", node.config], capture_output=True, text=True,
                          timeout=90, env={**os.environ, "CHRONIK_CONFIG": ""}, check=False)
    if status not in (None, done.returncode):
        raise AssertionError(f"cluster {words}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def add(by, node):
    return command(by, "add-node", node.number, "--kafka", node.address, "--raft", f"127.0.0.1:{node.raft}")


def replicas(address):
    listing = json.loads(run("kcat", "-b", address, "-L", "-J", seconds=10))
    return {partition["partition"]: {replica["id"] for replica in partition["replicas"]}
            for topic in listing["topics"] for partition in topic["partitions"]}


@unittest.skipUnless(has_module("confluent_kafka"), "the Python client is not installed")
class Membership(unittest.TestCase):
    def test_nodes_come_and_go_and_nothing_is_lost(self):
        with Cluster() as cluster:
            cluster.start()
            first, second, third = cluster.nodes
            producers.create_topics(cluster.addresses, [TOPIC])
            with producers.Producers(cluster.addresses, {TOPIC: producers.OF_A_CLUSTER[TOPIC]}) as producing:
                self.grow_and_shrink(cluster, first, second, third)
                producing.stop(self)
                for node in (first, third, cluster.nodes[3]):
                    count, longest, _ = producing.compare(self, node.address, TOPIC)
            print(json.dumps({"acknowledged": count, "longest_pause": round(longest, 2)}), flush=True)
            self.assertGreater(count, 1000)

    def grow_and_shrink(self, cluster, first, second, third):
        self.assertIn("there is no node 9", command(first, "remove-node", 9, status=1))
        self.assertIn("too few nodes would be left", command(first, "remove-node", 2, status=1))
        # Three become four.
        fourth = cluster.extend()
        fourth.start()
        cluster.wait_until(lambda: fourth.state() == "waiting to be added to the cluster", "the fourth waits")
        self.assertIn(f"node 4 votes, and serves at {fourth.address}", add(second, fourth))
        cluster.wait_until(lambda: fourth.state() == "serving", "the fourth serves")
        self.assertIn("is a member of the cluster", command(first, "add-node", 4, "--kafka", fourth.address, "--raft",
                                                            f"127.0.0.1:{fourth.raft}", status=1))
        self.assertTrue(all(4 not in nodes for nodes in replicas(first.address).values()))
        self.assertIn("done", command(third, "rebalance"))
        counts = [sum(node in nodes for nodes in replicas(first.address).values()) for node in (1, 2, 3, 4)]
        self.assertLessEqual(max(counts) - min(counts), 1, counts)
        self.assertIn("replicas are spread evenly already", command(first, "rebalance"))
        # Four become three, of which the fourth is one.
        self.assertIn("node 2 is no member of the cluster any more", command(first, "remove-node", 2))
        self.assertTrue(all(nodes == {1, 3, 4} for nodes in replicas(first.address).values()))
        self.assertEqual(second.process.wait(timeout=30), 5, "it is told, and ends")
        second.start()
        cluster.wait_until(lambda: second.state() == "removed from the cluster", "it is told again")
        # A node whose file does not name the fourth finds it after a restart.
        self.assertEqual(first.stop(), 0)
        first.start()
        cluster.wait_until(lambda: first.state() == "serving", "node 1 serves again")
        # The third loses its directory.
        third.kill()
        shutil.rmtree(cluster.directory / "data-3")
        third.start()
        cluster.wait_until(lambda: third.state() == "waiting to be added to the cluster", "it is not taken for the old")
        cluster.wait_until(lambda: "node 3 is fenced" in command(first, "status", status=None), "the old one is fenced")
        self.assertIn("is not live", command(first, "remove-node", 3, status=1))
        self.assertIn("wait for a new node 3", command(first, "remove-node", 3, "--force"))
        self.assertIn("node 3 votes", add(first, third))
        cluster.wait_until(lambda: self.is_whole(first), "every replica is in sync")

    @staticmethod
    def is_whole(node):
        return ": whole" in command(node, "status", status=None)


if __name__ == "__main__":
    unittest.main()
