"""Three real nodes that are cut off from each other, in every direction, under producers with acks=all: everything
acknowledged is there, once, in order, and the cluster is whole again soon after the cut is healed.

CHRONIK_CHAOS_TIME says how long (7s in `make test`; `make chaos TIME=30m` for more).
"""

import json
import os
import random
import time
import unittest

import producers
from broker import has_module, run, run_system_python
from cluster import Cluster

WHOLE_AFTER = 15  # seconds after a cut is healed, at the latest
LONGEST = 3.5  # seconds of a cut
LONGER = (3.5, 3.5, 3.5, 20)  # of chaos
CUT = 10  # seconds for which a leader is cut off, while clients reach it
PAUSE = 5.5  # seconds: it supposes after 3.5 to 4 that others lead, and the client has to find them
CLIENTS = 0
REFUSED = 'chronik_produce_requests_total{result="error"}'

# A replica that cannot be reached leaves the ISR while it is cut off, not half a minute later.
SOON = "\n[broker]\nreplica.lag.time.max.ms = 2000\nreplica.fetch.wait.max.ms = 1000\n"

# Tries to produce ten records with acks=all; prints how many were acknowledged.
TRY = """
import sys, confluent_kafka
acknowledged = []
producer = confluent_kafka.Producer({"bootstrap.servers": sys.argv[1], "acks": "all", "message.timeout.ms": 2500,
                                     "request.timeout.ms": 1000, "log_level": 0})
for i in range(10):
    producer.produce(sys.argv[2], b"%s %d" % (sys.argv[4].encode(), i), partition=int(sys.argv[3]),
                     on_delivery=lambda error, message: acknowledged.append(1) if error is None else None)
producer.flush(20)
print(len(acknowledged))
"""

# A topic t1 whose partition is led by node 1, and so on.
CREATE = """
import sys, confluent_kafka.admin as admin
client = admin.AdminClient({"bootstrap.servers": sys.argv[1]})
topics = [admin.NewTopic(f"t{led}", 1, replica_assignment=[[led] + [n for n in (1, 2, 3) if n != led]])
          for led in (1, 2, 3)]
for future in client.create_topics(topics).values():
    future.result(20)
"""


def drawn_links(draws, nodes):
    """What is struck: a name, and the directed links of it."""
    struck, *others = draws.sample([node.number for node in nodes], len(nodes))
    away = [(struck, other) for other in others]
    back = [(other, struck) for other in others]
    return draws.choice([
        ("alone", away + back), ("apart", [away[0], back[0]]), ("mute", away), ("deaf", back), ("one-way", away[:1])])


@unittest.skipUnless(has_module("confluent_kafka") and has_module("kafka"), "the Python clients are not installed")
class CutOff(unittest.TestCase):
    def strike(self, cluster, draws):
        """One fault of the network, perhaps with a death during it, healed again; waits until the cluster is whole."""
        how, links = drawn_links(draws, cluster.nodes)
        killed = draws.choice([None, None, None, draws.choice(cluster.nodes)])
        delay = draws.choice([0, 0, 0, draws.randint(20, 400)])
        for of, to in links:
            if delay:
                cluster.links.slow(of, to, delay)
            else:
                cluster.links.cut(of, to)
        pause = draws.uniform(0.2, LONGEST if "CHRONIK_CHAOS_TIME" not in os.environ else draws.choice(LONGER))
        time.sleep(pause / 2)
        if killed:
            killed.kill()
        time.sleep(pause / 2)
        # Long cuts end connections; after short ones what was under way still arrives.
        broken = not delay and draws.choice([True, False])
        began = time.monotonic()
        for of, to in links:
            if broken:
                cluster.links.break_connections(of, to)
            cluster.links.heal(of, to)
        if killed:
            killed.start()
        cluster.wait_until_whole(f"{how} {links}", seconds=WHOLE_AFTER)
        return {"how": how, "links": links, "delay": delay, "broken": broken, "killed": killed and killed.number,
                "for": round(pause, 2), "whole_after": round(time.monotonic() - began, 2)}

    def test_everything_acknowledged_survives(self):
        draws = random.Random(int(os.environ.get("CHRONIK_CHAOS_SEED", "179")))
        with Cluster(links=True, more=SOON) as cluster:
            cluster.start()
            producers.strike_under_load(self, cluster, producers.chaos_seconds("7s"), lambda: draws.uniform(0.3, 1),
                                        lambda: self.strike(cluster, draws))

    def read_at(self, node, partition):
        out = run("kcat", "-b", node.address, "-C", "-t", "t", "-p", partition, "-o", "beginning", "-e", "-q",
                  "-X", "log_level=0")
        return out.decode().splitlines()

    def test_a_node_cut_off_from_both_others_acknowledges_nothing_and_shows_nothing_that_may_go(self):
        with Cluster(links=True) as cluster:
            cluster.start()
            producers.create_topics(cluster.addresses, ["t"], partitions=3)
            alone = next(node for node in cluster.nodes if node.metrics()["chronik_raft_is_leader"] == 1)
            others = [node for node in cluster.nodes if node != alone]

            def leaders(node):
                return [p["leader"] for topic in cluster.listing(node)["topics"] for p in topic["partitions"]]

            partition = leaders(alone).index(alone.number)

            def produce(node, what):
                return int(run_system_python(TRY, node.address, "t", partition, what))

            self.assertEqual(produce(alone, "before"), 10)
            began = time.monotonic()
            for other in others:
                cluster.links.cut(alone.number, other.number)
                cluster.links.cut(other.number, alone.number)
                # Clients reach only the node that is alone.
                cluster.links.cut(CLIENTS, other.number)
            cluster.wait_until(lambda: alone.metrics()["chronik_raft_is_leader"] == 0, "it leads the metadata no more",
                               seconds=5)
            for other in others:
                cluster.wait_until(lambda: alone.number not in leaders(other), "others lead its partitions", seconds=5)
            print(json.dumps({"replaced_after": round(time.monotonic() - began, 2)}), flush=True)
            refused = alone.metrics()[REFUSED]
            self.assertEqual(produce(alone, "alone"), 0)
            self.assertGreater(alone.metrics()[REFUSED], refused, "it was not even asked")
            shown = self.read_at(alone, partition)
            self.assertEqual(shown, [f"before {i}" for i in range(10)])
            for other in others:
                cluster.links.heal(CLIENTS, other.number)
            self.assertEqual(produce(others[0], "meanwhile"), 10)
            for other in others:
                cluster.links.cut(CLIENTS, other.number)
            self.assertEqual(self.read_at(alone, partition), shown)
            began = time.monotonic()
            for other in others:
                for of, to in ((alone, other), (other, alone)):
                    cluster.links.heal(of.number, to.number)
                cluster.links.heal(CLIENTS, other.number)
            cluster.wait_until_whole("after it was alone", seconds=WHOLE_AFTER)
            print(json.dumps({"whole_after": round(time.monotonic() - began, 2)}), flush=True)
            for node in cluster.nodes:
                self.assertEqual(self.read_at(node, partition),
                                 [f"{when} {i}" for when in ("before", "meanwhile") for i in range(10)])

    def pause_of_a_cut(self, cluster, topic, alone):
        """The longest pause of a producer whose leader is cut off from the other nodes for CUT seconds; nothing else
        is, and all timeouts are the client's own."""
        settings = {"acks": "all", "enable.idempotence": True}  # a value that is sent again is there once
        with producers.Producers(cluster.addresses, {topic: (producers.LIBRDKAFKA, settings)}, partitions=1) as struck:
            time.sleep(2)
            ways = [way for other in cluster.nodes if other != alone
                    for way in ((alone.number, other.number), (other.number, alone.number))]
            for of, to in ways:
                cluster.links.cut(of, to)
            cluster.wait_until(lambda: alone.metrics()["chronik_broker_isolated"] == 1, "it knows that it is alone",
                               seconds=6)
            time.sleep(CUT - 4)
            for of, to in ways:
                cluster.links.heal(of, to)
            cluster.wait_until_whole(f"after node {alone.number} was alone", seconds=WHOLE_AFTER)
            cluster.wait_until(lambda: alone.metrics()["chronik_broker_isolated"] == 0, "it knows that it is not alone",
                               seconds=3)
            struck.stop(self)
            return struck.compare(self, cluster.nodes[0].address, topic)[:2]

    def test_a_producer_goes_on_where_its_leader_is_cut_off(self):
        with Cluster(links=True) as cluster:
            cluster.start()
            run_system_python(CREATE, cluster.addresses)
            struck = []
            for leads_metadata in (1, 0):
                alone = next(node for node in cluster.nodes if node not in struck and
                             node.metrics()["chronik_raft_is_leader"] == leads_metadata)
                struck.append(alone)
                count, longest = self.pause_of_a_cut(cluster, f"t{alone.number}", alone)
                print(json.dumps({"leads_metadata": leads_metadata, "acknowledged": count,
                                  "longest_pause": round(longest, 2)}), flush=True)
                self.assertLess(longest, PAUSE)


if __name__ == "__main__":
    unittest.main()
