#include "server/settings.h"

#include <gtest/gtest.h>

#include <string>

namespace chronik::server {
namespace {

StatusOr<Resolved> resolve(const Flags& flags, const Variables& variables = {}, std::string_view file = {}) {
  const StatusOr<std::vector<FileValue>> values = parse_config(file, "chronik.toml");
  return values.ok() ? resolve_settings(flags, variables, *values) : values.status();
}

Settings good(const Flags& flags, const Variables& variables = {}, std::string_view file = {}) {
  const StatusOr<Resolved> resolved = resolve(flags, variables, file);
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return resolved.ok() ? resolved->settings : Settings{};
}

std::string refused(const Flags& flags, const Variables& variables = {}, std::string_view file = {}) {
  const StatusOr<Resolved> resolved = resolve(flags, variables, file);
  EXPECT_FALSE(resolved.ok());
  return message_of(resolved.status());
}

TEST(Settings, WithoutAnyTheBrokerListensOnLoopbackOnly) {
  const Settings settings = good({});
  EXPECT_EQ(settings.data_directory, "./data");
  EXPECT_EQ(settings.bind.to_string(), "127.0.0.1:9092");
  EXPECT_EQ(settings.metrics->to_string(), "127.0.0.1:13092");
  EXPECT_FALSE(settings.metrics_are_asked_for);
  EXPECT_FALSE(settings.advertise.has_value());
  EXPECT_EQ(settings.node.node, NodeId(1));
  EXPECT_EQ(settings.node.logs.wal.linger, Duration::zero());
}

TEST(Settings, AFlagGoesBeforeAVariableAVariableBeforeTheFileTheFileBeforeTheDefault) {
  const std::string file = "data_dir = 'file'\nlog_level = 'warn'\nnode_id = 4\n[bind]\nkafka = 'h:1'\n";
  const Variables variables{{"CHRONIK_DATA_DIR", "variable"}, {"CHRONIK_LOG_LEVEL", "error"}, {"CHRONIK_NODE_ID", "3"}};
  const Settings settings = good({{"--data-dir", "flag"}, {"--node-id", "2"}}, variables, file);
  EXPECT_EQ(settings.data_directory, "flag");
  EXPECT_EQ(settings.node.node, NodeId(2));
  EXPECT_EQ(settings.log_level, LogLevel::kError);
  EXPECT_EQ(settings.bind.to_string(), "h:1");
  EXPECT_EQ(good({}, variables, file).node.node, NodeId(3));
  EXPECT_EQ(good({}, {}, file).node.node, NodeId(4));
}

bool is_of_a_cluster(const Setting& setting) {
  for (const char* key : {"enabled", "peers", "replication_factor", "min_insync_replicas", "auto_recover", "bind.raft",
                          "bind.wal", "advertise.raft", "advertise.wal"}) {
    if (setting.key == key) {
      return true;
    }
  }
  return false;
}

TEST(Settings, EverySettingOfTheTableIsReadUnderEachOfItsNames) {
  // A value that no setting takes: whoever reads the setting refuses it, and names it as it was given.
  const std::string bad = "\t";
  for (const Setting& setting : settings_table()) {
    if (setting.variable == "CHRONIK_DATA_DIR" || setting.variable == "CHRONIK_CONFIG") {
      continue;  // any text is a name of a file
    }
    if (is_of_a_cluster(setting)) {
      continue;  // below
    }
    const std::string variable(setting.variable);
    EXPECT_EQ(refused({}, {{variable, bad}}).find(variable + ": '\t': must be"), 0u) << variable;
    const std::string file = std::string(setting.key) + " = \"\\t\"\n";
    EXPECT_EQ(refused({}, {}, file).find("chronik.toml:1: " + std::string(setting.key) + ": '\t': must be"), 0u)
        << setting.key;
    if (!setting.flags.empty()) {
      const std::string flag(setting.flags.substr(setting.flags.find("--")));
      EXPECT_EQ(refused({{flag, bad}}).find(flag + ": '\t': must be"), 0u) << flag;
    }
  }
}

TEST(Settings, ARefusalNamesTheSettingItsValueAndWhatWouldBeRight) {
  EXPECT_EQ(refused({{"--node-id", "-1"}}), "--node-id: '-1': must be a whole number from 0 to 2147483647");
  EXPECT_EQ(refused({}, {{"CHRONIK_LOG_LEVEL", "loud"}}),
            "CHRONIK_LOG_LEVEL: 'loud': must be trace, debug, info, warn or error");
  EXPECT_EQ(refused({{"--bind", "localhost:99999"}}),
            "--bind: 'localhost:99999': must be HOST:PORT with a port from 0 (any that is free) to 65535");
  EXPECT_EQ(refused({}, {{"CHRONIK_DISK_SYNC_TIMEOUT_SECS", "0"}}),
            "CHRONIK_DISK_SYNC_TIMEOUT_SECS: '0': must be a whole number from 1 to 86400, in seconds");
  EXPECT_EQ(refused({}, {{"CHRONIK_WAL_ROTATION_SIZE", "1MB"}}),
            "CHRONIK_WAL_ROTATION_SIZE: '1MB': must be a size from 8MB to 100GB, such as 250MB or 64MiB");
  EXPECT_EQ(refused({}, {}, "\n[broker]\nnum.partitions = 0\n"),
            "chronik.toml:3: [broker] num.partitions = '0': it must be a whole number from 1 to 10000");
}

TEST(Settings, AnUnknownKeyIsRefusedAndTheKnownOneThatIsMeantIsNamed) {
  EXPECT_EQ(refused({}, {}, "data_dri = 'x'\n"),
            "chronik.toml:1: data_dri: 'x': there is no such setting; did you mean data_dir?");
  EXPECT_NE(refused({}, {}, "[cache]\nsize = 1\n").find("chronik.toml:2: cache.size: '1': there is no such setting"),
            std::string::npos);
  EXPECT_NE(refused({}, {}, "[broker]\nno.such = 1\n").find("there is no broker setting 'no.such'"), std::string::npos);
}

TEST(Settings, WhatIsNotTomlIsRefusedWithItsLine) {
  EXPECT_EQ(refused({}, {}, "a = 1\nb = \n").find("chronik.toml:2: not TOML: "), 0u);
  EXPECT_EQ(refused({}, {}, "a = 1979-05-27\n").find("chronik.toml:1: a: must be a text, a number"), 0u);
}

TEST(Settings, ForwardingIsOffUntilItIsSwitchedOn) {
  EXPECT_FALSE(good({}, {}, "").node.forward);
  EXPECT_TRUE(good({}, {{"CHRONIK_FORWARD", "on"}}, "").node.forward);
  EXPECT_TRUE(good({}, {}, "forward = true\n").node.forward);
  EXPECT_FALSE(good({}, {{"CHRONIK_FORWARD", "off"}}, "forward = true\n").node.forward);
  EXPECT_EQ(refused({}, {{"CHRONIK_FORWARD", "1"}}), "CHRONIK_FORWARD: '1': must be on or off, true or false");
}

// ---- clusters ----

std::string peer(int id, const std::string& kafka, const std::string& raft) {
  return "[[peers]]\nid = " + std::to_string(id) + "\nkafka = '" + kafka + "'\nraft = '" + raft + "'\n";
}
const std::string kThreePeers = peer(1, "a:1", "a:2") + peer(2, "b:1", "b:2") + peer(3, "c:1", "c:2");

TEST(ClusterSettings, PeersMakeACluster) {
  const Settings settings = good({}, {}, "node_id = 2\n" + kThreePeers);
  ASSERT_TRUE(settings.cluster.has_value());
  EXPECT_EQ(settings.bind.to_string(), "b:1") << "its own peer's, where nothing else is said";
  EXPECT_EQ(settings.advertise->to_string(), "b:1");
  EXPECT_EQ(settings.raft_bind.to_string(), "b:2");
  EXPECT_EQ(settings.metrics->to_string(), "127.0.0.1:13002");
  ASSERT_EQ(settings.node.peers.size(), 2u);
  EXPECT_EQ(settings.node.peers[0].node, NodeId(1));
  EXPECT_EQ(settings.node.peers[1].host, "c");
  EXPECT_EQ(settings.node.peers[1].port, 2);
  EXPECT_EQ(settings.node.broker.at("default.replication.factor"), "3");
  EXPECT_EQ(settings.node.broker.at("min.insync.replicas"), "2");
}

TEST(ClusterSettings, PeersMayComeFromTheVariable) {
  const Settings settings = good({}, {{"CHRONIK_CLUSTER_PEERS", "a:1:2:3,::1:4:5:6"},
                                      {"CHRONIK_NODE_ID", "2"},
                                      {"CHRONIK_REPLICATION_FACTOR", "2"},
                                      {"CHRONIK_MIN_INSYNC_REPLICAS", "1"},
                                      {"CHRONIK_CLUSTER_ENABLED", "true"}});
  EXPECT_EQ(settings.bind.to_string(), "[::1]:4");
  EXPECT_EQ(settings.raft_bind.to_string(), "[::1]:6");
  EXPECT_EQ(settings.node.peers.at(0).port, 3);
  EXPECT_EQ(settings.node.broker.at("min.insync.replicas"), "1");
}

TEST(ClusterSettings, NobodyBindsWhatIsSaidOtherwise) {
  const Settings settings =
      good({{"--bind", "0.0.0.0:9"}}, {}, "node_id = 1\n" + kThreePeers + "[bind]\nraft = '0.0.0.0:8'\n");
  EXPECT_EQ(settings.bind.to_string(), "0.0.0.0:9");
  EXPECT_EQ(settings.raft_bind.to_string(), "0.0.0.0:8");
  EXPECT_EQ(settings.advertise->to_string(), "a:1");
}

TEST(ClusterSettings, ADisabledClusterIsANodeByItself) {
  const Settings settings = good({}, {}, "enabled = false\nnode_id = 1\n" + kThreePeers);
  EXPECT_FALSE(settings.cluster.has_value());
  EXPECT_TRUE(settings.node.peers.empty());
  good({}, {}, "enabled = false\n");
}

TEST(ClusterSettings, WhatIsWrongIsNamedWithItsLineAndWhatWouldBeRight) {
  const std::string one = "node_id = 1\n";
  EXPECT_EQ(refused({}, {}, "node_id = 4\n" + kThreePeers), "node_id: '4': must be the id of one of the peers");
  EXPECT_EQ(refused({}, {}, kThreePeers), "node_id is missing: it must be the id of one of the peers");
  EXPECT_EQ(refused({}, {}, one + peer(1, "a:1", "a:2") + peer(1, "b:1", "b:2")),
            "chronik.toml:7: peer 1 is there twice: each id must be there once");
  EXPECT_EQ(refused({}, {}, one + peer(1, "a:1", "a:2") + peer(2, "b:1", "a:1")),
            "chronik.toml:7: a:1 is an address of peers 1 and 2: each must have its own");
  EXPECT_EQ(refused({}, {}, one + peer(1, "a:1", "a:1") + peer(2, "b:1", "b:2")),
            "chronik.toml:3: peer 1: kafka and raft must be two addresses, and are a:1");
  EXPECT_EQ(refused({}, {}, one + peer(1, "a", "a:2") + peer(2, "b:1", "b:2")),
            "chronik.toml:4: kafka: 'a': must be HOST:PORT");
  EXPECT_EQ(refused({}, {}, one + "[[peers]]\nid = 1\nkafka = 'a:1'\n"),
            "chronik.toml:3: peer 1: raft is missing: it must be HOST:PORT");
  EXPECT_EQ(refused({}, {}, one + peer(1, "a:1", "a:2")),
            "chronik.toml:3: 'a:1': a cluster has at least two nodes; a node by itself needs no peers");
  EXPECT_EQ(refused({}, {}, "enabled = true\n"),
            "chronik.toml:1: enabled: 'true': a cluster needs its nodes: [[peers]] in the file, or "
            "CHRONIK_CLUSTER_PEERS");
  EXPECT_EQ(refused({}, {}, "replication_factor = 3\n"),
            "chronik.toml:1: replication_factor: '3': it belongs to a cluster, and no peers are in force here");
  EXPECT_EQ(refused({}, {}, "node_id = 1\nreplication_factor = 4\n" + kThreePeers),
            "chronik.toml:2: replication_factor: '4': must be a whole number from 1 to 3");
  EXPECT_EQ(refused({}, {}, "node_id = 1\nreplication_factor = 2\nmin_insync_replicas = 3\n" + kThreePeers),
            "chronik.toml:3: min_insync_replicas: '3': must be a whole number from 1 to 2");
  EXPECT_EQ(refused({}, {{"CHRONIK_CLUSTER_PEERS", "a:1:2"}}, ""),
            "CHRONIK_CLUSTER_PEERS: 'a:1:2': must be HOST:KAFKA:WAL:RAFT, a host and three ports, for each node");
  EXPECT_EQ(refused({}, {}, "auto_recover = false\n"),
            "chronik.toml:1: auto_recover: 'false': must be true: a node always recovers what it can by itself");
}

TEST(Settings, AnUnknownVariableIsWarnedAboutUnlessKubernetesMadeIt) {
  const StatusOr<Resolved> resolved =
      resolve({}, {{"CHRONIK_WAL_PROFLE", "low"}, {"CHRONIK_SERVICE_HOST", "10.0.0.1"}, {"CHRONIK_PORT", "tcp://x"}});
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->warnings, (std::vector<std::string>{"the variable CHRONIK_WAL_PROFLE has no meaning here"}));
}

TEST(ClusterSettings, KeysOfThePredecessorAreWarnedAboutInOneLine) {
  const std::string file = "node_id = 1\nauto_recover = true\n" + kThreePeers + "wal = 'c:3'\n[bind]\nwal = 'a:3'\n" +
                           "raft = '0.0.0.0:8'\n[advertise]\nwal = 'a:3'\nraft = 'a:2'\n";
  const StatusOr<Resolved> resolved = resolve({}, {}, file);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->warnings,
            (std::vector<std::string>{"keys of the predecessor have no effect: chronik.toml:21: advertise.raft, "
                                      "chronik.toml:20: advertise.wal, chronik.toml:2: auto_recover, "
                                      "chronik.toml:17: bind.wal, chronik.toml:15: peers.2.wal"}));
  EXPECT_TRUE(resolve({}, {}, "node_id = 1\n" + kThreePeers)->warnings.empty());
}

TEST(Settings, TheLogLevelMayComeFromRustsVariable) {
  EXPECT_EQ(good({}, {{"RUST_LOG", "debug"}}).log_level, LogLevel::kDebug);
  EXPECT_EQ(good({}, {{"RUST_LOG", "debug"}, {"CHRONIK_LOG_LEVEL", "warn"}}).log_level, LogLevel::kWarn);
  EXPECT_EQ(good({{"--log-level", "WARN"}}, {{"RUST_LOG", "a=b,c"}}).log_level, LogLevel::kWarn);
  EXPECT_EQ(refused({}, {{"RUST_LOG", "chronik=debug"}}),
            "RUST_LOG: 'chronik=debug': must be trace, debug, info, warn or error; CHRONIK_LOG_LEVEL overrides it");
}

TEST(Settings, AddressesAreNamesOrNumbersOfEitherKind) {
  EXPECT_EQ(good({{"--bind", "[::1]:9093"}}).bind.to_string(), "[::1]:9093");
  EXPECT_EQ(good({{"--bind", "::1"}}).bind.to_string(), "[::1]:9092");
  EXPECT_EQ(good({{"--bind", "broker-1"}}).bind.to_string(), "broker-1:9092");
  EXPECT_EQ(good({{"--bind", "0.0.0.0:9095"}}).metrics->to_string(), "127.0.0.1:13095");
  EXPECT_EQ(good({{"--advertise", "example.org"}}).advertise->to_string(), "example.org");
  EXPECT_FALSE(good({{"--metrics-bind", "off"}}).metrics.has_value());
  EXPECT_EQ(good({{"--metrics-bind", "0.0.0.0"}}).metrics->to_string(), "0.0.0.0:13092");
  for (const char* bad : {"", ":9092", "a:b", "[::1", "a b", "h:-1", "http://x"}) {
    EXPECT_NE(refused({{"--bind", bad}}).find("must be HOST"), std::string::npos) << bad;
  }
}

TEST(Settings, WalProfilesAreBoundsAndDelayNothing) {
  const wal::WalOptions low = good({}, {{"CHRONIK_WAL_PROFILE", "container"}}).node.logs.wal;
  EXPECT_EQ(low.batch_records_max, 500u);
  EXPECT_EQ(low.batch_bytes_max, 5'000'000u);
  EXPECT_EQ(low.queue_records_max, 2'500u);
  EXPECT_EQ(low.linger, Duration::zero());
  const wal::WalOptions ultra = good({}, {{"CHRONIK_WAL_PROFILE", "ultra"}}).node.logs.wal;
  EXPECT_EQ(ultra.batch_bytes_max, 100'000'000u);
  EXPECT_EQ(ultra.rotation_bytes, 512'000'000u);
  EXPECT_GE(ultra.queue_bytes_max, ultra.batch_bytes_max);
}

TEST(Settings, AProduceProfileLingersNoLongerThanTheWalProfileAllows) {
  const Variables bulk{{"CHRONIK_PRODUCE_PROFILE", "bulk"}};
  EXPECT_EQ(good({}, bulk).node.logs.wal.linger, Duration::milliseconds(50));
  EXPECT_EQ(good({}, bulk).node.logs.wal.linger_records, 100u);
  EXPECT_EQ(good({}, bulk).node.logs.wal.queue_bytes_max, 128'000'000u);
  EXPECT_EQ(good({}, {{"CHRONIK_PRODUCE_PROFILE", "bulk"}, {"CHRONIK_WAL_PROFILE", "medium"}}).node.logs.wal.linger,
            Duration::milliseconds(10));
}

TEST(Settings, OnlyTheProfileOfLowLatencyNeverDelaysACommit) {
  EXPECT_GT(good({}, {}).node.logs.wal.commit_delay_max, Duration::zero());
  EXPECT_GT(good({}, {{"CHRONIK_PRODUCE_PROFILE", "bulk"}}).node.logs.wal.commit_delay_max, Duration::zero());
  EXPECT_EQ(good({}, {{"CHRONIK_PRODUCE_PROFILE", "realtime"}}).node.logs.wal.commit_delay_max, Duration::zero());
}

TEST(Settings, EveryPairOfProfilesMakesALogThatCanBeOpened) {
  for (const char* wal : {"low", "medium", "high", "ultra"}) {
    for (const char* produce : {"low-latency", "balanced", "high-throughput", "extreme"}) {
      for (const char* rotation : {"8MB", "250MB", "100GB"}) {
        const Settings settings = good({}, {{"CHRONIK_WAL_PROFILE", wal},
                                            {"CHRONIK_PRODUCE_PROFILE", produce},
                                            {"CHRONIK_WAL_ROTATION_SIZE", rotation}});
        EXPECT_TRUE(wal::validate(settings.node.logs.wal).ok()) << wal << ' ' << produce << ' ' << rotation;
      }
    }
  }
}

TEST(Settings, TimeoutsReachWhatTheyBound) {
  const Settings settings = good({}, {{"CHRONIK_NETWORK_WRITE_TIMEOUT_SECS", "1"},
                                      {"CHRONIK_NETWORK_FRAME_TIMEOUT_SECS", "2"},
                                      {"CHRONIK_CLIENT_REQUEST_TIMEOUT_SECS", "3"},
                                      {"CHRONIK_DISK_WRITE_TIMEOUT_SECS", "4"},
                                      {"CHRONIK_DISK_SYNC_TIMEOUT_SECS", "5"},
                                      {"CHRONIK_NETWORK_CONNECT_TIMEOUT_SECS", "6"},
                                      {"CHRONIK_NETWORK_READ_TIMEOUT_SECS", "7"},
                                      {"CHRONIK_RAFT_PROPOSAL_TIMEOUT_SECS", "8"},
                                      {"CHRONIK_RAFT_APPLY_TIMEOUT_SECS", "9"}});
  EXPECT_EQ(settings.node.limits.write, Duration::seconds(1));
  EXPECT_EQ(settings.node.limits.frame, Duration::seconds(2));
  EXPECT_EQ(settings.node.limits.request, Duration::seconds(3));
  EXPECT_EQ(settings.node.logs.write_timeout, Duration::seconds(4));
  EXPECT_EQ(settings.node.logs.file_timeout, Duration::seconds(5));
  EXPECT_EQ(settings.node.logs.wal.io_timeout, Duration::seconds(5));
  EXPECT_EQ(settings.node.node_connect, Duration::seconds(6));
  EXPECT_EQ(settings.node.limits.node_answer, Duration::seconds(7));
  EXPECT_EQ(settings.node.metadata.proposal, Duration::seconds(8));
  EXPECT_EQ(settings.node.metadata.apply, Duration::seconds(9));
}

TEST(Settings, TimeoutsOfTheFileHaveTheVariablesMeaning) {
  const Settings settings = good({}, {},
                                 "[timeouts]\nnetwork_connect_secs = 6\nnetwork_read_secs = 7\n"
                                 "raft_proposal_secs = 8\nraft_apply_secs = 9\n");
  EXPECT_EQ(settings.node.node_connect, Duration::seconds(6));
  EXPECT_EQ(settings.node.limits.node_answer, Duration::seconds(7));
  EXPECT_EQ(settings.node.metadata.proposal, Duration::seconds(8));
  EXPECT_EQ(settings.node.metadata.apply, Duration::seconds(9));
  const Settings usual = good({});
  EXPECT_EQ(usual.node.node_connect, Duration::seconds(5));
  EXPECT_EQ(usual.node.limits.node_answer, Duration::seconds(60));
  EXPECT_EQ(usual.node.metadata.proposal, Duration::seconds(10));
  EXPECT_EQ(usual.node.metadata.apply, Duration::seconds(5));
}

TEST(Settings, BrokerSettingsOfTheFileKeepKafkasNames) {
  const Settings settings =
      good({}, {}, "[broker]\nnum.partitions = 6\n'auto.create.topics.enable' = false\nlog.retention.ms = '7000'\n");
  EXPECT_EQ(settings.node.broker,
            (cluster::ConfigMap{
                {"auto.create.topics.enable", "false"}, {"log.retention.ms", "7000"}, {"num.partitions", "6"}}));
}

TEST(Settings, TimesOfTheFileMustBeInRangeAndGoTogether) {
  EXPECT_EQ(refused({}, {}, "[broker]\nreplica.fetch.wait.max.ms = 0\n"),
            "chronik.toml:2: [broker] replica.fetch.wait.max.ms = '0': it must be a whole number from 10 to 3600000");
  EXPECT_EQ(refused({}, {}, "[broker]\nnum.partitions = 1\nbroker.heartbeat.interval.ms = 600\n"),
            "chronik.toml:3: [broker] controller.quorum.election.timeout.ms = '1000': it must be at least twice "
            "broker.heartbeat.interval.ms, which is 600");
  EXPECT_EQ(good({}, {}, "[broker]\nbroker.session.timeout.ms = 9000\n").node.broker.at("broker.session.timeout.ms"),
            "9000");
}

TEST(Settings, AMessageMustFitIntoTheWriteAheadLog) {
  const std::string file = "[broker]\nmessage.max.bytes = 10000000\n";
  good({}, {}, file);
  EXPECT_EQ(refused({}, {{"CHRONIK_WAL_ROTATION_SIZE", "8MB"}}, file).find("message.max.bytes: '10000000': must be"),
            0u);
}

TEST(Values, SizesAndTimesHaveUnits) {
  EXPECT_EQ(*parse_size("250MB"), 250'000'000u);
  EXPECT_EQ(*parse_size("64kib"), 65'536u);
  EXPECT_EQ(*parse_size("12"), 12u);
  EXPECT_EQ(*parse_duration("1500ms"), Duration::milliseconds(1500));
  EXPECT_EQ(*parse_duration("2h"), Duration::seconds(7200));
  EXPECT_EQ(*parse_duration("0"), Duration::zero());
  for (const char* bad : {"", "MB", "1 MB", "1XB", "-1", "99999999999GB"}) {
    EXPECT_FALSE(parse_size(bad).ok()) << bad;
  }
  for (const char* bad : {"", "s", "60", "1.5s", "-1s", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace chronik::server
