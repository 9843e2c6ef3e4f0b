"""Retries made certain: a proxy cuts the connection when the broker has appended and before its answer passes. Each
record of an idempotent producer is there once, in order.

CHRONIK_RETRIES says how many records (20000 in `make test`).
"""

import os
import select
import socket
import struct
import textwrap
import threading
import unittest

from broker import Broker, free_port, has_module, run_system_python

PRODUCE = 0

PRODUCER = textwrap.dedent("""
    import sys
    from confluent_kafka import Producer
    address, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    failed = []
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 1,
                         "batch.num.messages": 100, "reconnect.backoff.ms": 1, "reconnect.backoff.max.ms": 5,
                         "retry.backoff.ms": 1, "log_level": 0})
    def told(error, message):
        if error:
            failed.append(str(error))
    for i in range(count):
        while True:
            try:
                producer.produce(topic, b"%d" % i, partition=0, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(120)
    sys.exit(f"{left} left, failed: {failed[:3]}" if left or failed else 0)
""")

READER = textwrap.dedent("""
    import sys
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "reader", "enable.partition.eof": True})
    consumer.assign([TopicPartition(sys.argv[2], 0, 0)])
    at = 0
    while True:
        message = consumer.poll(20)
        if message is None or message.error():
            break
        if int(message.value()) != at:
            sys.exit(f"offset {message.offset()} has {message.value()}, and not {at}")
        at += 1
    print(at)
""")


class CuttingProxy(threading.Thread):
    """Passes bytes both ways. Of every so many answers to Produce it cuts the connection in place of one."""

    def __init__(self, listens, to, every):
        super().__init__(daemon=True)
        self.server = socket.create_server(("127.0.0.1", listens))
        self.to, self.every = to, every
        self.produces = self.cuts = 0

    def run(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    @staticmethod
    def frames(buffer):
        """Takes whole frames off the front."""
        while len(buffer) >= 4:
            end = 4 + struct.unpack(">i", buffer[:4])[0]
            if len(buffer) < end:
                return
            yield bytes(buffer[:end])
            del buffer[:end]

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.to)) as broker:
            asked, answered, waiting = bytearray(), bytearray(), []
            while True:
                for ready in select.select([client, broker], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is client:
                        asked += data
                        for frame in self.frames(asked):
                            waiting.append(struct.unpack(">h", frame[4:6])[0])
                            broker.sendall(frame)
                        continue
                    answered += data
                    for frame in self.frames(answered):
                        if waiting.pop(0) == PRODUCE:
                            self.produces += 1
                            if self.produces % self.every == 0:
                                self.cuts += 1
                                return
                        client.sendall(frame)


@unittest.skipUnless(has_module("confluent_kafka"), "python3-confluent-kafka is not installed")
class Retries(unittest.TestCase):
    def test_each_record_is_there_once_in_order(self):
        count = int(os.environ.get("CHRONIK_RETRIES", "20000"))
        proxy_port = free_port()
        with Broker(environment={"CHRONIK_ADVERTISE": f"127.0.0.1:{proxy_port}"}) as broker:
            proxy = CuttingProxy(proxy_port, broker.port, every=5)
            proxy.start()
            run_system_python(PRODUCER, f"127.0.0.1:{proxy_port}", "once", count, seconds=280)
            self.assertGreater(proxy.cuts, count // 2500)
            cuts, proxy.every = proxy.cuts, 1 << 60
            read = run_system_python(READER, f"127.0.0.1:{proxy_port}", "once", seconds=120)
            self.assertEqual(int(read), count, f"after {cuts} cuts")
            proxy.server.close()


if __name__ == "__main__":
    unittest.main()
