#include "server/setting_names.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/base/check.h"
#include "server/cluster_settings.h"

namespace chronik::server {

namespace {

constexpr std::array<Setting, 32> kSettings{{
    {"-d,--data-dir", "CHRONIK_DATA_DIR", "data_dir", "./data", "Directory that holds all data", true},
    {"-l,--log-level", "CHRONIK_LOG_LEVEL", "log_level", "info", "trace, debug, info, warn or error", true},
    {"-c,--config", "CHRONIK_CONFIG", "", "", "Configuration file (TOML)"},
    {"--bind", "CHRONIK_BIND", "bind.kafka", "127.0.0.1:9092", "HOST[:PORT] to listen on; port 0 takes any free one"},
    {"--advertise", "CHRONIK_ADVERTISE", "advertise.kafka", "",
     "HOST[:PORT] that clients are told to connect to; without it, the bound address"},
    {"--node-id", "CHRONIK_NODE_ID", "node_id", "1", "Number of this node"},
    {"--metrics-bind", "CHRONIK_METRICS_BIND", "bind.metrics", "",
     "HOST[:PORT] of /metrics, /health and /ready, or off; without it, 127.0.0.1 and the Kafka port plus 4000, in a "
     "cluster 13000 plus the node's number"},
    {"--admin-bind", "CHRONIK_ADMIN_BIND", "bind.admin", "",
     "HOST[:PORT] of the admin pages, or off; without it, port 10000 plus the node's number in a cluster, else off"},
    {"", "CHRONIK_ADMIN_API_KEY", "admin_api_key", "",
     "Key that requests to the admin pages must carry in their header X-API-Key; without one, the pages are on this "
     "machine only"},
    {"", "CHRONIK_WAL_PROFILE", "wal.profile", "", "low, medium, high or ultra: limits of the write-ahead log"},
    {"", "CHRONIK_WAL_ROTATION_SIZE", "wal.rotation_size", "250MB", "Size of each file of the write-ahead log"},
    {"", "CHRONIK_PRODUCE_PROFILE", "produce.profile", "",
     "low-latency, balanced, high-throughput or extreme: how long a sync waits for more records"},
    {"", "CHRONIK_NETWORK_CONNECT_TIMEOUT_SECS", "timeouts.network_connect_secs", "5",
     "Seconds to connect to another node when forwarding a request"},
    {"", "CHRONIK_NETWORK_READ_TIMEOUT_SECS", "timeouts.network_read_secs", "60",
     "Seconds for another node to answer a forwarded request, on top of what the request itself may wait"},
    {"", "CHRONIK_NETWORK_WRITE_TIMEOUT_SECS", "timeouts.network_write_secs", "30",
     "Seconds for a client to take one answer; then its connection is closed"},
    {"", "CHRONIK_NETWORK_FRAME_TIMEOUT_SECS", "timeouts.network_frame_secs", "30",
     "Seconds from a request's length to its last byte; then its connection is closed"},
    {"", "CHRONIK_DISK_WRITE_TIMEOUT_SECS", "timeouts.disk_write_secs", "30",
     "Seconds for one round of writes to a segment; then the node exits"},
    {"", "CHRONIK_DISK_SYNC_TIMEOUT_SECS", "timeouts.disk_sync_secs", "60",
     "Seconds for one write and sync of the write-ahead log, or one sync of segments; then the node exits"},
    {"", "CHRONIK_RAFT_PROPOSAL_TIMEOUT_SECS", "timeouts.raft_proposal_secs", "10",
     "Seconds for a change of metadata to be committed and in force"},
    {"", "CHRONIK_RAFT_APPLY_TIMEOUT_SECS", "timeouts.raft_apply_secs", "5",
     "Seconds for what other nodes have committed to be in force here, where a request needs it"},
    {"", "CHRONIK_CLIENT_REQUEST_TIMEOUT_SECS", "timeouts.client_request_secs", "60",
     "Seconds for one request to be answered"},
    {"", "CHRONIK_CLUSTER_ENABLED", "enabled", "", "true or false: whether this node takes part in the peers' cluster"},
    {"", "CHRONIK_CLUSTER_PEERS", "peers", "", "HOST:KAFKA:WAL:RAFT,...: all nodes of the cluster, with ids from 1"},
    {"", "CHRONIK_REPLICATION_FACTOR", "replication_factor", "3", "Replicas of a topic that does not say how many"},
    {"", "CHRONIK_MIN_INSYNC_REPLICAS", "min_insync_replicas", "2",
     "Replicas that must hold a record before it is acknowledged with acks=all"},
    {"", "CHRONIK_FORWARD", "forward", "off",
     "on or off: whether this node forwards requests for partitions that other nodes lead"},
    {"--debug-faults", "CHRONIK_DEBUG_FAULTS", "debug_faults", "off",
     "on or off: POST /admin/debug/disk makes the disk stall, for a rehearsal; never in production"},
    {"", "", "auto_recover", "true", "Of the predecessor; has no effect, and must be true"},
    {"", "", "bind.raft", "", "HOST:PORT to listen on for other nodes; without it, the address of its own peer"},
    {"", "", "bind.wal", "", "Of the predecessor; has no effect"},
    {"", "", "advertise.raft", "", "Of the predecessor; has no effect"},
    {"", "", "advertise.wal", "", "Of the predecessor; has no effect"},
}};

// And `wal` of a peer. The one value that auto_recover may have is what happens without it.
constexpr std::array<std::string_view, 4> kUnusedKeys{"auto_recover", "bind.wal", "advertise.raft", "advertise.wal"};

// Kubernetes gives every container such variables for each service, also for one that is called chronik.
bool is_of_a_kubernetes_service(std::string_view name) {
  return name.find("_SERVICE_HOST") != std::string_view::npos || name.find("_SERVICE_PORT") != std::string_view::npos ||
         name.find("_PORT_") != std::string_view::npos || name.ends_with("_PORT");
}

}  // namespace

std::span<const Setting> settings_table() { return kSettings; }

std::string long_flag(const Setting& setting) {
  const std::size_t at = setting.flags.find("--");
  return at == std::string_view::npos ? "" : std::string(setting.flags.substr(at));
}

const Setting& setting_named(std::string_view name) {
  const auto found = std::find_if(kSettings.begin(), kSettings.end(), [&](const Setting& setting) {
    return !name.empty() && (name == setting.key || name == setting.variable || name == long_flag(setting));
  });
  CHECK(found != kSettings.end());
  return *found;
}

bool is_known_variable(std::string_view name) {
  return name == "RUST_LOG" || name == "HOSTNAME" || is_of_a_kubernetes_service(name) ||
         std::any_of(kSettings.begin(), kSettings.end(),
                     [&](const Setting& setting) { return setting.variable == name; });
}

bool is_known_key(std::string_view key) {
  return std::any_of(kSettings.begin(), kSettings.end(),
                     [&](const Setting& setting) { return !setting.key.empty() && setting.key == key; });
}

bool is_unused_key(std::string_view key) {
  return (is_peer_key(key) && key.ends_with(".wal")) ||
         std::find(kUnusedKeys.begin(), kUnusedKeys.end(), key) != kUnusedKeys.end();
}

std::string_view similar_key(std::string_view key) {
  for (const Setting& setting : kSettings) {
    if (!setting.key.empty() && looks_like(setting.key, key)) {
      return setting.key;
    }
  }
  return {};
}

Variables variables_of_process() {
  Variables variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = std::min(text.find('='), text.size() - 1);
    const std::string_view name = text.substr(0, equals);
    const std::string_view value = text.substr(equals + 1);
    if ((name.starts_with("CHRONIK_") || name == "RUST_LOG" || name == "HOSTNAME") && !value.empty()) {
      variables.emplace(name, value);
    }
  }
  return variables;
}

}  // namespace chronik::server
