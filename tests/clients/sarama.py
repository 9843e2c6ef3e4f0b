"""sarama's functional tests. They reach the brokers through toxiproxy, which breaks connections for them."""

import json
import re
import subprocess
import time
import urllib.request

from go_suite import GoSuite
from suite import Unavailable, must

TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"
PORT = 29474
# The tests know these addresses: brokers 1 to 5, as clients find them.
PORTS = {number: 29090 + number for number in range(1, 6)}


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

    def tests(self, left_out):
        folder = self.source_folder()
        names = []
        for path in sorted(must(["sh", "-c", f"ls {folder}/functional_*_test.go"], 10).split()):
            with open(path, encoding="utf-8") as text:
                names += re.findall(r"^func (Test(?!Main\b)\w+)\(t ", text.read(), re.M)
        return [name for name in names if name not in left_out]

    def prepare(self, nodes):
        for node in nodes.nodes:
            node.address = f"127.0.0.1:{PORTS[node.number]}"

    def environment(self, nodes):
        return {"TOXIPROXY_ADDR": f"http://127.0.0.1:{PORT}", "KAFKA_VERSION": "4.1.0"}

    def run(self, nodes, left_out, log):
        kafka = {node.number: node.kafka for node in nodes.nodes}
        # A proxy for a node that does not exist is switched off: its port refuses.
        proxies = [{"name": f"kafka{number}", "listen": f"127.0.0.1:{port}", "enabled": number in kafka,
                    "upstream": f"127.0.0.1:{kafka.get(number, port)}"} for number, port in PORTS.items()]
        configuration = self.directory / "proxies.json"
        configuration.write_text(json.dumps(proxies))
        with subprocess.Popen([self.proxy, "-host", "127.0.0.1", "-port", str(PORT), "-config", configuration],
                              stdout=log, stderr=log) as process:
            try:
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
