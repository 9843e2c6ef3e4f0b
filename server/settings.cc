#include "server/settings.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "core/cluster/config_defs.h"
#include "core/cluster/settings.h"
#include "server/setting_names.h"
#include "server/setting_sources.h"

namespace chronik::server {

namespace {

constexpr std::uint16_t kKafkaPort = 9092;
constexpr std::int32_t kMetricsPortDistance = 4000;  // 9092 -> 13092
constexpr std::int32_t kClusterMetricsPort = 13000;  // and the node's number
constexpr std::uint64_t kRotationBytesMin = 8'000'000;
constexpr std::uint64_t kRotationBytesMax = 100'000'000'000;
constexpr std::size_t kApiKeyBytesMax = 256;

StatusOr<std::optional<HostPort>> parse_bind_or_off(const std::string& text) {
  if (text == "off") {
    return std::optional<HostPort>();
  }
  const StatusOr<HostPort> parsed = parse_host_port(text);
  return parsed.ok() ? StatusOr<std::optional<HostPort>>(*parsed)
                     : absl::InvalidArgumentError(fmt::format("{}, or off", message_of(parsed.status())));
}

class Resolver {
 public:
  explicit Resolver(const SettingSources& sources) : sources_(sources) {}

  StatusOr<Resolved> resolve();
  StatusOr<AdminAccess> resolve_admin_access();

 private:
  Status read_general();
  Status read_cluster();
  StatusOr<bool> is_cluster(bool peers_are_told) const;
  Status read_replicas(ClusterSettings& cluster);
  StatusOr<std::vector<ClusterPeer>> read_peers() const;
  Status read_addresses();
  Status read_metrics_bind();
  Status read_admin_key();
  Status read_admin();
  std::optional<HostPort> default_admin() const;
  Status check_admin() const;
  Status read_wal();
  Status read_timeouts();
  std::string broker_line(std::string_view message) const;
  Status read_broker();

  SettingSources sources_;
  Resolved out_;
};

Status Resolver::read_general() {
  Settings& settings = out_.settings;
  settings.data_directory = setting_named("--data-dir").default_text;
  RETURN_IF_ERROR(sources_.read(
      "--data-dir",
      [](const std::string& text) -> StatusOr<std::string> {
        return text.empty() ? StatusOr<std::string>(absl::InvalidArgumentError("must be a directory")) : text;
      },
      settings.data_directory));
  if (!sources_.find("--log-level").has_value() && sources_.variables().contains("RUST_LOG")) {
    const std::string& text = sources_.variables().find("RUST_LOG")->second;
    const StatusOr<LogLevel> level = parse_log_level(text);
    if (!level.ok()) {
      return refuse("RUST_LOG", text, fmt::format("{}; CHRONIK_LOG_LEVEL overrides it", message_of(level.status())));
    }
    settings.log_level = *level;
  }
  RETURN_IF_ERROR(sources_.read("--log-level", parse_log_level, settings.log_level));
  RETURN_IF_ERROR(sources_.read("forward", parse_switch, settings.node.forward));
  return sources_.read(
      "--node-id",
      [](const std::string& text) -> StatusOr<NodeId> {
        ASSIGN_OR_RETURN(const std::int64_t id, parse_whole_number(text, 0, std::numeric_limits<std::int32_t>::max()));
        return NodeId(static_cast<std::int32_t>(id));
      },
      settings.node.node);
}

// ---- the cluster ----

StatusOr<bool> Resolver::is_cluster(bool peers_are_told) const {
  const std::optional<Source> enabled = sources_.find("enabled");
  if (enabled.has_value() && enabled->text != "true" && enabled->text != "false") {
    return refuse(enabled->name, enabled->text, "must be true or false");
  }
  if (enabled.has_value() && enabled->text == "true" && !peers_are_told) {
    return refuse(enabled->name, enabled->text,
                  "a cluster needs its nodes: [[peers]] in the file, or CHRONIK_CLUSTER_PEERS");
  }
  return peers_are_told && (!enabled.has_value() || enabled->text == "true");
}

StatusOr<std::vector<ClusterPeer>> Resolver::read_peers() const {
  const std::optional<Source> told = sources_.find("peers");
  if (told.has_value() && !sources_.variables().contains("CHRONIK_CLUSTER_PEERS")) {
    return refuse(told->name, told->text, "must be tables: [[peers]] with id, kafka and raft for each node");
  }
  return told.has_value() ? parse_peers(told->text, told->name) : peers_of_file(sources_.file());
}

Status Resolver::read_cluster() {
  Settings& settings = out_.settings;
  ASSIGN_OR_RETURN(std::vector<ClusterPeer> peers, read_peers());
  if (const std::optional<Source> recover = sources_.find("auto_recover");
      recover.has_value() && recover->text != "true") {
    return refuse(recover->name, recover->text, "must be true: a node always recovers what it can by itself");
  }
  ASSIGN_OR_RETURN(const bool cluster, is_cluster(!peers.empty()));
  if (!cluster) {
    for (const char* const name :
         {"replication_factor", "min_insync_replicas", "bind.raft", "bind.wal", "advertise.raft", "advertise.wal"}) {
      if (const std::optional<Source> source = sources_.find(name); source.has_value()) {
        return refuse(source->name, source->text, "it belongs to a cluster, and no peers are in force here");
      }
    }
    return ok();
  }
  if (peers.size() == 1) {
    return refuse(peers.front().where, peers.front().kafka.to_string(),
                  "a cluster has at least two nodes; a node by itself needs no peers");
  }
  if (!sources_.find("--node-id").has_value()) {
    return absl::InvalidArgumentError("node_id is missing: it must be the id of one of the peers");
  }
  RETURN_IF_ERROR(check_peers(peers, settings.node.node));
  ClusterSettings& in_force = settings.cluster.emplace();
  in_force.peers = std::move(peers);
  settings.raft_bind = in_force.self(settings.node.node).raft;
  RETURN_IF_ERROR(sources_.read(
      "bind.raft",
      [](const std::string& text) -> StatusOr<HostPort> {
        StatusOr<HostPort> address = parse_host_port(text);
        return address.ok() && !address->port.has_value() ? absl::InvalidArgumentError("must be HOST:PORT") : address;
      },
      settings.raft_bind));
  settings.node.raft_host = in_force.self(settings.node.node).raft.host;
  settings.node.raft_port = *in_force.self(settings.node.node).raft.port;
  for (const ClusterPeer& peer : in_force.peers) {
    if (peer.id != settings.node.node) {
      settings.node.peers.push_back({.node = peer.id, .host = peer.raft.host, .port = *peer.raft.port});
    }
  }
  return read_replicas(in_force);
}

Status Resolver::read_replicas(ClusterSettings& cluster) {
  const auto nodes = static_cast<std::int32_t>(cluster.peers.size());
  cluster.replication_factor = std::min(cluster.replication_factor, nodes);
  RETURN_IF_ERROR(sources_.read(
      "replication_factor",
      [nodes](const std::string& text) -> StatusOr<std::int32_t> {
        ASSIGN_OR_RETURN(const std::int64_t number, parse_whole_number(text, 1, nodes));
        return static_cast<std::int32_t>(number);
      },
      cluster.replication_factor));
  cluster.min_insync_replicas = std::min(cluster.min_insync_replicas, cluster.replication_factor);
  return sources_.read(
      "min_insync_replicas",
      [&cluster](const std::string& text) -> StatusOr<std::int32_t> {
        ASSIGN_OR_RETURN(const std::int64_t number, parse_whole_number(text, 1, cluster.replication_factor));
        return static_cast<std::int32_t>(number);
      },
      cluster.min_insync_replicas);
}

Status Resolver::read_addresses() {
  Settings& settings = out_.settings;
  settings.bind = *parse_host_port(setting_named("--bind").default_text);
  if (settings.cluster.has_value()) {
    settings.bind = settings.cluster->self(settings.node.node).kafka;
    settings.advertise = settings.bind;
  }
  RETURN_IF_ERROR(sources_.read("--bind", parse_host_port, settings.bind));
  settings.bind.port = settings.bind.port.value_or(kKafkaPort);
  if (const auto host_name = sources_.variables().find("HOSTNAME"); host_name != sources_.variables().end()) {
    settings.host_name = host_name->second;
  }
  RETURN_IF_ERROR(sources_.read("--advertise", parse_host_port, settings.advertise));
  if (settings.advertise.has_value() && settings.advertise->port == 0) {
    return refuse(sources_.find("--advertise")->name, sources_.find("--advertise")->text,
                  "must be a port that clients can connect to");
  }
  return ok();
}

Status Resolver::read_metrics_bind() {
  Settings& settings = out_.settings;
  const std::uint16_t port = *settings.bind.port;
  constexpr std::int32_t kPortMax = std::numeric_limits<std::uint16_t>::max();
  const std::int32_t wanted = settings.cluster.has_value() ? kClusterMetricsPort + settings.node.node.value()
                              : port == 0                  ? 0
                                                           : port + kMetricsPortDistance;
  const auto metrics_port = static_cast<std::uint16_t>(wanted <= kPortMax ? wanted : 0);
  settings.metrics = HostPort{.host = "127.0.0.1", .port = metrics_port};
  settings.metrics_are_asked_for = sources_.find("--metrics-bind").has_value();
  RETURN_IF_ERROR(sources_.read("--metrics-bind", parse_bind_or_off, settings.metrics));
  if (settings.metrics.has_value()) {
    settings.metrics->port = settings.metrics->port.value_or(metrics_port);
  }
  return ok();
}

// ---- the admin port ----

// With a key it is where clients connect, for an operator on another machine; without one on this machine.
std::optional<HostPort> Resolver::default_admin() const {
  const Settings& settings = out_.settings;
  if (!settings.cluster.has_value()) {
    return std::nullopt;
  }
  const ClusterPeer& self = settings.cluster->self(settings.node.node);
  return self.admin_is_told ? self.admin
                            : HostPort{.host = settings.admin_api_key.empty() ? "127.0.0.1" : settings.bind.host,
                                       .port = self.admin.port};
}

Status Resolver::read_admin_key() {
  return sources_.read(
      "admin_api_key",
      [](const std::string& text) -> StatusOr<std::string> {
        const bool good = !text.empty() && text.size() <= kApiKeyBytesMax &&
                          std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
        return good ? StatusOr<std::string>(text)
                    : absl::InvalidArgumentError(
                          fmt::format("must be 1 to {} printable characters without spaces", kApiKeyBytesMax));
      },
      out_.settings.admin_api_key);
}

Status Resolver::read_admin() {
  Settings& settings = out_.settings;
  settings.admin = default_admin();
  const bool told_by_peer = settings.cluster.has_value() && settings.cluster->self(settings.node.node).admin_is_told;
  settings.admin_is_asked_for = told_by_peer || sources_.find("--admin-bind").has_value();
  RETURN_IF_ERROR(sources_.read("--admin-bind", parse_bind_or_off, settings.admin));
  if (settings.admin.has_value()) {
    settings.admin->port = settings.admin->port.value_or(default_admin_port(settings.node.node));
  }
  RETURN_IF_ERROR(sources_.read("--debug-faults", parse_switch, settings.debug_faults));
  return check_admin();
}

Status Resolver::check_admin() const {
  const Settings& settings = out_.settings;
  if (!settings.admin.has_value()) {
    const std::optional<Source> key = sources_.find("admin_api_key");
    return key.has_value() ? refuse(key->name, key->text, "there is no admin port here: --admin-bind says where it is")
                           : ok();
  }
  if (!settings.admin_api_key.empty() || settings.admin->is_loopback()) {
    return ok();
  }
  const std::optional<Source> bind = sources_.find("--admin-bind");
  return refuse(bind.has_value() ? bind->name : settings.cluster->self(settings.node.node).where + ": admin",
                bind.has_value() ? bind->text : settings.admin->to_string(),
                "must be an address of this machine only, such as 127.0.0.1, or CHRONIK_ADMIN_API_KEY must be set");
}

Status Resolver::read_wal() {
  Settings& settings = out_.settings;
  RETURN_IF_ERROR(sources_.read("wal.profile", find_wal_profile, settings.wal_profile));
  RETURN_IF_ERROR(sources_.read("produce.profile", find_produce_profile, settings.produce_profile));
  std::uint64_t rotation_bytes = 0;
  RETURN_IF_ERROR(sources_.read(
      "wal.rotation_size",
      [](const std::string& text) -> StatusOr<std::uint64_t> {
        StatusOr<std::uint64_t> bytes = parse_size(text);
        if (!bytes.ok() || *bytes < kRotationBytesMin || *bytes > kRotationBytesMax) {
          return absl::InvalidArgumentError("must be a size from 8MB to 100GB, such as 250MB or 64MiB");
        }
        return bytes;
      },
      rotation_bytes));
  settings.node.logs.wal = wal_options(settings.wal_profile, settings.produce_profile, rotation_bytes);
  return ok();
}

Status Resolver::read_timeouts() {
  node::NodeConfig& node = out_.settings.node;
  node.logs.write_timeout = Duration::seconds(30);
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.network_connect_secs", node.node_connect));
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.network_read_secs", node.limits.node_answer));
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.network_write_secs", node.limits.write));
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.network_frame_secs", node.limits.frame));
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.raft_proposal_secs", node.metadata.proposal));
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.raft_apply_secs", node.metadata.apply));
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.client_request_secs", node.limits.request));
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.disk_write_secs", node.logs.write_timeout));
  RETURN_IF_ERROR(sources_.read_seconds("timeouts.disk_sync_secs", node.logs.wal.io_timeout));
  node.logs.file_timeout = node.logs.wal.io_timeout;
  return ok();
}

// Where the file says the first of the settings that `message` names.
std::string Resolver::broker_line(std::string_view message) const {
  const auto named = std::find_if(sources_.file().begin(), sources_.file().end(), [&](const FileValue& value) {
    return value.key.starts_with(kBrokerTable) &&
           message.find(value.key.substr(kBrokerTable.size())) != std::string_view::npos;
  });
  CHECK(named != sources_.file().end());  // the defaults go together
  return named->where;
}

Status Resolver::read_broker() {
  node::NodeConfig& node = out_.settings.node;
  for (const FileValue& value : sources_.file()) {
    if (!value.key.starts_with(kBrokerTable)) {
      continue;
    }
    const std::string name = value.key.substr(kBrokerTable.size());
    const Status checked = cluster::check_broker_config(name, value.text);
    if (!checked.ok()) {
      return absl::InvalidArgumentError(fmt::format("{}: [broker] {}", value.where, message_of(checked)));
    }
    node.broker[name] = value.text;
  }
  if (const Status together = cluster::check_broker_settings(node.broker); !together.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: [broker] {}", broker_line(message_of(together)), message_of(together)));
  }
  if (const std::optional<ClusterSettings>& cluster = out_.settings.cluster; cluster.has_value()) {
    node.broker.emplace("default.replication.factor", fmt::format("{}", cluster->replication_factor));
    node.broker.emplace("min.insync.replicas", fmt::format("{}", cluster->min_insync_replicas));
  }
  const cluster::ConfigLayers layers{.file = &node.broker};
  const std::uint64_t message_bytes = cluster::topic_settings(layers).max_message_bytes;
  if (message_bytes > node.logs.wal.record_bytes_max) {
    return absl::InvalidArgumentError(
        fmt::format("message.max.bytes: '{}': must be at most {}, the largest record that the write-ahead log takes; "
                    "CHRONIK_WAL_ROTATION_SIZE of four times as much, and a produce profile with twice as much memory, "
                    "take more, up to 33554432",
                    message_bytes, node.logs.wal.record_bytes_max));
  }
  return ok();
}

StatusOr<Resolved> Resolver::resolve() {
  RETURN_IF_ERROR(sources_.check_variables(out_.warnings));
  RETURN_IF_ERROR(sources_.check_keys(out_.warnings));
  RETURN_IF_ERROR(read_general());
  RETURN_IF_ERROR(read_cluster());
  RETURN_IF_ERROR(read_addresses());
  RETURN_IF_ERROR(read_metrics_bind());
  RETURN_IF_ERROR(read_admin_key());
  RETURN_IF_ERROR(read_admin());
  RETURN_IF_ERROR(read_wal());
  RETURN_IF_ERROR(read_timeouts());
  RETURN_IF_ERROR(read_broker());
  RETURN_IF_ERROR(wal::validate(out_.settings.node.logs.wal));
  return std::move(out_);
}

// A node's own port may be on loopback only, whatever its peers are told: there it is asked first.
StatusOr<AdminAccess> Resolver::resolve_admin_access() {
  RETURN_IF_ERROR(sources_.check_variables(out_.warnings));
  RETURN_IF_ERROR(sources_.check_keys(out_.warnings));
  ASSIGN_OR_RETURN(const std::vector<ClusterPeer> peers, read_peers());
  if (peers.empty()) {
    return absl::InvalidArgumentError(
        "the nodes of the cluster are not known: --config must be a file with [[peers]], or CHRONIK_CLUSTER_PEERS must "
        "be set");
  }
  RETURN_IF_ERROR(check_peers(peers));
  RETURN_IF_ERROR(read_admin_key());
  if (sources_.find("--node-id").has_value()) {
    RETURN_IF_ERROR(read_general());
    RETURN_IF_ERROR(read_cluster());
    RETURN_IF_ERROR(read_addresses());
    RETURN_IF_ERROR(read_admin());
  }
  AdminAccess access{.peers = {}, .api_key = out_.settings.admin_api_key};
  for (const ClusterPeer& peer : peers) {
    AdminPeer& added = access.peers.emplace_back(AdminPeer{.id = peer.id, .kafka = peer.kafka, .admin = {peer.admin}});
    if (out_.settings.cluster.has_value() && peer.id == out_.settings.node.node && out_.settings.admin.has_value() &&
        *out_.settings.admin != peer.admin) {
      added.admin.insert(added.admin.begin(), *out_.settings.admin);
    }
  }
  return access;
}

}  // namespace

StatusOr<Resolved> resolve_settings(const Flags& flags, const Variables& variables, std::span<const FileValue> file) {
  return Resolver(SettingSources(flags, variables, file)).resolve();
}

StatusOr<AdminAccess> resolve_admin_access(const Flags& flags, const Variables& variables,
                                           std::span<const FileValue> file) {
  return Resolver(SettingSources(flags, variables, file)).resolve_admin_access();
}

std::string config_file_name(const Flags& flags, const Variables& variables) {
  if (const auto flag = flags.find("--config"); flag != flags.end()) {
    return flag->second;
  }
  const auto variable = variables.find("CHRONIK_CONFIG");
  return variable == variables.end() ? "" : variable->second;
}

}  // namespace chronik::server
