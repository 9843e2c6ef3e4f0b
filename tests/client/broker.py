"""A real chronik-server for a test: started on a free port, stopped, killed, started again on the same data."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("CHRONIK_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build" / "release"))
SERVER = BUILD / "chronik-server"
# Where Debian's packages of the clients are; another python3 on the PATH may not see them.
SYSTEM_PYTHON = "/usr/bin/python3"


given_ports = set()


def free_port():
    """A port that nobody listens on, each once."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in given_ports:
            given_ports.add(port)
            return port


class Broker:
    def __init__(self, directory=None, program=SERVER, environment=None):
        self._own = None if directory else tempfile.TemporaryDirectory(prefix="chronik-test-")
        self.directory = pathlib.Path(directory or self._own.name)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.program = program
        self.environment = dict(os.environ, **(environment or {}))
        self.process = None
        self.log = self.directory / "server.log"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._own:
            self._own.cleanup()

    def start(self, seconds=20):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "start", "--data-dir", self.directory / "data", "--bind", self.address],
                stdout=log, stderr=log, env=self.environment)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.said()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise AssertionError(f"the server does not listen after {seconds} s:\n{self.said()}")

    def said(self):
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=20):
        """Asks it to end; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)


def run(*command, stdin=None, seconds=60):
    """A command's standard output, as bytes; an AssertionError with all it said if it fails or takes too long."""
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, timeout=seconds)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n"
                             f"{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def run_system_python(script, *arguments, seconds=60):
    """Runs Python text where Debian's client packages are installed."""
    return run(SYSTEM_PYTHON, "-c", script, *arguments, seconds=seconds)


def has_module(name):
    probe = subprocess.run([SYSTEM_PYTHON, "-c", f"import {name}"], capture_output=True)
    return probe.returncode == 0
