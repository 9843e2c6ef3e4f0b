"""What a client asks first: versions, brokers, topics."""


def run(script):
    for version in (0, 2):
        script.ask(f"versions {version}", "ApiVersions", version)
    for version in (3, 4):
        script.ask(f"versions {version}", "ApiVersions", version, ClientSoftwareName="beside", ClientSoftwareVersion="1")
    script.ask("versions 3, a bad software name", "ApiVersions", 3, ClientSoftwareName="be side",
               ClientSoftwareVersion="1")
    script.ask("versions 3, no software name", "ApiVersions", 3)
    script.ask_bytes("versions of the future", 18, 99, b"", ("ApiVersions", 0))
    script.ask_bytes("an unknown API", 999, 0, b"", ("ApiVersions", 0))
    script.ask_bytes("metadata of the future", 3, 99, b"", ("Metadata", 0), flexible=True)
