"""What is configured: told, set, appended to, taken back."""

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)
# Those that have an effect here.
BROKER_SETTINGS = """
    auto.create.topics.enable auto.leader.rebalance.enable broker.heartbeat.interval.ms broker.session.timeout.ms
    connections.max.idle.ms controller.quorum.election.timeout.ms default.replication.factor delete.topic.enable
    fetch.max.bytes group.initial.rebalance.delay.ms group.max.session.timeout.ms group.max.size
    group.min.session.timeout.ms leader.catch.up.time.percentage leader.imbalance.check.interval.seconds
    leader.imbalance.per.broker.percentage log.cleaner.backoff.ms log.cleaner.dedupe.buffer.size
    log.cleaner.delete.retention.ms log.cleaner.enable log.cleaner.io.max.bytes.per.second
    log.cleaner.max.compaction.lag.ms log.cleaner.min.cleanable.ratio log.cleaner.min.compaction.lag.ms
    log.cleanup.policy log.flush.interval.messages log.flush.interval.ms log.index.interval.bytes
    log.index.size.max.bytes log.message.timestamp.after.max.ms log.message.timestamp.before.max.ms
    log.message.timestamp.type log.retention.bytes log.retention.check.interval.ms log.retention.hours
    log.retention.minutes log.retention.ms log.roll.hours log.roll.ms log.segment.bytes
    max.incremental.fetch.session.cache.slots message.max.bytes min.insync.replicas num.partitions
    offset.metadata.max.bytes offsets.commit.timeout.ms offsets.retention.check.interval.ms
    offsets.retention.minutes offsets.topic.num.partitions offsets.topic.replication.factor
    offsets.topic.segment.bytes producer.id.expiration.ms replica.fetch.wait.max.ms replica.lag.time.max.ms
    socket.request.max.bytes unclean.leader.election.enable
""".split()


def run(script):
    script.topic("configured", retention_ms=1000)
    describe_topics(script)
    describe_brokers(script)
    alter(script)
    alter_incrementally(script)
    alter_brokers(script)
    list_resources(script)


def describe_topics(script):
    def ask(name, *resources, version=4, **more):
        script.ask(f"describe configs: {name}", "DescribeConfigs", version, Resources=[
            {"ResourceType": kind, "ResourceName": resource, "ConfigurationKeys": keys}
            for kind, resource, keys in resources], **more)

    some = ["retention.ms", "cleanup.policy", "segment.bytes"]
    for version in (1, 2, 3, 4):
        ask(f"of a topic, version {version}", (TOPIC, "configured", some), version=version)
    ask("all of a topic", (TOPIC, "configured", None), IncludeSynonyms=True)
    ask("none of a topic", (TOPIC, "configured", []))
    ask("with synonyms", (TOPIC, "configured", some), IncludeSynonyms=True)
    ask("with synonyms, version 1", (TOPIC, "configured", some), IncludeSynonyms=True, version=1)
    ask("an unknown setting", (TOPIC, "configured", ["no.such.setting"]))
    ask("an unknown topic", (TOPIC, "nowhere", None))
    ask("an empty name", (TOPIC, "", None))
    ask("a bad name", (TOPIC, "a/b", None))
    ask("an unknown kind", (77, "configured", None))
    ask("of no kind", (0, "configured", None))
    ask("the same twice", (TOPIC, "configured", ["retention.ms"]), (TOPIC, "configured", ["retention.ms"]))
    ask("client metrics", (CLIENT_METRICS, "nobody", None))
    ask("a group", (GROUP, "nobody", ["consumer.session.timeout.ms"]))
    ask("nothing")


def describe_brokers(script):
    def ask(name, resource, keys, kind=BROKER, version=4, **more):
        script.ask(f"describe brokers: {name}", "DescribeConfigs", version, Resources=[
            {"ResourceType": kind, "ResourceName": resource, "ConfigurationKeys": keys}], **more)

    some = ["log.retention.ms", "num.partitions", "message.max.bytes", "log.cleaner.io.max.bytes.per.second"]
    ask("some of one", "1", some, IncludeSynonyms=True)
    ask("some of one, version 1", "1", some, version=1)
    ask("all of one that exist here", "1", BROKER_SETTINGS)
    ask("of all together", "", None)
    ask("another", "7", some)
    ask("not a number", "one", some)
    ask("an unknown setting", "1", ["no.such.setting"])
    ask("a logger", "1", ["kafka.server.KafkaApis"], kind=LOGGER)
    ask("loggers of another", "7", None, kind=LOGGER)


def alter(script):
    def ask(name, *resources, version=2, **more):
        script.ask(f"alter configs: {name}", "AlterConfigs", version, Resources=[
            {"ResourceType": kind, "ResourceName": resource,
             "Configs": [{"Name": key, "Value": value} for key, value in configs]}
            for kind, resource, configs in resources], **more)

    ask("a topic, version 0", (TOPIC, "configured", [("max.message.bytes", "2000")]), version=0)
    shown(script, "after AlterConfigs", "max.message.bytes", "2000")
    ask("only validated", (TOPIC, "configured", [("max.message.bytes", "3000")]), ValidateOnly=True)
    ask("an unknown setting", (TOPIC, "configured", [("no.such.setting", "1")]))
    ask("a bad value", (TOPIC, "configured", [("max.message.bytes", "many")]))
    ask("null", (TOPIC, "configured", [("max.message.bytes", None)]))
    ask("an unknown topic", (TOPIC, "nowhere", [("max.message.bytes", "2000")]))
    ask("an empty name", (TOPIC, "", [("max.message.bytes", "2000")]))
    ask("a bad name", (TOPIC, "a/b", [("max.message.bytes", "2000")]))
    ask("an unknown kind", (77, "configured", [("max.message.bytes", "2000")]))
    ask("a setting twice", (TOPIC, "configured", [("retention.ms", "1"), ("retention.ms", "2")]))
    ask("the same twice", (TOPIC, "configured", []), (TOPIC, "configured", []))
    ask("to nothing", (TOPIC, "configured", []))


def shown(script, name, key, value=None):
    """What a topic has set by itself, once it is seen."""
    def has(answer):
        config = answer["Results"][0]["Configs"][0]
        return config["Value"] == value if value is not None else config["ConfigSource"] != 1
    script.ask(f"configs {name}", "DescribeConfigs", 4, until=has, Resources=[
        {"ResourceType": TOPIC, "ResourceName": "configured", "ConfigurationKeys": [key]}])


def incremental(script, name, *resources, version=1, **more):
    script.ask(f"alter incrementally: {name}", "IncrementalAlterConfigs", version, Resources=[
        {"ResourceType": kind, "ResourceName": resource,
         "Configs": [{"Name": key, "ConfigOperation": operation, "Value": value} for key, operation, value in configs]}
        for kind, resource, configs in resources], **more)


def alter_incrementally(script):
    def ask(name, *configs, **more):
        incremental(script, name, (TOPIC, "configured", configs), **more)

    ask("set, version 0", ("retention.ms", SET, "2000"), version=0)
    shown(script, "after a setting", "retention.ms", "2000")
    ask("delete", ("retention.ms", DELETE, None))
    shown(script, "after it is deleted", "retention.ms")
    ask("delete what is not set", ("retention.ms", DELETE, None))
    ask("delete with a value", ("retention.ms", DELETE, "5"))
    ask("set to null", ("retention.ms", SET, None))
    ask("append", ("cleanup.policy", APPEND, "compact"))
    shown(script, "after it is appended to", "cleanup.policy", "delete,compact")
    ask("append what is there", ("cleanup.policy", APPEND, "compact"))
    shown(script, "after the same is appended", "cleanup.policy", "delete,compact")
    ask("subtract", ("cleanup.policy", SUBTRACT, "delete"))
    shown(script, "after it is subtracted from", "cleanup.policy", "compact")
    ask("subtract what is not there", ("cleanup.policy", SUBTRACT, "delete"))
    ask("append what is bad", ("cleanup.policy", APPEND, "forget"))
    ask("append to what is no list", ("retention.ms", APPEND, "5"))
    ask("subtract from what is no list", ("retention.ms", SUBTRACT, "5"))
    ask("an unknown operation", ("retention.ms", 9, "5"))
    ask("an unknown setting", ("no.such.setting", SET, "5"))
    ask("delete an unknown setting", ("no.such.setting", DELETE, None))
    ask("a bad value", ("retention.ms", SET, "soon"))
    ask("one good, one bad", ("retention.ms", SET, "5000"), ("segment.bytes", SET, "1"))
    ask("a setting twice", ("retention.ms", SET, "1"), ("retention.ms", DELETE, None))
    ask("only validated", ("retention.ms", SET, "7000"), ValidateOnly=True)
    ask("only validated, bad", ("retention.ms", SET, "soon"), ValidateOnly=True)
    ask("nothing of a topic")
    incremental(script, "an unknown topic", (TOPIC, "nowhere", [("retention.ms", SET, "5")]))
    incremental(script, "an empty name", (TOPIC, "", [("retention.ms", SET, "5")]))
    incremental(script, "a bad name", (TOPIC, "a/b", [("retention.ms", SET, "5")]))
    incremental(script, "an unknown kind", (77, "configured", [("retention.ms", SET, "5")]))
    incremental(script, "the same twice", (TOPIC, "configured", [("retention.ms", SET, "5")]),
                (TOPIC, "configured", [("retention.ms", SET, "6")]))
    incremental(script, "one topic that is and one that is not", (TOPIC, "configured", [("retention.ms", SET, "5")]),
                (TOPIC, "nowhere", [("retention.ms", SET, "6")]))
    shown(script, "after all of that", "retention.ms", "5")
    incremental(script, "nothing")


def alter_brokers(script):
    def ask(name, resource, *configs, kind=BROKER, **more):
        incremental(script, f"brokers: {name}", (kind, resource, configs), **more)

    ask("of one", "1", ("log.cleaner.io.max.bytes.per.second", SET, "1000000"))
    ask("of all", "", ("log.retention.bytes", SET, "100000000"))
    ask("of all, back", "", ("log.retention.bytes", DELETE, None))
    ask("of one, back", "1", ("log.cleaner.io.max.bytes.per.second", DELETE, None))
    ask("of one that is not there", "7", ("log.retention.bytes", SET, "100"))
    ask("not a number", "one", ("log.retention.bytes", SET, "100"))
    ask("what only its file can set", "1", ("num.partitions", SET, "5"))
    ask("what only its file can set, all", "", ("broker.rack", SET, "here"))
    ask("an unknown setting", "", ("no.such.setting", SET, "5"))
    ask("a bad value", "", ("log.retention.bytes", SET, "many"))
    ask("a logger's level", "1", ("kafka.server.KafkaApis", SET, "INFO"), kind=LOGGER)
    ask("client metrics", "nobody", ("interval.ms", SET, "1000"), kind=CLIENT_METRICS)
    ask("a group", "nobody", ("consumer.session.timeout.ms", SET, "50000"), kind=GROUP)


def list_resources(script):
    script.ask("config resources 0", "ListConfigResources", 0)
    script.ask("config resources of brokers", "ListConfigResources", 1, ResourceTypes=[BROKER])
    script.ask("config resources of an unknown kind", "ListConfigResources", 1, ResourceTypes=[77])
    script.ask("config resources of topics", "ListConfigResources", 1, ResourceTypes=[TOPIC])
    script.ask("config resources of loggers", "ListConfigResources", 1, ResourceTypes=[LOGGER])
