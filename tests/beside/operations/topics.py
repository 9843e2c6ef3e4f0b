"""Topics: made, told, deleted."""


def run(script):
    script.ask("create: one partition", "CreateTopics", 7, timeoutMs=10_000,
               Topics=[{"Name": "a", "NumPartitions": 1, "ReplicationFactor": 1}])
    script.ask("create: it exists", "CreateTopics", 7, timeoutMs=10_000,
               Topics=[{"Name": "a", "NumPartitions": 1, "ReplicationFactor": 1}])
    script.led("a")
    script.ask("metadata of it", "Metadata", 12, Topics=[{"Name": "a"}])
