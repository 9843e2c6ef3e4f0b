"""The disk of one of three real nodes rots in files that nobody has open: whoever reads is served what was
acknowledged, and the node has it again, from another one."""

import shutil
import subprocess
import unittest

from broker import run
from cluster import Cluster

PARTITIONS = 3
LINES = 20_000  # in each
LEADERS_SOON = "\n[broker]\nleader.imbalance.check.interval.seconds = 1\n"


def lines_of(partition):
    return "".join(f"{partition}:{i}\n" for i in range(LINES)).encode()


@unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
class Damage(unittest.TestCase):
    def rot(self, node):
        """Turns over a byte in the middle of each partition's largest segment."""
        for directory in (self.cluster.directory / f"data-{node.number}" / "logs").iterdir():
            segment = max(directory.glob("*.log"), key=lambda path: path.stat().st_size)
            self.assertGreater(segment.stat().st_size, LINES)
            with open(segment, "r+b") as file:
                file.seek(segment.stat().st_size // 2)
                byte = file.read(1)[0]
                file.seek(-1, 1)
                file.write(bytes([byte ^ 0xff]))

    def leads(self, node):
        return [partition["partition"] for topic in self.cluster.listing(node)["topics"]
                for partition in topic["partitions"] if partition.get("leader") == node.number]

    def read(self, partition):
        """All of it, or nothing yet: a client tells of the damage, and asks again when another leads."""
        try:
            return run("kcat", "-C", "-e", "-q", "-b", self.cluster.addresses, "-t", "t", "-p", partition, seconds=20)
        except (AssertionError, subprocess.TimeoutExpired):
            return b""

    def test_a_rotten_replica_is_mended_from_the_others(self):
        with Cluster(more=LEADERS_SOON) as self.cluster:
            cluster = self.cluster
            cluster.start()
            for partition in range(PARTITIONS):
                run("kcat", "-P", "-b", cluster.addresses, "-t", "t", "-p", partition, "-X", "acks=all",
                    stdin=lines_of(partition))
            cluster.wait_until_whole("before the damage")
            rotten = cluster.nodes[2]
            self.assertEqual(rotten.stop(), 0)
            self.rot(rotten)
            rotten.start()
            cluster.wait_until_whole("with what nobody has read yet")
            cluster.wait_until(lambda: self.leads(rotten), "the node that has rotten files leads something")
            for partition in self.leads(rotten):
                cluster.wait_until(lambda of=partition: self.read(of) == lines_of(of), f"partition {partition} is read")
            cluster.wait_until(lambda: rotten.metrics().get("chronik_log_repaired_total", 0) > 0, "a log is mended")
            cluster.wait_until_whole("after the damage was found")
            # The mended copy itself: of the others, one goes after the other.
            for other in cluster.nodes[:2]:
                self.assertEqual(other.stop(), 0)
                for partition in range(PARTITIONS):
                    cluster.wait_until(lambda of=partition: self.read(of) == lines_of(of),
                                       f"partition {partition} is read without node {other.number}")
                other.start()
                cluster.wait_until_whole("again")


if __name__ == "__main__":
    unittest.main()
