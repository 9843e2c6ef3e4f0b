"""A real cluster for a test: nodes on free ports, each with a TOML file, started, killed, stopped, resumed."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from broker import SERVER, free_port


class Node:
    def __init__(self, number, directory, program):
        self.number = number
        self.directory = pathlib.Path(directory)
        self.program = program
        self.kafka, self.raft, self.http, self.admin = free_port(), free_port(), free_port(), free_port()
        self.address = f"127.0.0.1:{self.kafka}"
        self.config = self.directory / f"node-{number}.toml"
        self.log = self.directory / f"node-{number}.log"
        self.process = None

    def write_config(self, nodes, more="", head=""):
        peers = "".join(f'\n[[peers]]\nid = {node.number}\nkafka = "{node.address}"\nraft = "127.0.0.1:{node.raft}"\n'
                        f'admin = "127.0.0.1:{node.admin}"\n' for node in nodes)
        self.config.write_text(f'{head}node_id = {self.number}\ndata_dir = "{self.directory}/data-{self.number}"\n'
                               f'[bind]\nmetrics = "127.0.0.1:{self.http}"\n{peers}{more}')

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.program, "start", "--config", self.config], stdout=log, stderr=log)

    def page(self, path, method="GET", headers=None):
        """A page's status and text; nothing where the node does not answer."""
        port = self.admin if path.startswith("/admin/") else self.http
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request(method, path, headers=headers or {})
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


class Cluster:
    def __init__(self, nodes=3, program=SERVER, more="", head=""):
        self._own = tempfile.TemporaryDirectory(prefix="chronik-test-")
        self.directory = pathlib.Path(self._own.name)
        self.nodes = [Node(number, self.directory, program) for number in range(1, nodes + 1)]
        for node in self.nodes:
            node.write_config(self.nodes, more, head)

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
