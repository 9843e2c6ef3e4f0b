"""A data directory that is not what it was: the server refuses it instead of serving less than was acknowledged."""

import os
import shutil
import subprocess
import unittest

from broker import Broker, run

DATA_DIRECTORY = 3


@unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
class Directory(unittest.TestCase):
    def refused(self, broker, *flags):
        done = subprocess.run([broker.program, "start", "--data-dir", broker.directory / "data", "--bind",
                               broker.address, *flags], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, DATA_DIRECTORY, done.stderr)
        return done.stderr

    def killed_broker(self):
        broker = Broker()
        self.addCleanup(broker.__exit__)
        broker.start()
        run("kcat", "-b", broker.address, "-t", "t", "-P", stdin=b"1\n2\n3\n")
        broker.kill()
        return broker

    def test_a_log_that_cannot_be_read_is_not_an_empty_one(self):
        broker = self.killed_broker()
        for path in (broker.directory / "data" / "wal" / "0").iterdir():
            path.write_bytes(os.urandom(path.stat().st_size))
        for _ in range(3):  # what a refused start leaves is no reason to accept the next one
            self.assertIn("the write-ahead log knows nothing of them", self.refused(broker))

    def test_a_log_that_was_removed_is_missed(self):
        broker = self.killed_broker()
        shutil.rmtree(broker.directory / "data" / "wal")
        for _ in range(3):
            self.assertIn("was wal/ removed", self.refused(broker))

    def test_the_directory_of_another_node_is_refused(self):
        broker = self.killed_broker()
        self.assertIn("is that of node 1, not of node 2", self.refused(broker, "--node-id", "2"))


if __name__ == "__main__":
    unittest.main()
