"""kcat (librdkafka) there and back, with every codec, also over a restart and a kill."""

import shutil
import unittest

from broker import Broker, run

LINES = b"".join(b"%d\n" % i for i in range(1, 100_001))


@unittest.skipUnless(shutil.which("kcat"), "kcat is not installed")
class Kcat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.broker.start()

    @classmethod
    def tearDownClass(cls):
        cls.broker.__exit__()

    def produce(self, topic, *flags):
        run("kcat", "-b", self.broker.address, "-t", topic, "-P", *flags, stdin=LINES)

    def consume(self, topic):
        lines = run("kcat", "-b", self.broker.address, "-t", topic, "-C", "-e", "-q").splitlines(keepends=True)
        return b"".join(sorted(lines, key=int))  # the topic has several partitions

    def test_every_codec_there_and_back(self):
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
            with self.subTest(codec=codec):
                self.produce("codec-" + codec, "-z", codec)
                self.assertEqual(self.consume("codec-" + codec), LINES)

    def test_what_was_produced_is_there_after_a_kill_and_after_a_stop(self):
        self.produce("kept", "-X", "acks=all")
        self.broker.kill()
        self.broker.start()
        self.assertEqual(self.consume("kept"), LINES)
        self.assertEqual(self.broker.stop(), 0)
        self.broker.start()
        self.assertEqual(self.consume("kept"), LINES)

    def test_the_topic_is_listed(self):
        self.produce("listed")
        self.assertIn(b'topic "listed" with 3 partitions', run("kcat", "-b", self.broker.address, "-L"))


if __name__ == "__main__":
    unittest.main()
