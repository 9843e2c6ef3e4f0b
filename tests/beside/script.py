"""The operations, run in their order against one broker: each is asked, answered and noted."""

import time

from answers import Names, Step, texts_of
from operations import cluster, configs, fetch, group_offsets, groups, offsets, produce, topics
from wire import Connection

SECTIONS = (cluster, topics, configs, produce, fetch, offsets, groups, group_offsets)
# Both brokers are told these.
SETTINGS = {"num.partitions": 1, "offsets.topic.replication.factor": 1, "offsets.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0, "log.retention.ms": -1}
UNTIL_S = 10
CLOSED, NO_ANSWER = {"Answer": "the connection is closed"}, {"Answer": "none"}


class Script:
    def __init__(self, address):
        self.address = address
        self.names = Names(address)
        self.steps = []
        self.connections = {}

    def connection(self, client="beside"):
        """The connection of a client, made anew where the broker has closed it."""
        if client not in self.connections:
            self.connections[client] = Connection(self.address, client)
        return self.connections[client]

    def call(self, api, version, client="beside", **fields):
        """An answer that is not noted, or the reason why there is none."""
        return self._answer(client, lambda connection: connection.send(api, version, fields), api, version)

    def _answer(self, client, send, api, version):
        connection = self.connection(client)
        try:
            send(connection)
            return connection.receive(api, version)
        except (ConnectionError, TimeoutError) as error:
            self.connections.pop(client).close()
            return NO_ANSWER if isinstance(error, TimeoutError) else CLOSED

    def ask(self, name, api, version, until=None, within_s=UNTIL_S, client="beside", **fields):
        """Notes the answer to a request. until: asks again, for so long, while this is not true of the answer; a broker
        may need a moment until what it has answered is seen everywhere."""
        end = time.monotonic() + within_s
        answer = self.call(api, version, client, **fields)
        while until and answer not in (CLOSED, NO_ANSWER) and not until(answer) and time.monotonic() < end:
            time.sleep(0.05)
            answer = self.call(api, version, client, **fields)
        self.note(name, f"{api} {version}", answer)
        return answer

    def wait(self, api, version, until, **fields):
        """Like ask(), not noted; an error where it does not become true."""
        end = time.monotonic() + UNTIL_S
        answer = self.call(api, version, **fields)
        while answer in (CLOSED, NO_ANSWER) or not until(answer):
            if time.monotonic() > end:
                raise AssertionError(f"{self.address} still answers {api} with {answer}")
            time.sleep(0.05)
            answer = self.call(api, version, **fields)
        return answer

    def ask_bytes(self, name, key, version, body, answered_as, flexible=False):
        """A request that has no description; answered_as: the API and version of its answer."""
        answer = self._answer("beside", lambda connection: connection.send_bytes(key, version, body, flexible),
                              *answered_as)
        self.note(name, f"key {key} {version}", answer)

    def begin(self, client, api, version, **fields):
        """Sends what is answered only when others have done something: end() notes that answer."""
        self.connection(client).send(api, version, fields)

    def end(self, name, client, api, version):
        answer = self.connection(client).receive(api, version)
        self.note(name, f"{api} {version}", answer)
        return answer

    def note(self, name, request, answer):
        if any(step.name == name for step in self.steps):
            raise ValueError(f"two operations are called {name!r}")
        self.steps.append(Step(name, request, self.names.structs(answer), texts_of(answer)))

    def topic(self, name, partitions=1, **configs):
        """Makes a topic without noting it, and waits until it is led; its id."""
        self.call("CreateTopics", 7, timeoutMs=10_000, Topics=[
            {"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1,
             "Configs": [{"Name": key.replace("_", "."), "Value": str(value)} for key, value in configs.items()]}])
        return self.led(name, partitions)

    def led(self, name, partitions=1):
        def is_led(answer):
            found = answer["Topics"][0]
            return found["ErrorCode"] == 0 and [one["ErrorCode"] for one in found["Partitions"]] == [0] * partitions
        answer = self.wait("Metadata", 12, is_led, Topics=[{"Name": name}], AllowAutoTopicCreation=False)
        topic = answer["Topics"][0]
        self.names.of_topic(topic["TopicId"], name)
        # A broker may be told of as a leader before it has begun to lead.
        def leads(answer):
            return all(one["ErrorCode"] == 0 for one in answer["Topics"][0]["Partitions"])
        self.wait("ListOffsets", 7, leads, ReplicaId=-1, Topics=[{"Name": name, "Partitions": [
            {"PartitionIndex": index, "Timestamp": -1} for index in range(partitions)]}])
        return topic["TopicId"]


    def produce(self, topic, *batches):
        """Appends batches to partition 0 without noting it."""
        for records in batches:
            answer = self.call("Produce", 9, Acks=-1, TimeoutMs=5000, TopicData=[
                {"Name": topic, "PartitionData": [{"Index": 0, "Records": records}]}])
            if code := answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]:
                raise AssertionError(f"{self.address} answers a produce to {topic} with {code}")


def run(address):
    """All operations against a broker that was just started; the steps."""
    script = Script(address)
    for section in SECTIONS:
        section.run(script)
    for connection in script.connections.values():
        connection.close()
    return script.steps
