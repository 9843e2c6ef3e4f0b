"""Clients that know one node of three, which forwards: everything acknowledged is there, while the others are struck,
and no client ever connects to another node."""

import json
import pathlib
import re
import subprocess
import tempfile
import textwrap
import threading
import time
import unittest

import producers
from broker import SYSTEM_PYTHON, has_module, run, run_system_python
from cluster import Cluster


def remote_ports(pid):
    """The ports that a process is connected to, or about to be."""
    sockets = set()
    for file in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.update(re.findall(r"^socket:\[(\d+)\]$", str(file.readlink())))
        except OSError:
            pass  # closed meanwhile
    lines = pathlib.Path(f"/proc/{pid}/net/tcp").read_text().split("\n")[1:-1]
    return {int(line.split()[2].split(":")[1], 16) for line in lines if line.split()[9] in sockets}


class Watched:
    """A client's process, and whom it was seen to be connected to."""

    def __init__(self, command):
        self.process = subprocess.Popen(command)
        self.ports = set()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()

    def _look(self):
        while self.process.poll() is None:
            try:
                self.ports |= remote_ports(self.process.pid)
            except OSError:
                pass  # it has just ended
            time.sleep(0.02)

    def wait(self, timeout):
        status = self.process.wait(timeout=timeout)
        self._watch.join()
        return status

    def kill(self):
        self.process.kill()
        self._watch.join()


def metric(node, name):
    return float(re.search(rf"^chronik_{name} (\S+)$", node.page("/metrics")[1], re.M).group(1))


@unittest.skipUnless(has_module("confluent_kafka") and has_module("kafka"), "the Python clients are not installed")
class OneNodeOfThree(unittest.TestCase):
    def test_clients_that_know_one_node_lose_nothing(self):
        topics = producers.OF_A_CLUSTER
        with Cluster(head="forward = true\n") as cluster:
            cluster.start()
            first, known, third = cluster.nodes
            producers.create_topics(known.address, topics)
            listing = json.loads(run("kcat", "-b", known.address, "-L", "-J"))
            self.assertEqual([broker["id"] for broker in listing["brokers"]], [2])
            self.assertEqual({partition["leader"] for topic in listing["topics"] for partition in topic["partitions"]},
                             {2})
            with producers.Producers(known.address, topics, start=Watched) as struck:
                time.sleep(2)
                first.kill()
                time.sleep(4)
                first.start()
                cluster.wait_until(lambda: first.state() == "serving", "the first serves again")
                cluster.wait_until_whole("after a kill")
                third.suspend()
                time.sleep(4)
                third.resume()
                cluster.wait_until_whole("after a suspension")
                time.sleep(1)
                struck.stop(self)
                for client in struck.processes:
                    self.assertEqual(client.ports, {known.kafka}, "whom the client was connected to")
                self.assertGreater(metric(known, "produce_forward_count"), 100)
                for topic in topics:
                    count, longest, _ = struck.compare(self, known.address, topic)
                    print(json.dumps({"topic": topic, "acknowledged": count, "longest_pause": round(longest, 2)}),
                          flush=True)
                    self.assertGreater(count, 300, f"{topic}: too little for a test")
                    struck.compare(self, first.address, topic)
            self.assertGreater(metric(known, "fetch_forward_count"), 0)

    def test_links_are_kept(self):
        with Cluster(head="forward = true\n") as cluster:
            cluster.start()
            first, known, third = cluster.nodes
            run("kcat", "-P", "-b", known.address, "-t", "kept", "-X", "acks=all", stdin=b"warm\n")
            script = textwrap.dedent("""
                import sys, confluent_kafka
                producer = confluent_kafka.Producer({"bootstrap.servers": sys.argv[1], "acks": "all", "linger.ms": 0})
                for i in range(300):
                    producer.produce("links", b"%d" % i)
                    producer.flush(20)
            """)
            run_system_python(script, known.address)
            before = [metric(node, "connections_accepted_total") for node in (first, third)]
            run_system_python(script, known.address)
            after = [metric(node, "connections_accepted_total") for node in (first, third)]
            for earlier, later in zip(before, after):
                self.assertLessEqual(later - earlier, 2, "connections are opened anew")
            self.assertEqual(known.stop(), 0, "a node that forwards can be stopped")

    def test_groups_lose_nothing_when_their_coordinators_die(self):
        """Six groups, so that each node coordinates some; two members each, which join while others work."""
        member = textwrap.dedent("""
            import sys, confluent_kafka
            consumer = confluent_kafka.Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[2],
                                                 "auto.offset.reset": "earliest", "session.timeout.ms": 10000})
            consumer.subscribe(["grouped"])
            with open(sys.argv[3], "w", buffering=1) as out:
                while True:
                    message = consumer.poll(1)
                    if message is not None and message.error() is None:
                        out.write(message.value().decode() + "\\n")
        """)
        groups = [f"group-{i}" for i in range(6)]
        with Cluster(head="forward = true\n") as cluster, tempfile.TemporaryDirectory() as directory:
            cluster.start()
            first, known, _ = cluster.nodes
            files = {group: [pathlib.Path(directory) / f"{group}-{i}" for i in range(2)] for group in groups}
            values = set()

            def produce(count):
                new = [str(len(values) + i) for i in range(count)]
                run("kcat", "-P", "-b", known.address, "-t", "grouped", "-X", "acks=all",
                    stdin="".join(f"{value}\n" for value in new).encode())
                values.update(new)

            def missing(group):
                told = [line for file in files[group] if file.exists() for line in file.read_text().splitlines()]
                return values - set(told)

            produce(2000)
            members = []
            try:
                for i in range(2):
                    for group in groups:
                        members.append(Watched([SYSTEM_PYTHON, "-c", member, known.address, group, files[group][i]]))
                cluster.wait_until(lambda: not any(missing(group) for group in groups), "all is read", seconds=60)
                first.kill()
                produce(1000)
                time.sleep(3)
                first.start()
                cluster.wait_until(lambda: not any(missing(group) for group in groups), "all is read after a kill",
                                   seconds=60)
                self.assertGreater(metric(known, "other_forward_count"), 20)
            finally:
                for process in members:
                    process.kill()
            for process in members:
                self.assertEqual(process.ports, {known.kafka}, "whom the member was connected to")


if __name__ == "__main__":
    unittest.main()
