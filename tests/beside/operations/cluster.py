"""What a client asks first: versions, brokers, coordinators, what is configured and what lies where."""

NOBODYS_ID = "ZZZZZZZZZZZZZZZZZZZZZQ"


def run(script):
    versions(script)
    metadata_of_nothing(script)
    describe_cluster(script)
    log_directories(script)


def versions(script):
    for version in (0, 2):
        script.ask(f"versions {version}", "ApiVersions", version)
    for version in (3, 4):
        script.ask(f"versions {version}", "ApiVersions", version, ClientSoftwareName="beside",
                   ClientSoftwareVersion="1")
    script.ask("versions 3, a bad software name", "ApiVersions", 3, ClientSoftwareName="be side",
               ClientSoftwareVersion="1")
    script.ask("versions 3, no software name", "ApiVersions", 3)
    script.ask_bytes("versions of the future", 18, 99, b"", ("ApiVersions", 0))
    script.ask_bytes("an unknown API", 999, 0, b"", ("ApiVersions", 0))
    script.ask_bytes("metadata of the future", 3, 99, b"\0", ("Metadata", 0), flexible=True)
    script.ask_bytes("metadata that is cut off", 3, 12, b"\7", ("Metadata", 12), flexible=True)
    script.ask_bytes("metadata with bytes behind it", 3, 1, b"\0\0\0\0more", ("Metadata", 1))
    script.ask_bytes("produce 0", 0, 0, b"\0\1\0\0\0\0\0\0\0\0", ("Produce", 3))
    script.ask_bytes("fetch 3", 1, 3, b"\0" * 21, ("Fetch", 4))


def metadata_of_nothing(script):
    script.ask("metadata 0 of all topics", "Metadata", 0, Topics=[])
    script.ask("metadata 1 of no topics", "Metadata", 1, Topics=[])
    script.ask("metadata 1 of all topics", "Metadata", 1, Topics=None)
    for version in (5, 9, 13):
        script.ask(f"metadata {version} of all topics", "Metadata", version, Topics=None)
    script.ask("metadata 8 with operations", "Metadata", 8, Topics=None, IncludeClusterAuthorizedOperations=True)
    script.ask("metadata 4 of an unknown topic", "Metadata", 4, Topics=[{"Name": "nowhere"}],
               AllowAutoTopicCreation=False)
    for name in ("", ".", "..", "a/b", "x" * 250):
        script.ask(f"metadata 9 of {name[:9]!r}", "Metadata", 9, Topics=[{"Name": name}], AllowAutoTopicCreation=True)
    script.ask("metadata 12 of an unknown id", "Metadata", 12, Topics=[{"TopicId": NOBODYS_ID, "Name": None}])
    script.ask("metadata 12 of no id and no name", "Metadata", 12, Topics=[{"Name": None}])
    script.ask("metadata 11 of an id", "Metadata", 11, Topics=[{"TopicId": NOBODYS_ID, "Name": None}])
    script.ask("metadata 12 of an id and a name", "Metadata", 12, Topics=[{"TopicId": NOBODYS_ID, "Name": "nowhere"}])


def describe_cluster(script):
    script.ask("cluster 0", "DescribeCluster", 0, IncludeClusterAuthorizedOperations=True)
    script.ask("cluster 1", "DescribeCluster", 1)
    script.ask("cluster 2 with fenced brokers", "DescribeCluster", 2, IncludeFencedBrokers=True)
    script.ask("cluster 1 of controllers", "DescribeCluster", 1, EndpointType=2)
    script.ask("cluster 1 of an unknown kind", "DescribeCluster", 1, EndpointType=9)


def log_directories(script):
    script.topic("logged", 2)
    for version in (1, 4):
        script.ask(f"log directories {version} of a topic", "DescribeLogDirs", version,
                   Topics=[{"Topic": "logged", "Partitions": [0, 1]}])
    script.ask("log directories of one partition", "DescribeLogDirs", 4,
               Topics=[{"Topic": "logged", "Partitions": [1]}])
    script.ask("log directories of unknown partitions", "DescribeLogDirs", 4,
               Topics=[{"Topic": "logged", "Partitions": [7]}, {"Topic": "nowhere", "Partitions": [0]}])
    script.ask("log directories of everything", "DescribeLogDirs", 4, Topics=None)
