"""Apache Kafka as one KRaft node, broker and controller at once, out of the jars that `make java` fetches."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "client"))
from broker import free_port, run  # noqa: E402 (of another folder)
from wire import Connection  # noqa: E402

JARS = ROOT / "build" / "kafka-java" / "libs"
CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"
START_S = 60


class KafkaNode:
    def __init__(self, settings):
        self._own = tempfile.TemporaryDirectory(prefix="chronik-beside-")
        self.directory = pathlib.Path(self._own.name)
        self.address, controller = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.log = self.directory / "kafka.log"
        self.process = None
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://{controller}"
        properties = {"process.roles": "broker,controller", "node.id": 1, "listeners": listeners,
                      "advertised.listeners": listeners, "controller.listener.names": "CONTROLLER",
                      "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                      "controller.quorum.bootstrap.servers": controller, "log.dirs": self.directory / "data",
                      "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
                      "transaction.state.log.num.partitions": 1, **settings}
        self.config = self.directory / "server.properties"
        self.config.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

    def __enter__(self):
        java = ["java", "-Xmx512m", "-Djava.awt.headless=true", "-cp", f"{JARS}/*"]
        run(*java, "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c", self.config)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*java, "kafka.Kafka", str(self.config)], stdout=log, stderr=log,
                                            env=os.environ)
        self.wait_until_it_serves()
        return self

    def wait_until_it_serves(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                connection = Connection(self.address)
                connection.send("Metadata", 12, {"Topics": []})
                brokers = connection.receive("Metadata", 12)["Brokers"]
                connection.close()
                if brokers:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        self.__exit__()
        raise AssertionError(f"Kafka does not serve: {self.said()}")

    def said(self):
        return self.log.read_text(errors="replace")[-3000:]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if not os.environ.get("CHRONIK_KEEP"):
            self._own.cleanup()
