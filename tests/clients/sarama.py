"""sarama's functional tests. They reach the brokers through toxiproxy, which breaks connections for them, and stop and
start brokers with docker: here that is a script which asks this process to do it."""

import json
import os
import re
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request

from go_suite import GoSuite
from suite import Unavailable, must

TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"
PORT = 29474
# The tests know these addresses: brokers 1 to 5, as clients find them.
DOCKER = '''#!{python}
# Stands for `docker compose stop|start kafka-N`.
import socket, sys
with socket.create_connection(("127.0.0.1", {port}), timeout=90) as asked:
    asked.sendall((" ".join(sys.argv[1:]) + "\\n").encode())
    sys.exit(0 if asked.makefile().readline() == "done\\n" else 1)
'''
PORTS = {number: 29090 + number for number in range(1, 6)}


class Switch:
    """Stops and starts nodes for whoever says so on a port of this machine, one line for each."""

    def __init__(self, nodes):
        outer_nodes = {node.number: node for node in nodes.nodes}

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                words = re.fullmatch(r"compose (stop|start) kafka-(\d)\n", self.rfile.readline().decode())
                node = words and outer_nodes.get(int(words.group(2)))
                if not node:
                    return
                if words.group(1) == "stop" and node.process:
                    node.stop(60)
                elif words.group(1) == "start" and not node.process:
                    node.start()
                    nodes.wait_until(lambda: node.state() == "serving", f"node {node.number} serves", 60)
                self.wfile.write(b"done\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class Sarama(GoSuite):
    name = "sarama"
    title = "sarama"
    source = "Go module `github.com/IBM/sarama`, functional tests"
    module = "github.com/IBM/sarama"
    version = "v1.61.1"
    package = "github.com/IBM/sarama"
    go = "1.26.0"
    tags = "functional"
    nodes = (3,)  # its topics have three replicas
    each_alone = True
    limit = 240
    # As in its own docker-compose.yml, where these exist.
    broker_settings = {"auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": 0}

    @property
    def proxy(self):
        return self.directory / "server"

    def fetch(self):
        version = super().fetch()
        if not self.proxy.exists():
            must(["go", "install", TOXIPROXY], 300, environment={"GOBIN": str(self.directory)})
        if not self.proxy.exists():
            raise Unavailable("toxiproxy's server was not built")
        return version

    def tests(self):
        folder = self.source_folder()
        names = []
        for path in sorted(must(["sh", "-c", f"ls {folder}/functional_*_test.go"], 10).split()):
            with open(path, encoding="utf-8") as text:
                names += re.findall(r"^func (Test(?!Main\b)\w+)\(t ", text.read(), re.M)
        return names

    def prepare(self, nodes):
        for node in nodes.nodes:
            node.address = f"127.0.0.1:{PORTS[node.number]}"

    def environment(self, nodes):
        return {"TOXIPROXY_ADDR": f"http://127.0.0.1:{PORT}", "KAFKA_VERSION": "4.1.0",
                "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}"}

    def _make_docker(self, port):
        script = self.directory / "bin" / "docker"
        script.parent.mkdir(exist_ok=True)
        script.write_text(DOCKER.format(python=sys.executable, port=port))
        script.chmod(0o755)

    def run(self, nodes, left_out, log):
        kafka = {node.number: node.kafka for node in nodes.nodes}
        # Its fourth and fifth broker are two of ours again: as places to begin from they are as good as others.
        proxies = [{"name": f"kafka{number}", "listen": f"127.0.0.1:{port}", "enabled": True,
                    "upstream": f"127.0.0.1:{kafka[(number - 1) % len(kafka) + 1]}"} for number, port in PORTS.items()]
        configuration = self.directory / "proxies.json"
        configuration.write_text(json.dumps(proxies))
        command = [self.proxy, "-host", "127.0.0.1", "-port", str(PORT), "-config", configuration]
        with Switch(nodes) as switch, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                self._make_docker(switch.port)
                self._wait_for_proxies(process)
                return super().run(nodes, left_out, log)
            finally:
                process.terminate()

    @staticmethod
    def _wait_for_proxies(process):
        end = time.monotonic() + 20
        while time.monotonic() < end and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/proxies", timeout=2) as answer:
                    if len(json.load(answer)) == len(PORTS):
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("toxiproxy does not answer; its log is in the suite's")
