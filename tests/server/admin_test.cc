// The admin port: where it is, what it says, and what `cluster status` makes of that.
#include <gtest/gtest.h>

#include "server/admin_json.h"
#include "server/cluster_status.h"
#include "server/http_client.h"
#include "server/settings.h"

namespace chronik::server {
namespace {

StatusOr<Settings> settings_of(const Variables& variables, std::string_view file) {
  const StatusOr<std::vector<FileValue>> values = parse_config(file, "chronik.toml");
  if (!values.ok()) {
    return values.status();
  }
  StatusOr<Resolved> resolved = resolve_settings({}, variables, *values);
  return resolved.ok() ? StatusOr<Settings>(resolved->settings) : resolved.status();
}
std::string admin_of(const Variables& variables, std::string_view file) {
  const StatusOr<Settings> settings = settings_of(variables, file);
  return !settings.ok()                ? message_of(settings.status())
         : settings->admin.has_value() ? settings->admin->to_string()
                                       : "off";
}
StatusOr<AdminAccess> access_of(const Variables& variables, std::string_view file) {
  const StatusOr<std::vector<FileValue>> values = parse_config(file, "chronik.toml");
  return values.ok() ? resolve_admin_access({}, variables, *values) : values.status();
}

const std::string kPeers =
    "[[peers]]\nid = 1\nkafka = 'a:1'\nraft = 'a:2'\n"
    "[[peers]]\nid = 2\nkafka = 'b:1'\nraft = 'b:2'\nadmin = '127.0.0.1:7'\n";
const std::string kFirst = "node_id = 1\n" + kPeers;

TEST(AdminSettings, WithoutAKeyThePortIsOnLoopbackOnly) {
  EXPECT_EQ(admin_of({}, ""), "off") << "a node by itself has none, unless it is asked for";
  EXPECT_EQ(admin_of({}, kFirst), "127.0.0.1:10001");
  EXPECT_EQ(admin_of({}, "node_id = 2\n" + kPeers), "127.0.0.1:7");
  EXPECT_EQ(admin_of({{"CHRONIK_ADMIN_BIND", "[::1]:8"}}, kFirst), "[::1]:8");
  EXPECT_EQ(admin_of({{"CHRONIK_ADMIN_BIND", "off"}}, kFirst), "off");
  EXPECT_EQ(admin_of({{"CHRONIK_ADMIN_BIND", "0.0.0.0:8"}}, kFirst),
            "CHRONIK_ADMIN_BIND: '0.0.0.0:8': must be an address of this machine only, such as 127.0.0.1, or "
            "CHRONIK_ADMIN_API_KEY must be set");
  EXPECT_EQ(admin_of({}, kFirst + "[bind]\nadmin = '127.evil.example:8'\n").find("chronik.toml:12: bind.admin: '"), 0u);
  const std::string far = "node_id = 3\n" + kPeers + "[[peers]]\nid = 3\nkafka = 'c:1'\nraft = 'c:2'\nadmin = 'c:3'\n";
  EXPECT_NE(admin_of({}, far).find("admin: 'c:3': must be an address of this machine only"), std::string::npos);
}

TEST(AdminSettings, WithAKeyItIsWhereClientsConnect) {
  const Variables key{{"CHRONIK_ADMIN_API_KEY", "secret"}};
  EXPECT_EQ(admin_of(key, kFirst), "a:10001");
  EXPECT_EQ(admin_of(key, kFirst + "[bind]\nkafka = '0.0.0.0:9'\n"), "0.0.0.0:10001");
  EXPECT_EQ(settings_of({}, "admin_api_key = 'k'\n" + kFirst)->admin_api_key, "k");
  for (const char* bad : {"a b", "\x01", "\xc3\xa9"}) {
    EXPECT_NE(admin_of({{"CHRONIK_ADMIN_API_KEY", bad}}, kFirst).find("must be 1 to 256 printable characters"),
              std::string::npos);
  }
  EXPECT_EQ(admin_of(key, ""),
            "CHRONIK_ADMIN_API_KEY: 'secret': there is no admin port here: --admin-bind says where it is");
}

TEST(AdminAccess, ANodesOwnPortIsAskedWhereItListensAndTheOthersWhereTheFileSays) {
  const StatusOr<AdminAccess> access = access_of({}, kFirst);
  ASSERT_TRUE(access.ok()) << access.status();
  ASSERT_EQ(access->peers.size(), 2u);
  ASSERT_EQ(access->peers[0].admin.size(), 2u);
  EXPECT_EQ(access->peers[0].admin[0].to_string(), "127.0.0.1:10001");
  EXPECT_EQ(access->peers[0].admin[1].to_string(), "a:10001");
  ASSERT_EQ(access->peers[1].admin.size(), 1u);
  EXPECT_EQ(access->peers[1].admin[0].to_string(), "127.0.0.1:7");
}

TEST(AdminAccess, WhoIsNoNodeNeedsNoNumber) {
  const StatusOr<AdminAccess> access =
      access_of({{"CHRONIK_CLUSTER_PEERS", "h:1:2:3,::1:4:5:6"}, {"CHRONIK_ADMIN_API_KEY", "k"}}, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->peers.at(1).admin.at(0).to_string(), "[::1]:10002");
  EXPECT_EQ(access->api_key, "k");
  EXPECT_NE(message_of(access_of({}, "").status()).find("the nodes of the cluster are not known"), std::string::npos);
  EXPECT_NE(message_of(access_of({}, "node_id = 9\n" + kPeers).status()).find("node_id: '9': must be the id of one"),
            std::string::npos);
}

node::NodeStatus status_of(std::int32_t node, std::int32_t leader) {
  node::NodeStatus status{.node = NodeId(node), .state = "serving", .cluster = "c", .partitions = {.all = 6}};
  status.raft = node::RaftStatus{.role = node == leader ? raft::Role::kLeader : raft::Role::kFollower,
                                 .term = Term(4),
                                 .leader = NodeId(leader),
                                 .commit = LogIndex(9),
                                 .applied = LogIndex(8),
                                 .log_end = LogIndex(10),
                                 .elections = 2,
                                 .voters = {NodeId(1), NodeId(2), NodeId(3)}};
  for (const std::int32_t broker : {1, 2, 3}) {
    status.brokers.push_back(
        {.node = NodeId(broker), .live = true, .epoch = BrokerEpoch(broker), .host = "h", .port = 9092});
  }
  return status;
}

TEST(AdminJson, WhatIsWrittenIsReadBack) {
  node::NodeStatus status = status_of(1, 2);
  status.brokers[2].live = false;
  status.partitions = {
      .all = 8, .offline = 7, .under_replicated = 6, .under_min_isr = 5, .led_uncleanly = 3, .led = 4, .followed = 1};
  const std::string text = status_json(status);
  const StatusOr<node::NodeStatus> read = parse_status_json(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(status_json(*read), text);
  EXPECT_NE(text.find("\"state\": \"fenced\""), std::string::npos) << text;
  status.raft.reset();
  status.cluster.reset();
  EXPECT_FALSE(parse_status_json(status_json(status))->raft.has_value());
}

TEST(AdminJson, AnythingElseIsRefused) {
  const std::string text = status_json(status_of(1, 2));
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    EXPECT_FALSE(parse_status_json(text.substr(0, size)).ok()) << size;
  }
  for (const char* other : {"", "null", "[]", "{}", "{\"node\":\"x\"}", "<html>"}) {
    EXPECT_FALSE(parse_status_json(other).ok()) << other;
  }
}

std::vector<NodeReport> three(const StatusOr<node::NodeStatus>& third) {
  std::vector<NodeReport> nodes;
  for (const std::int32_t node : {1, 2, 3}) {
    nodes.push_back({.peer = {.id = NodeId(node), .kafka = {"h", 9092}, .admin = {}}, .status = status_of(node, 2)});
  }
  nodes[2].status = third;
  return nodes;
}

TEST(ClusterReport, AClusterIsWholeByTheImageNotByWhoCouldBeAsked) {
  const ClusterReport report = report_on(three(absl::UnavailableError("h:10003: nobody answers there")));
  EXPECT_TRUE(report.whole) << report.text;
  EXPECT_NE(report.text.find("cluster c: whole\nleader      node 2, term 4\n"), std::string::npos) << report.text;
  EXPECT_NE(report.text.find("\n1     h:9092   live    follower  serving\n"), std::string::npos) << report.text;
  EXPECT_NE(report.text.find("not reached: h:10003: nobody answers there"), std::string::npos);
}

TEST(ClusterReport, TheLeadersViewGoesBeforeAnOlderOne) {
  std::vector<NodeReport> nodes = three(status_of(3, 2));
  nodes[1].status->brokers[2].live = false;
  nodes[1].status->partitions.under_replicated = 4;
  const ClusterReport report = report_on(nodes);
  EXPECT_FALSE(report.whole);
  EXPECT_NE(report.text.find("degraded\n  node 3 is fenced\n  4 partitions are under-replicated\n"), std::string::npos)
      << report.text;
}

TEST(ClusterReport, WithoutALeaderOrARegisteredBrokerItIsDegraded) {
  node::NodeStatus waiting{.node = NodeId(1), .state = "waiting for quorum (1 of 3)"};
  std::vector<NodeReport> nodes = three(absl::UnavailableError("x"));
  nodes[0].status = waiting;
  nodes[1].status = absl::UnavailableError("y");
  const ClusterReport report = report_on(nodes);
  EXPECT_FALSE(report.whole);
  EXPECT_NE(report.text.find("no leader of the metadata is known"), std::string::npos);
  EXPECT_NE(report.text.find("node 2 is not registered"), std::string::npos);
  EXPECT_NE(report.text.find("waiting for quorum (1 of 3)"), std::string::npos);
  nodes[0].status = absl::UnavailableError("z");
  EXPECT_EQ(report_on(nodes).text, "no node was reached:\n  node 1: z\n  node 2: y\n  node 3: x\n");
}

TEST(AdminHttp, WithoutTheKeyNothingIsTold) {
  const HttpServer::Pages pages{
      .get = {{"/p", [] { return HttpPage{.body = "told"}; }}},
      .post = {{"/q", [](const std::string& body) { return HttpPage{.status = 409, .body = body}; }}},
      .api_key = "key"};
  const auto server = HttpServer::start({.host = "127.0.0.1", .port = 0}, pages).value();
  const auto get = [&](const char* path, const char* key) {
    return http_get(server->address(), path, key, Duration::seconds(5)).value();
  };
  EXPECT_EQ(get("/p", "key").body, "told");
  EXPECT_EQ(get("/p", "key").status, 200);
  for (const char* wrong : {"", "kex", "ke", "keyy", "KEY"}) {
    EXPECT_EQ(get("/p", wrong).status, 401) << wrong;
    EXPECT_EQ(get("/p", wrong).body.find("told"), std::string::npos);
  }
  EXPECT_EQ(get("/none", "").status, 401) << "not even what there is";
  EXPECT_EQ(get("/none", "key").status, 404);
}

TEST(AdminHttp, WhereNobodyAnswersItSaysSo) {
  const HttpServer::Pages pages{.get = {}};
  const HostPort free = HttpServer::start({.host = "127.0.0.1", .port = 0}, pages).value()->address();
  EXPECT_EQ(message_of(http_get(free, "/p", "", Duration::seconds(5)).status()), "nobody answers there");
}

}  // namespace
}  // namespace chronik::server
