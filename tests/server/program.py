"""Starts chronik-server for a test: on free ports, in a directory of its own."""
import http.client
import os
import re
import subprocess
import tempfile
import time

SERVER = os.environ["CHRONIK_SERVER"]
START_SECONDS = 20


def environment(**variables):
    """Ours without the variables of the broker or of the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHRONIK_") and name != "RUST_LOG"}
    return {**kept, **variables}


def run(*arguments, **variables):
    return subprocess.run([SERVER, *arguments], capture_output=True, text=True, timeout=30,
                          env=environment(**variables), check=False)


class Server:
    """A broker that serves; as a context manager it is killed at the end, if it has not ended by then."""

    def __init__(self, *arguments, data=None, command="start", **variables):
        self.directory = tempfile.TemporaryDirectory(prefix="chronik-test-")
        self.data = data or os.path.join(self.directory.name, "data")
        if not any(argument in arguments for argument in ("--bind", "-p")):
            arguments = ("--bind", "127.0.0.1:0", *arguments)
        self.log = open(os.path.join(self.directory.name, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([SERVER, "-d", self.data, command, *arguments], stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, env=environment(**variables))
        try:
            self.banner = self.read_banner()
        except BaseException:
            self.__exit__()
            raise
        self.kafka = re.search(r"kafka +([^,\s]+)", self.banner).group(1)
        http_at = re.search(r"http://(\S+)/metrics", self.banner)
        self.http = http_at.group(1) if http_at else None

    def read_banner(self):
        end = time.monotonic() + START_SECONDS
        text = ""
        while "durability" not in text:
            line = self.process.stdout.readline()
            if not line or time.monotonic() > end:
                raise AssertionError(f"the server did not start: {text}{self.read_log()}")
            text += line
        return text

    def read_log(self):
        self.log.seek(0)
        return self.log.read()

    def get(self, path):
        connection = http.client.HTTPConnection(self.http, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """Samples by their name with labels."""
        status, text = self.get("/metrics")
        assert status == 200, text
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}

    def stop(self):
        """Asks it to end, as a service manager does. Its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()
        self.directory.cleanup()
