// Uses kafkajs as programs do: its npm package has no tests of its own. A line for each case, with its milliseconds:
// PASS 12 NAME, or FAIL 12 NAME: why.
const assert = require("assert");
const { CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require("kafkajs");

const [addresses, nodes] = [process.argv[2].split(","), Number(process.argv[3])];
const kafka = new Kafka({ clientId: "suite", brokers: addresses, logLevel: logLevel.NOTHING });
const admin = kafka.admin();
let made = 0;

const topicName = (what) => `kafkajs-${what}-${process.pid}-${++made}`;

async function makeTopic(what, numPartitions = 3) {
  const topic = topicName(what);
  const topics = [{ topic, numPartitions, replicationFactor: nodes }];
  assert.ok(await admin.createTopics({ waitForLeaders: true, topics }));
  return topic;
}

async function within(seconds, what, holds) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    if (await holds()) return;
    assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function withProducer(options, use) {
  const producer = kafka.producer(options);
  await producer.connect();
  try {
    return await use(producer);
  } finally {
    await producer.disconnect();
  }
}

// Starts a member that keeps what it gets; the function ends it.
async function member(groupId, topics) {
  const got = [];
  const consumer = kafka.consumer({
    groupId, rebalanceTimeout: 10000, sessionTimeout: 10000, heartbeatInterval: 500, maxWaitTimeInMs: 300,
  });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, partition, message }) => got.push({ topic, partition, message }),
  });
  return { got, consumer, end: () => consumer.disconnect() };
}

async function consumed(topic, count) {
  const reader = await member(`${topic}-readers`, [topic]);
  try {
    await within(40, `${count} records of ${topic}`, () => reader.got.length >= count);
    return reader.got;
  } finally {
    await reader.end();
  }
}

const values = (count, size = 20) => Array.from({ length: count }, (_, i) => `${i}-`.padEnd(size, "x"));

async function roundTrip(what, options, send) {
  const topic = await makeTopic(what);
  const sent = values(300);
  await withProducer(options, (producer) =>
    producer.send({ topic, messages: sent.map((value, i) => ({ key: `k${i}`, value })), ...send }));
  const got = await consumed(topic, sent.length);
  assert.deepStrictEqual(got.map(({ message }) => message.value.toString()).sort(), [...sent].sort());
}

const cases = {
  "produce and consume": () => roundTrip("plain", {}, {}),
  "produce with acks=1": () => roundTrip("one", {}, { acks: 1 }),
  "produce with acks=0": () => roundTrip("none", {}, { acks: 0 }),
  "produce with gzip": () => roundTrip("gzip", {}, { compression: CompressionTypes.GZIP }),
  "idempotent producer": () => roundTrip("idempotent", { idempotent: true, maxInFlightRequests: 1 }, {}),

  "keys, headers and timestamps": async () => {
    const topic = await makeTopic("headers", 1);
    const message = { key: "key", value: "value", headers: { a: "1", b: "" }, timestamp: "1700000000123" };
    const [told] = await withProducer({}, (producer) =>
      producer.send({ topic, messages: [message, { key: null, value: null }] }));
    assert.strictEqual(told.baseOffset, "0");
    const [first, second] = (await consumed(topic, 2)).map((each) => each.message);
    assert.strictEqual(first.key.toString(), "key");
    assert.strictEqual(first.timestamp, message.timestamp);
    assert.deepStrictEqual(Object.entries(first.headers).map(([k, v]) => [k, v.toString()]), [["a", "1"], ["b", ""]]);
    assert.deepStrictEqual([second.key, second.value, second.offset], [null, null, "1"]);
  },

  "several topics in one batch": async () => {
    const topics = [await makeTopic("first"), await makeTopic("second")];
    await withProducer({}, (producer) =>
      producer.sendBatch({ topicMessages: topics.map((topic) => ({ topic, messages: [{ value: topic }] })) }));
    for (const topic of topics) {
      assert.strictEqual((await consumed(topic, 1))[0].message.value.toString(), topic);
    }
  },

  "two members share a topic, and one takes over": async () => {
    const topic = await makeTopic("shared", 4);
    const members = [await member(`${topic}-group`, [topic]), await member(`${topic}-group`, [topic])];
    const state = async () => (await admin.describeGroups([`${topic}-group`])).groups[0];
    await within(40, "both are members", async () => {
      const group = await state();
      return group.state === "Stable" && group.members.length === 2;
    });
    await withProducer({}, (producer) =>
      producer.send({ topic, messages: values(200).map((value, i) => ({ value, partition: i % 4 })) }));
    await within(40, "all is consumed", () => members[0].got.length + members[1].got.length >= 200);
    assert.ok(members[0].got.length > 0 && members[1].got.length > 0);
    await members[0].end();
    const before = members[1].got.length;
    await withProducer({}, (producer) =>
      producer.send({ topic, messages: values(40).map((value, i) => ({ value, partition: i % 4 })) }));
    await within(40, "the other takes over", () => members[1].got.length >= before + 40);
    await members[1].end();
  },

  "offsets are committed, listed, set and deleted": async () => {
    const topic = await makeTopic("offsets", 1);
    const groupId = `${topic}-group`;
    await withProducer({}, (producer) => producer.send({ topic, messages: values(10).map((value) => ({ value })) }));
    const first = await member(groupId, [topic]);
    await within(40, "it reads", () => first.got.length >= 10);
    await first.consumer.commitOffsets([{ topic, partition: 0, offset: "7" }]);
    await first.end();
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: "4" }] });
    const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] });
    assert.strictEqual(partitions[0].offset, "4");
    const second = await member(groupId, [topic]);
    await within(40, "it goes on", () => second.got.length >= 6);
    assert.strictEqual(second.got[0].message.offset, "4");
    await second.end();
    assert.ok((await admin.listGroups()).groups.some((group) => group.groupId === groupId));
    await admin.deleteGroups([groupId]);
    assert.ok(!(await admin.listGroups()).groups.some((group) => group.groupId === groupId));
  },

  "seek, pause and resume": async () => {
    const topic = await makeTopic("seek", 1);
    await withProducer({}, (producer) => producer.send({ topic, messages: values(20).map((value) => ({ value })) }));
    const reader = await member(`${topic}-group`, [topic]);
    await within(40, "it reads", () => reader.got.length >= 20);
    reader.consumer.pause([{ topic }]);
    reader.consumer.seek({ topic, partition: 0, offset: "15" });
    reader.consumer.resume([{ topic }]);
    await within(40, "it reads again", () => reader.got.length >= 25);
    assert.strictEqual(reader.got[20].message.offset, "15");
    await reader.end();
  },

  "offsets of a topic, also by time": async () => {
    const topic = await makeTopic("times", 1);
    const messages = values(5).map((value, i) => ({ value, timestamp: String(1700000000000 + i * 1000) }));
    await withProducer({}, (producer) => producer.send({ topic, messages }));
    const [told] = await admin.fetchTopicOffsets(topic);
    assert.deepStrictEqual([told.low, told.high], ["0", "5"]);
    const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, 1700000002500);
    assert.strictEqual(found.offset, "3");
  },

  "records are deleted": async () => {
    const topic = await makeTopic("records", 1);
    await withProducer({}, (producer) => producer.send({ topic, messages: values(10).map((value) => ({ value })) }));
    await admin.fetchTopicOffsets(topic); // kafkajs looks for the leader in what it knows already
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "6" }] });
    assert.strictEqual((await admin.fetchTopicOffsets(topic))[0].low, "6");
  },

  "topics are made, listed, extended and deleted": async () => {
    const topic = await makeTopic("life", 1);
    assert.ok((await admin.listTopics()).includes(topic));
    assert.strictEqual(await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }), false);
    await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] });
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    assert.strictEqual(topics[0].partitions.length, 4);
    assert.strictEqual(topics[0].partitions[0].replicas.length, nodes);
    await admin.deleteTopics({ topics: [topic] });
    await within(10, "it is gone", async () => !(await admin.listTopics()).includes(topic));
  },

  "configurations are described and altered": async () => {
    const topic = await makeTopic("configs", 1);
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic };
    const configEntries = [{ name: "retention.ms", value: "123456" }];
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] });
    const { resources } = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] });
    const entry = resources[0].configEntries.find(({ configName }) => configName === "retention.ms");
    assert.strictEqual(entry.configValue, "123456");
  },

  "the cluster is described": async () => {
    const cluster = await admin.describeCluster();
    assert.strictEqual(cluster.brokers.length, nodes);
    assert.ok(cluster.brokers.some(({ nodeId }) => nodeId === cluster.controller));
  },

  "reassignments are listed and begun": async () => {
    const topic = await makeTopic("moved", 1);
    const brokers = (await admin.describeCluster()).brokers.map(({ nodeId }) => nodeId);
    const partitionAssignment = [{ partition: 0, replicas: [...brokers].reverse() }];
    await admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment }] });
    await within(20, "it has ended", async () =>
      (await admin.listPartitionReassignments({ topics: [{ topic, partitions: [0] }] })).topics.length === 0);
  },

  "an unknown topic is an error": async () => {
    await assert.rejects(admin.fetchTopicOffsets(topicName("unknown")), /does not host this topic-partition/);
  },
};

async function main() {
  await admin.connect();
  for (const [name, run] of Object.entries(cases)) {
    const begun = Date.now();
    const deadline = new Promise((_, reject) => {
      setTimeout(() => reject(new Error("took longer than 90 s")), 90000).unref();
    });
    try {
      await Promise.race([run(), deadline]);
      console.log(`PASS ${Date.now() - begun} ${name}`);
    } catch (error) {
      const told = String(error && error.stack).split("\n").slice(0, 3).join(" ");
      console.log(`FAIL ${Date.now() - begun} ${name}: ${told}`);
    }
  }
  await admin.disconnect();
  process.exit(0);
}

main();
