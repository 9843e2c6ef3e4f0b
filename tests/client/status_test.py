"""What an operator sees of a real cluster: its metrics, its admin pages, and `chronik-server cluster status`."""

import json
import os
import pathlib
import re
import subprocess
import unittest

from broker import SERVER, free_port, run
from cluster import Cluster

ROOT = pathlib.Path(os.environ["CHRONIK_SOURCE"])
PARTITIONS = 6


def cluster_status(config, **variables):
    """Exit status, standard output and standard error."""
    done = subprocess.run([SERVER, "cluster", "status", "-c", config], capture_output=True, text=True, timeout=30,
                          env={**os.environ, **variables}, check=False)
    return done.returncode, done.stdout, done.stderr


def rows(text):
    """The table of the nodes: the cells of each, by its number."""
    table = text.split("\nNODE ", 1)[1].splitlines()[1:]
    return {int(line.split()[0]): re.split(r"  +", line.strip()) for line in table}


def total(nodes, name):
    return sum(node.metrics().get("chronik_" + name, 0) for node in nodes)


class WhatAnOperatorSees(unittest.TestCase):
    def test_a_cluster_that_loses_a_node_and_gets_it_back(self):
        with Cluster(more=f"\n[broker]\nnum.partitions = {PARTITIONS}\n") as cluster:
            cluster.start()
            nodes = cluster.nodes
            run("kcat", "-P", "-b", nodes[0].address, "-t", "seen", "-X", "acks=all", stdin=b"a\nb\n")
            self.check_whole(cluster)
            died = nodes[2]
            died.kill()
            cluster.wait_until(lambda: total(nodes[:2], "brokers_fenced") == 2, "the others know that it is fenced")
            self.check_degraded(cluster, died)
            died.start()
            cluster.wait_until(lambda: cluster_status(nodes[0].config)[0] == 0, "it is whole again")
            self.check_whole(cluster)
            self.assertGreater(total(nodes, "isr_expands_total"), 0)
            for node in nodes:
                node.suspend()
            self.assertEqual(cluster_status(nodes[0].config)[:2], (1, ""))

    def check_whole(self, cluster):
        nodes = cluster.nodes
        cluster.wait_until(lambda: total(nodes, "under_replicated_partitions") == 0, "all replicas are in sync")
        status, out, error = cluster_status(nodes[1].config)
        self.assertEqual((status, error), (0, ""), out)
        self.assertRegex(out, r"^cluster [\w-]{22}: whole\nleader      node [123], term \d+\n"
                              rf"partitions  {PARTITIONS}, of which 0 under-replicated, 0 offline\n")
        self.assertEqual({row[2] for row in rows(out).values()}, {"live"})
        self.assertEqual(sorted(row[3] for row in rows(out).values()), ["follower", "follower", "leader"])
        self.assertEqual({row[4] for row in rows(out).values()}, {"serving"})
        samples = [node.metrics() for node in nodes]
        self.assertEqual(sorted(sample["chronik_raft_is_leader"] for sample in samples), [0, 0, 1])
        self.assertEqual(len({sample["chronik_raft_term"] for sample in samples}), 1)
        self.assertEqual({sample["chronik_brokers_live"] for sample in samples}, {3})
        self.assertEqual({sample["chronik_brokers_fenced"] for sample in samples}, {0})
        self.assertEqual(total(nodes, "leader_partitions"), PARTITIONS)
        self.assertEqual(total(nodes, "follower_partitions"), 2 * PARTITIONS)
        for sample in samples:
            self.assertGreater(sample["chronik_raft_commit_index"], 0)
            self.assertGreaterEqual(sample["chronik_raft_log_end_index"], sample["chronik_raft_commit_index"])
            self.assertGreaterEqual(sample["chronik_raft_commit_index"], sample["chronik_raft_last_applied"])
        self.assertGreater(total(nodes, "raft_propose_duration_seconds_count"), 0)
        self.assertGreater(total(nodes, "raft_election_count_total"), 0)

    def check_degraded(self, cluster, died):
        alive = [node for node in cluster.nodes if node is not died]
        status, out, error = cluster_status(died.config)
        self.assertEqual((status, error), (1, ""), out)
        self.assertIn(f"degraded\n  node {died.number} is fenced\n", out)
        self.assertIn(f"  {PARTITIONS} partitions are under-replicated\n", out)
        self.assertEqual(rows(out)[died.number][2], "fenced")
        self.assertIn("nobody answers there", rows(out)[died.number][4])
        self.assertEqual(total(alive, "under_replicated_partitions"), PARTITIONS)
        self.assertEqual(total(alive, "under_min_isr_partitions"), 0, "two of three are enough")
        self.assertEqual(total(alive, "offline_partitions"), 0)
        self.assertEqual(total(alive, "leader_partitions"), PARTITIONS)
        self.assertGreaterEqual(total(alive, "isr_shrinks_total"), PARTITIONS - 2)
        self.assertGreater(total(alive, "replica_fetch_failures_total"), 0)

    def test_the_admin_pages_ask_for_the_key(self):
        with Cluster(head='admin_api_key = "k3y"\n') as cluster:
            first = cluster.nodes[0]
            first.start()
            cluster.wait_until(lambda: first.state() == "waiting for quorum (1 of 3)", "it waits for the others")
            self.assertEqual(first.page("/admin/status")[0], 401)
            key = {"X-API-Key": "k3y"}
            code, text = first.page("/admin/status", headers=key)
            status = json.loads(text)
            self.assertEqual((code, status["node"], status["state"], status["raft"], status["brokers"]),
                             (200, 1, "waiting for quorum (1 of 3)", None, []))
            self.assertEqual(json.loads(first.page("/admin/health", headers=key)[1]),
                             {"status": "ok", "node": 1, "state": "waiting for quorum (1 of 3)"})
            self.assertEqual(first.metrics()["chronik_raft_is_leader"], 0, "also before there is a group")
            for order, body in (("add-node", {"id": 4, "kafka": "h:1", "raft": "h:2"}), ("remove-node", {"id": 3}),
                                ("rebalance", {})):
                self.assertEqual(first.page("/admin/" + order, "POST", body=body)[0], 401)
                code, text = first.page("/admin/" + order, "POST", key, body)
                self.assertEqual(code, 503)
                self.assertIn("waiting for quorum (1 of 3)", json.loads(text)["error"])
            for order, body in (("add-node", {"id": 4, "kafka": "h:1", "raft": "h"}), ("remove-node", {"id": "x"}),
                                ("remove-node", {"id": 3, "force": 1}), ("rebalance", {"id": 3})):
                self.assertEqual(first.page("/admin/" + order, "POST", key, body)[0], 400, (order, body))
            status, out, _ = cluster_status(first.config)
            self.assertEqual(status, 1)
            self.assertIn("cluster not formed: degraded\n  no leader of the metadata is known\n", out)
            self.assertEqual(rows(out)[1][2:], ["not registered", "-", "waiting for quorum (1 of 3)"])
            status, _, error = cluster_status(first.config, CHRONIK_ADMIN_API_KEY="wrong")
            self.assertEqual(status, 1)
            self.assertIn(f"node 1: 127.0.0.1:{first.admin}: it wants another key: CHRONIK_ADMIN_API_KEY", error)


class Examples(unittest.TestCase):
    """docs/examples: three files for three machines, here on one."""

    def test_three_nodes_start_with_them(self):
        texts = {number: (ROOT / f"docs/examples/node-{number}.toml").read_text(encoding="utf-8")
                 for number in (1, 2, 3)}
        places = sorted(set(re.findall(r'"(host-\d\.example\.org:\d+)"', texts[1])))
        self.assertEqual(len(places), 6)
        here = {place: f"127.0.0.1:{free_port()}" for place in places}
        with Cluster() as cluster:
            for node in cluster.nodes:
                text = texts[node.number]
                self.assertEqual(text.replace(f"node_id = {node.number}", "node_id = 1"), texts[1],
                                 "they differ in node_id only")
                for place, address in here.items():
                    text = text.replace(place, address)
                # On one machine beside other tests their ports are not free.
                admin = iter(cluster.nodes)
                text = re.sub(r"^raft = .*$", lambda m: f'{m[0]}\nadmin = "127.0.0.1:{next(admin).admin}"', text,
                              flags=re.M)
                node.config.write_text(text.replace("/var/lib/chronik", f"{cluster.directory}/data-{node.number}")
                                       + f'\n[bind]\nmetrics = "127.0.0.1:{node.http}"\n')
            cluster.start()
            status, out, error = cluster_status(cluster.nodes[1].config)
            self.assertEqual((status, error), (0, ""), out)


if __name__ == "__main__":
    unittest.main()
