"""The nodes that a suite runs against: one that stands alone, or three that are a cluster."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "client"))
from broker import SERVER  # noqa: E402 (beside this folder)
from cluster import Cluster, Node  # noqa: E402 (beside this folder)


class Nodes(Cluster):
    """A cluster, or one node without any peers, with settings of Kafka's brokers by their names."""

    def __init__(self, count, settings, first=1, program=SERVER):
        """first: the number of the first of them."""
        super().__init__(count, program)
        self.nodes = [Node(first + i, self.directory, program) for i in range(count)]
        self.settings = settings

    def start(self):
        lines = "".join(f"{name} = {value}\n" for name, value in self.settings.items())
        for node in self.nodes:
            peers = self.nodes if len(self.nodes) > 1 else []
            advertised = "" if peers else f'[advertise]\nkafka = "{node.address}"\n'
            node.write_config(peers, more=f"{advertised}[broker]\n{lines}")
        super().start()

    def ended(self):
        """Nodes that are no longer there, with what they said last."""
        return [(node.number, node.process.poll() if node.process else "was stopped", node.said())
                for node in self.nodes if not node.process or node.process.poll() is not None]

    def stop(self):
        """Asks every node to stop, all at once; those whose exit status is not 0."""
        for node in self.nodes:
            node.process.terminate()
        return [(node.number, status) for node in self.nodes if (status := node.process.wait(timeout=60)) != 0]
