"""A real cluster for a test: nodes on free ports, each with a TOML file, started, killed, stopped, resumed."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from broker import BUILD, SERVER, free_port, run


class Node:
    def __init__(self, number, directory, program):
        self.number = number
        self.directory = pathlib.Path(directory)
        self.program = program
        self.kafka, self.raft, self.http, self.admin = free_port(), free_port(), free_port(), free_port()
        self.address = f"127.0.0.1:{self.kafka}"  # what clients and other nodes are told
        self.config = self.directory / f"node-{number}.toml"
        self.log = self.directory / f"node-{number}.log"
        self.process = None

    def write_config(self, nodes, links=None, more="", head=""):
        """links: (from, to) to the port at which the one node finds Raft of the other; without, its own."""
        raft = {node: (links or {}).get((self.number, node.number), node.raft) for node in nodes}
        peers = "".join(f'\n[[peers]]\nid = {node.number}\nkafka = "{node.address}"\nraft = "127.0.0.1:{raft[node]}"\n'
                        f'admin = "127.0.0.1:{node.admin}"\n' for node in nodes)
        self.config.write_text(f'{head}node_id = {self.number}\ndata_dir = "{self.directory}/data-{self.number}"\n'
                               f'[bind]\nmetrics = "127.0.0.1:{self.http}"\nkafka = "127.0.0.1:{self.kafka}"\n'
                               f'{peers}{more}')

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.program, "start", "--config", self.config], stdout=log, stderr=log)

    def page(self, path, method="GET", headers=None, body=None):
        """A page's status and text; nothing where the node does not answer."""
        port = self.admin if path.startswith("/admin/") else self.http
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request(method, path, None if body is None else json.dumps(body), headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None

    def metrics(self):
        """Samples by their name with labels; none where the node does not answer."""
        page = self.page("/metrics")
        lines = page[1].splitlines() if page and page[0] == 200 else []
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line[0] != "#"}

    def state(self):
        page = self.page("/ready")
        return json.loads(page[1])["state"] if page else "down"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def suspend(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=seconds)
        self.process = None
        return status

    def said(self):
        return self.log.read_text(errors="replace")[-3000:]


class Links:
    """What lies between the nodes: cut_links.cc. Node 0 stands for all clients."""

    def __init__(self, nodes):
        told = {node: free_port() for node in nodes}
        self.raft = {(a.number, b.number): free_port() for a in nodes for b in nodes if a != b}
        by_number = {node.number: node for node in nodes}
        ports = [f"{port}={node.kafka}:?:{node.number}" for node, port in told.items()]
        ports += [f"{port}={by_number[to].raft}:{of}:{to}" for (of, to), port in self.raft.items()]
        for node, port in told.items():
            node.address = f"127.0.0.1:{port}"
        self._process = subprocess.Popen([BUILD / "cut_links", *ports], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True)

    def _say(self, *words):
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "ok\n":
            raise AssertionError(f"cut_links ended with {self._process.wait(timeout=5)}")

    def cut(self, of, to):
        self._say("cut", of, to)

    def slow(self, of, to, milliseconds):
        self._say("slow", of, to, milliseconds)

    def heal(self, of, to):
        self._say("heal", of, to)

    def break_connections(self, a, b):
        self._say("break", a, b)

    def end(self):
        self._process.stdin.close()
        self._process.wait(timeout=5)
        self._process.stdout.close()


class Cluster:
    def __init__(self, nodes=3, program=SERVER, more="", head="", links=False):
        self._own = tempfile.TemporaryDirectory(prefix="chronik-test-")
        self.directory = pathlib.Path(self._own.name)
        self.nodes = [Node(number, self.directory, program) for number in range(1, nodes + 1)]
        self.links = Links(self.nodes) if links else None
        for node in self.nodes:
            node.write_config(self.nodes, self.links.raft if links else None, more, head)

    def extend(self, program=SERVER):
        """One more node, whose file names all that there are: not started, and not added."""
        node = Node(len(self.nodes) + 1, self.directory, program)
        self.nodes.append(node)
        node.write_config(self.nodes)
        return node

    @property
    def addresses(self):
        return ",".join(node.address for node in self.nodes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.resume()
                node.process.kill()
                node.process.wait()
        if self.links:
            self.links.end()
        if os.environ.get("CHRONIK_KEEP"):
            print(f"kept: {self.directory}")
            self._own._finalizer.detach()  # for people who look into a failure
        else:
            self._own.cleanup()

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            self.wait_until(lambda: node.state() == "serving", f"node {node.number} serves")

    def wait_until(self, holds, what, seconds=30):
        end = time.monotonic() + seconds
        while not holds():
            for node in self.nodes:
                status = node.process.poll() if node.process else None
                if status is not None:
                    raise AssertionError(f"node {node.number} ended with {status}:\n{node.said()}")
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}\n" + "\n".join(
                    f"--- node {node.number} ({node.state()})\n{node.said()}" for node in self.nodes))
            time.sleep(0.02)

    def listing(self, node):
        """The metadata as a node tells it; a partition that nobody has where it does not answer."""
        try:
            return json.loads(run("kcat", "-b", f"127.0.0.1:{node.kafka}", "-L", "-J", seconds=10))
        except (AssertionError, subprocess.TimeoutExpired):
            return {"topics": [{"partitions": [{"isrs": []}]}]}

    def is_whole(self):
        """Whether each node says that all are live and every replica is in sync."""
        for node in self.nodes:
            if node.metrics().get("chronik_brokers_live") != len(self.nodes):
                return False
            topics = self.listing(node)["topics"]
            if {len(partition["isrs"]) for topic in topics for partition in topic["partitions"]} - {len(self.nodes)}:
                return False
        return True

    def wait_until_whole(self, when, seconds=30):
        self.wait_until(self.is_whole, f"all nodes are there and every replica is in sync, {when}", seconds)
