"""chronik-server from outside: its command line, exit statuses, pages over HTTP, and the end of its life."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import program  # noqa: E402 (beside this file)

USAGE, DATA_DIRECTORY, LISTEN = 2, 3, 4


class CommandLine(unittest.TestCase):
    def refused(self, *arguments, **variables):
        done = program.run(*arguments, **variables)
        self.assertEqual(done.returncode, USAGE, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_help_and_version_exit_with_0(self):
        for arguments in (["--help"], ["start", "--help"], ["--version"], ["version"]):
            done = program.run(*arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(program.run("--version").stdout, r"^chronik \d+\.\d+\.\d+ \(.*\)\n$")
        self.assertEqual(program.run("--version").stdout, program.run("version").stdout)

    def test_a_bad_value_is_named_with_its_flag_and_what_is_right(self):
        self.assertEqual(self.refused("start", "--node-id", "one"),
                         "chronik-server: --node-id: 'one': must be a whole number from 0 to 2147483647\n")
        self.assertEqual(self.refused("start", "-l", "loud"),
                         "chronik-server: --log-level: 'loud': must be trace, debug, info, warn or error\n")
        self.assertIn("CHRONIK_BIND: 'x:y': must be HOST:PORT", self.refused("start", CHRONIK_BIND="x:y"))
        self.assertIn("--kafka-port: 'x': must be a whole number from 0 to 65535",
                      self.refused("standalone", "-p", "x"))
        self.assertIn("--config: '/nonesuch': must be a file", self.refused("start", "-c", "/nonesuch"))
        self.assertIn("CHRONIK_CONFIG: '/': must be a file", self.refused("start", CHRONIK_CONFIG="/"))

    def test_what_is_not_known_is_refused(self):
        self.assertIn("--nonsense", self.refused("start", "--nonsense"))
        self.assertIn("subcommand is required", self.refused())
        self.assertIn("belong to standalone", self.refused("-p", "1", "start"))
        self.assertIn("cluster: '': must be status, waits, add-node, remove-node or rebalance\n",
                      self.refused("cluster"))
        self.assertIn("cluster: 'statsu': must be status, ", self.refused("cluster", "statsu"))
        self.assertIn("--bogus", self.refused("cluster", "status", "--bogus"))
        self.assertIn("more", self.refused("cluster", "status", "more"))
        self.assertIn("--config: 'x': must be a file", self.refused("cluster", "status", "-c", "x"))
        self.assertIn("the nodes of the cluster are not known", self.refused("cluster", "status"))
        self.assertIn("--raft is required", self.refused("cluster", "add-node", "4", "--kafka", "h:1"))
        self.assertIn("--raft: 'h': must be HOST:PORT",
                      self.refused("cluster", "add-node", "4", "--kafka", "h:1", "--raft", "h"))
        self.assertIn("ID: 'four'", self.refused("cluster", "remove-node", "four", "--force"))
        self.assertIn("the nodes of the cluster are not known", self.refused("cluster", "rebalance"))
        self.assertIn("CHRONIK_CLUSTER_ENABLED: 'true': a cluster needs its nodes",
                      self.refused("start", CHRONIK_CLUSTER_ENABLED="true"))

    def test_a_configuration_file_is_refused_with_its_line(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "chronik.toml")
            for text, why in (
                    ("\n[broker]\nnum.partitions = 'many'\n", ":3: [broker] num.partitions = 'many': it must be"),
                    ("data_dri = 'x'\n", ":1: data_dri: 'x': there is no such setting; did you mean data_dir?"),
                    ("a = \n", ":1: not TOML: "),
                    ("[[peers]]\nid = 1\n", ":2: peer 1: kafka is missing: it must be HOST:PORT")):
                pathlib.Path(path).write_text(text, encoding="utf-8")
                self.assertIn(path + why, self.refused("start", "-c", path))


class Warnings(unittest.TestCase):
    def test_keys_of_the_predecessor_are_warned_about_once(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "chronik.toml")
            pathlib.Path(path).write_text("auto_recover = true\n", encoding="utf-8")
            with program.Server("-c", path, "--metrics-bind", "off") as server:
                self.assertEqual(re.findall(r"^.*predecessor.*$", server.read_log(), re.M),
                                 [f"chronik-server: keys of the predecessor have no effect: {path}:1: auto_recover"])
            with program.Server("--metrics-bind", "off") as server:
                self.assertNotIn("predecessor", server.read_log())


class Life(unittest.TestCase):
    def test_it_serves_says_so_and_ends_with_0_on_sigterm(self):
        with program.Server() as server:
            self.assertRegex(server.banner, r"^Chronik \d+\.\d+\.\d+, node 1, ready in ")
            self.assertIn(server.data, server.banner)
            status, text = server.get("/ready")
            self.assertEqual((status, text), (200, '{"ready":true,"state":"serving"}\n'))
            status, text = server.get("/health")
            self.assertEqual(status, 200)
            self.assertIn('"status":"ok"', text)
            self.assertEqual(server.get("/nonesuch")[0], 404)
            host, port = server.kafka.split(":")
            with socket.create_connection((host, int(port)), timeout=5):
                pass
            self.assertEqual(server.stop(), 0, server.read_log())
            self.assertNotIn("recovers", server.read_log())

    def test_its_metrics_count_what_happens(self):
        with program.Server() as server:
            before = server.metrics()
            self.assertEqual(before['chronik_produce_profile_active{profile="none"}'], 1)
            host, port = server.kafka.split(":")
            with socket.create_connection((host, int(port)), timeout=5) as stream:
                # ApiVersions, version 0, correlation id 7, no client id.
                stream.sendall(bytes.fromhex("0000000a" "0012" "0000" "00000007" "ffff"))
                self.assertEqual(stream.recv(8)[4:], bytes.fromhex("00000007"))
                after = server.metrics()
                self.assertEqual(after["chronik_requests_total"], before["chronik_requests_total"] + 1)
                self.assertEqual(after["chronik_connections"], 1)
            for name in ("chronik_wal_writes_total", "chronik_wal_bytes_written_total", "chronik_wal_fsync_total",
                         "chronik_wal_queue_depth", "chronik_wal_commit_batch_size_count",
                         "chronik_bytes_fetched_total", "chronik_wal_commit_duration_seconds_sum",
                         'chronik_produce_requests_total{result="error"}'):
                self.assertIn(name, after)

    def test_a_node_by_itself_has_admin_pages_where_it_is_asked_to(self):
        with program.Server("--admin-bind", "127.0.0.1:0") as server:
            server.http = re.search(r"admin +http://([^/]+)/admin/status", server.banner).group(1)
            status = json.loads(server.get("/admin/status")[1])
            self.assertEqual((status["node"], status["state"]), (1, "serving"))
            self.assertEqual((status["raft"]["role"], status["raft"]["voters"]), ("leader", [1]))
            self.assertEqual([broker["state"] for broker in status["brokers"]], ["live"])
            self.assertEqual(server.get("/metrics")[0], 404, "each port has its own pages")

    def test_an_idle_shard_is_not_woken(self):
        with program.Server() as server:
            first = server.metrics()["chronik_shard_turns_total"]
            subprocess.run(["sleep", "1"], check=True)
            self.assertLess(server.metrics()["chronik_shard_turns_total"] - first, 10)

    def test_a_second_process_on_the_same_directory_is_refused(self):
        with program.Server() as server:
            done = program.run("start", "-d", server.data, "--bind", "127.0.0.1:0")
            self.assertEqual(done.returncode, DATA_DIRECTORY)
            self.assertIn(f"data directory {server.data} is in use by another process", done.stderr)

    def test_an_address_that_is_taken_is_refused(self):
        with program.Server() as server, tempfile.TemporaryDirectory() as other:
            done = program.run("start", "-d", other, "--bind", server.kafka)
            self.assertEqual(done.returncode, LISTEN)
            self.assertIn(f"--bind: listen on {server.kafka}: Address already in use", done.stderr)
            done = program.run("start", "-d", other, "--bind", "127.0.0.1:0", "--metrics-bind", server.http)
            self.assertEqual(done.returncode, LISTEN)
            self.assertIn(f"--metrics-bind: cannot listen on {server.http}", done.stderr)
            done = program.run("start", "-d", other, "--bind", "nonesuch.invalid:0")
            self.assertEqual(done.returncode, LISTEN)
            self.assertIn("--bind: nonesuch.invalid", done.stderr)

    def test_settings_come_from_file_variables_and_flags(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "chronik.toml")
            pathlib.Path(path).write_text("node_id = 5\n[bind]\nmetrics = 'off'\n[produce]\nprofile = 'balanced'\n",
                                          encoding="utf-8")
            with program.Server("-c", path, "--node-id", "6", CHRONIK_NODE_ID="7", CHRONIK_WAL_PROFILE="small",
                                HOSTNAME="here") as server:
                self.assertIn("node 6,", server.banner)
                self.assertRegex(server.banner, r"http +off")
                self.assertIn("waiting up to 2 ms or for 10 batches (WAL profile low)", server.banner)

    def test_it_listens_by_name(self):
        try:
            socket.getaddrinfo("localhost", None)
        except socket.gaierror:
            self.skipTest("this machine does not know the name localhost")
        with program.Server("--bind", "localhost:0", "--metrics-bind", "localhost:0") as server:
            self.assertIn("clients are told localhost:", server.banner)
            self.assertEqual(server.get("/ready")[0], 200)

    def test_it_listens_on_ipv6(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6 here")
        with program.Server("--bind", "[::1]:0", "--metrics-bind", "[::1]:0") as server:
            port = re.search(r"]:(\d+)", server.kafka).group(1)
            with socket.create_connection(("::1", int(port)), timeout=5):
                pass
            self.assertEqual(server.get("/health")[0], 200)

    def test_the_old_form_starts_a_broker_with_its_flags_on_either_side(self):
        with program.Server("-p", "0", "--advertised-addr", "example.org", "--advertised-port", "7",
                            command="standalone") as server:
            self.assertIn("clients are told example.org:7", server.banner)
            self.assertEqual(server.stop(), 0)

    def test_bound_to_every_address_it_warns_and_tells_clients_its_host_name(self):
        with program.Server("--bind", "0.0.0.0:0", HOSTNAME="broker-1") as server:
            self.assertIn("clients are told broker-1:", server.banner)
            self.assertIn("without --advertise", server.read_log())

    def test_it_ends_with_0_on_sigint(self):
        with program.Server() as server:
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(server.process.wait(timeout=20), 0)


if __name__ == "__main__":
    unittest.main()
