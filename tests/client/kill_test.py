"""kill -9, again and again, under producers: everything acknowledged is there, once, in order.

CHRONIK_KILLS says how often (6 in `make test`; 50 and more by hand).
"""

import json
import os
import random
import time
import unittest

import producers
from broker import BUILD, Broker, has_module, run

KILLS = int(os.environ.get("CHRONIK_KILLS", "6"))

# Without retries, so that a record that was not acknowledged is there at most once.
ONCE = {"message.send.max.retries": 0, "request.timeout.ms": 2000, "message.timeout.ms": 3000,
        "reconnect.backoff.max.ms": 100}
TOPICS = {"acks-1": (producers.LIBRDKAFKA, {**ONCE, "acks": "1"}),
          "acks-all": (producers.LIBRDKAFKA, {**ONCE, "acks": "all"})}


@unittest.skipUnless(has_module("confluent_kafka"), "python3-confluent-kafka is not installed")
class Kill(unittest.TestCase):
    def kill_again_and_again(self, broker, kills, seconds=(0.05, 0.6)):
        draws = random.Random(4711)
        broker.start()
        for topic in TOPICS:
            run("kcat", "-b", broker.address, "-t", topic, "-L")
        with producers.Producers(broker.address, TOPICS, partitions=1) as struck:
            for _ in range(kills):
                time.sleep(0.3 + draws.uniform(*seconds))
                broker.kill()
                broker.start()
            time.sleep(1)
            struck.stop(self)
            return {topic: struck.compare(self, broker.address, topic)[0] for topic in TOPICS}

    def test_everything_acknowledged_survives(self):
        with Broker() as broker:
            broker.kill()
            counts = self.kill_again_and_again(broker, KILLS)
            print(json.dumps({"kills": KILLS, "acknowledged": counts}), flush=True)
            for topic, count in counts.items():
                self.assertGreater(count, 100 * KILLS, f"{topic}: too little for a test")

    def test_everything_acknowledged_survives_the_loss_of_what_was_not_synced(self):
        with Broker(program=BUILD / "volatile_server") as broker:
            broker.kill()
            counts = self.kill_again_and_again(broker, KILLS)
            print(json.dumps({"kills": KILLS, "acknowledged": counts}), flush=True)
            for topic, count in counts.items():
                self.assertGreater(count, 20 * KILLS, f"{topic}: too little for a test")

    def test_a_broker_that_does_not_sync_is_found_out(self):
        with Broker(program=BUILD / "volatile_server", environment={"CHRONIK_FORGET_SYNCS": "1"}) as broker:
            broker.kill()
            # What a drain lost is damage: reported as CORRUPT_MESSAGE instead of served (R3). Where all of the log was
            # lost, the broker itself finds it out (R12).
            found_out = ("acknowledged and lost|not at the offset|Broker: Invalid message|"
                         "the write-ahead log knows nothing of them")
            with self.assertRaisesRegex(AssertionError, found_out):
                self.kill_again_and_again(broker, 2)


if __name__ == "__main__":
    unittest.main()
