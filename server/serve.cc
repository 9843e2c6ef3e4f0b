#include "server/serve.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/node/node.h"
#include "runtime/shard_runtime.h"
#include "runtime/stderr_log.h"
#include "server/admin_json.h"
#include "server/admin_orders.h"
#include "server/banner.h"
#include "server/debug_pages.h"
#include "server/http_server.h"
#include "server/snapshot.h"
#include "server/version.h"

namespace chronik::server {

namespace {

constexpr ShardId kShard{0};
constexpr std::size_t kMailboxCapacity = 1024;
constexpr Duration kResolveTimeout = Duration::seconds(10);
constexpr Duration kAskTimeout = Duration::seconds(2);  // a shard that does not answer by then is stuck
constexpr Duration kOrderTimeout = Duration::seconds(10);

bool is_every_address(const Address& address) {
  Address four = Address::ipv4(0, 0, 0, 0, 0);
  return address.ip == four.ip || address.ip == Address{}.ip;
}

class Server {
 public:
  explicit Server(const Settings& settings)
      : settings_(settings), config_(settings.node), mailboxes_(kMailboxCapacity) {
    log_.set_level(settings.log_level);
  }

  ExitStatus run();

 private:
  ExitStatus fail(ExitStatus status, std::string_view why) {
    log_.write(LogLevel::kError, fmt::format("cannot start why={}", why));
    return status;
  }
  ExitStatus start_http();
  void log_waits();
  ExitStatus listen(std::unique_ptr<HttpServer>& server, const HostPort& at, const HttpServer::Pages& pages,
                    const char* what, const char* flag, bool asked_for);
  HttpPage metrics_page();
  HttpPage health_page();
  HttpPage ready_page();
  HttpPage admin_health_page();
  HttpPage admin_status_page();
  HttpPage order_page(const AdminOrder& carry_out, const std::string& body);
  HttpServer::Pages admin_pages();

  // ---- in the main fiber ----
  ExitStatus be_broker(Ports& ports, runtime::StopFlag& stop);
  StatusOr<Address> find_address(Network& network, const HostPort& host);
  void advertise(const Address& bound);
  ShardSnapshot take_snapshot(const node::Node& node, Wanted wanted) const;
  void add_samples(const node::Node& node, std::vector<MetricSample>& samples) const;
  void add_cluster_samples(const node::NodeStatus& status, std::vector<MetricSample>& samples) const;
  void announce(const node::Node& node, Duration took) const;

  const Settings& settings_;
  node::NodeConfig config_;
  runtime::StderrLog log_;
  runtime::Mailboxes mailboxes_;
  runtime::StallingCalls calls_;  // in use where settings_.debug_faults
  std::unique_ptr<runtime::ShardRuntime> shard_;
  std::optional<DebugPages> debug_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<HttpServer> admin_;
  const char* state_ = "starting";  // of the shard's thread, as is the next
  node::Node* node_ = nullptr;
};

ExitStatus Server::run() {
  const runtime::ShardOptions options{.data_directory = settings_.data_directory,
                                      .shard = kShard,
                                      .node = config_.node,
                                      .log = &log_,
                                      .calls = settings_.debug_faults ? &calls_ : nullptr};
  StatusOr<std::unique_ptr<runtime::ShardRuntime>> shard = runtime::ShardRuntime::open(options, mailboxes_);
  if (!shard.ok()) {
    return fail(ExitStatus::kDataDirectory, message_of(shard.status()));
  }
  shard_ = *std::move(shard);
  debug_.emplace(mailboxes_, *shard_, kShard, config_.node);
  const runtime::StopSignals signals(shard_->stop(), [this] { log_waits(); });
  debug_->be_asked_here();
  ExitStatus status = start_http();
  if (status != ExitStatus::kOk) {
    return status;
  }
  shard_->run([&](Ports& ports, fiber::FiberScope&) { status = be_broker(ports, shard_->stop().flag()); },
              runtime::ShardRuntime::Ending::kJoin);
  return status;
}

// ---- HTTP ----

ExitStatus Server::start_http() {
  ExitStatus status = ExitStatus::kOk;
  if (settings_.metrics.has_value()) {
    const HttpServer::Pages pages{.get = {{"/metrics", [this] { return metrics_page(); }},
                                          {"/health", [this] { return health_page(); }},
                                          {"/ready", [this] { return ready_page(); }}}};
    status = listen(http_, *settings_.metrics, pages, "metrics", "--metrics-bind", settings_.metrics_are_asked_for);
  }
  if (status == ExitStatus::kOk && settings_.admin.has_value()) {
    status =
        listen(admin_, *settings_.admin, admin_pages(), "admin pages", "--admin-bind", settings_.admin_is_asked_for);
  }
  return status;
}

HttpServer::Pages Server::admin_pages() {
  HttpServer::Pages pages{.get = {{"/admin/health", [this] { return admin_health_page(); }},
                                  {"/admin/status", [this] { return admin_status_page(); }},
                                  {"/admin/debug/waits", [this] { return debug_->waits(); }},
                                  {"/admin/debug/waits.json", [this] { return debug_->waits_json(); }}},
                          .post = {},
                          .api_key = settings_.admin_api_key};
  for (const auto& [path, carry_out] : admin_orders()) {
    pages.post[path] = [this, carry_out = carry_out](const std::string& body) { return order_page(carry_out, body); };
  }
  if (settings_.debug_faults) {
    pages.post["/admin/debug/disk"] = [this](const std::string& body) { return DebugPages::stall_disk(calls_, body); };
  }
  return pages;
}

// For SIGUSR1: on standard error, as JVMs do for SIGQUIT.
void Server::log_waits() {
  const HttpPage page = debug_->waits();
  log_.write(LogLevel::kInfo, fmt::format("SIGUSR1: what waits for what on node {}", config_.node.value()));
  std::fputs(page.body.c_str(), stderr);
  std::fflush(stderr);
}

ExitStatus Server::listen(std::unique_ptr<HttpServer>& server, const HostPort& at, const HttpServer::Pages& pages,
                          const char* what, const char* flag, bool asked_for) {
  StatusOr<std::unique_ptr<HttpServer>> started = HttpServer::start(at, pages);
  if (started.ok()) {
    server = *std::move(started);
    return ExitStatus::kOk;
  }
  if (asked_for) {
    return fail(ExitStatus::kListen, fmt::format("{}: {}", flag, message_of(started.status())));
  }
  log_.write(LogLevel::kWarn, fmt::format("{} are not served: {}; {} chooses another address", what,
                                          message_of(started.status()), flag));
  return ExitStatus::kOk;
}

HttpPage Server::metrics_page() {
  const std::optional<ShardSnapshot> snapshot = ask_shard(mailboxes_, kShard, Wanted::kMetrics, kAskTimeout);
  if (!snapshot.has_value()) {
    return {.status = 503, .body = "the shard does not answer\n"};
  }
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = prometheus_text(snapshot->metrics)};
}

HttpPage Server::health_page() {
  const std::optional<ShardSnapshot> snapshot = ask_shard(mailboxes_, kShard, Wanted::kState, kAskTimeout);
  return {.status = snapshot.has_value() ? 200 : 503,
          .content_type = "application/json",
          .body = fmt::format("{{\"status\":\"{}\",\"state\":\"{}\",\"version\":\"{}\"}}\n",
                              snapshot.has_value() ? "ok" : "stuck", snapshot.has_value() ? snapshot->state : "unknown",
                              version())};
}

HttpPage Server::ready_page() {
  const std::optional<ShardSnapshot> snapshot = ask_shard(mailboxes_, kShard, Wanted::kState, kAskTimeout);
  const bool ready = snapshot.has_value() && snapshot->serving;
  return {.status = ready ? 200 : 503,
          .content_type = "application/json",
          .body = fmt::format("{{\"ready\":{},\"state\":\"{}\"}}\n", ready,
                              snapshot.has_value() ? snapshot->state : "unknown")};
}

HttpPage Server::admin_health_page() {
  const std::optional<ShardSnapshot> snapshot = ask_shard(mailboxes_, kShard, Wanted::kState, kAskTimeout);
  return {
      .status = snapshot.has_value() ? 200 : 503,
      .content_type = "application/json",
      .body = fmt::format("{{\"status\":\"{}\",\"node\":{},\"state\":\"{}\"}}\n", snapshot.has_value() ? "ok" : "stuck",
                          settings_.node.node.value(), snapshot.has_value() ? snapshot->state : "unknown")};
}

HttpPage Server::admin_status_page() {
  const std::optional<ShardSnapshot> snapshot = ask_shard(mailboxes_, kShard, Wanted::kStatus, kAskTimeout);
  if (!snapshot.has_value() || !snapshot->status.has_value()) {
    return {
        .status = 503, .content_type = "application/json", .body = "{\"error\":\"the node's loop does not answer\"}\n"};
  }
  return {.content_type = "application/json", .body = status_json(*snapshot->status)};
}

HttpPage Server::order_page(const AdminOrder& carry_out, const std::string& body) {
  const std::optional<HttpPage> page = order_shard(
      mailboxes_, kShard,
      [this, &carry_out, body] {
        return node_ == nullptr ? HttpPage{.status = 503,
                                           .content_type = "application/json",
                                           .body = "{\"error\":\"this node does not run\"}\n"}
                                : carry_out(*node_, body, fiber::within(kOrderTimeout, Expiry::kPeer));
      },
      kOrderTimeout + kAskTimeout);
  return page.value_or(HttpPage{.status = 504,
                                .content_type = "application/json",
                                .body = "{\"error\":\"the node's loop does not answer: whether it is done is not "
                                        "known\"}\n"});
}

// ---- the main fiber ----

StatusOr<Address> Server::find_address(Network& network, const HostPort& host) {
  ASSIGN_OR_RETURN(const std::vector<Address> found,
                   network.resolve(host.host, *host.port, fiber::within(kResolveTimeout, Expiry::kPeer)));
  if (found.empty()) {
    return absl::NotFoundError(fmt::format("{} has no address", host.host));
  }
  // A recovery may take minutes: that the address is taken is said before. The node binds it for itself.
  RETURN_IF_ERROR(network.listen(found.front()).status());
  return found.front();
}

void Server::advertise(const Address& bound) {
  if (settings_.advertise.has_value()) {
    config_.advertised_host = settings_.advertise->host;
    config_.advertised_port = settings_.advertise->port.value_or(0);
  } else if (!is_every_address(bound)) {
    config_.advertised_host = settings_.bind.host;
  } else {
    config_.advertised_host = settings_.host_name.empty() ? "127.0.0.1" : settings_.host_name;
    log_warn("bound to every address without --advertise", field("clients_are_told", config_.advertised_host));
  }
}

ExitStatus Server::be_broker(Ports& ports, runtime::StopFlag& stop) {
  const MonotonicTime began = ports.clock.monotonic();
  const StatusOr<Address> address = find_address(ports.network, settings_.bind);
  if (!address.ok()) {
    return fail(ExitStatus::kListen, fmt::format("--bind: {}", message_of(address.status())));
  }
  if (settings_.cluster.has_value()) {
    const StatusOr<Address> raft = find_address(ports.network, settings_.raft_bind);
    if (!raft.ok()) {
      return fail(ExitStatus::kListen, fmt::format("bind.raft: {}", message_of(raft.status())));
    }
    config_.raft_bind = *raft;
  }
  config_.bind = *address;
  config_.log_directory = (std::filesystem::absolute(settings_.data_directory) / "logs").lexically_normal().string();
  advertise(*address);
  node::Node node(ports, config_);
  node_ = &node;
  const SnapshotService snapshots(ports.mailbox, [this, &node](Wanted wanted) { return take_snapshot(node, wanted); });
  ExitStatus status = ExitStatus::kOk;
  fiber::FiberScope stopper;
  stopper.spawn({"stopper"}, [&] {
    if (stop.wait(fiber::for_ever()).ok()) {
      node.cancel_start();
    }
  });
  const Status started = node.start();
  stopper.cancel_and_join();
  if (absl::IsCancelled(started)) {
    log_info("told to stop before it was ready");
  } else if (!started.ok()) {
    status = fail(ExitStatus::kDataDirectory, message_of(started));
  } else {
    state_ = "serving";
    announce(node, ports.clock.monotonic() - began);
    static_cast<void>(stop.wait(fiber::for_ever()));  // whatever ends the wait ends the broker
  }
  state_ = "stopping";
  log_info("stopping");
  const Status ended = node.stop();
  if (!ended.ok()) {
    // What did not end in time still uses what would be destroyed now.
    ports.process.fatal(status == ExitStatus::kOk ? ExitStatus::kDiskFailed : status,
                        "the stop was not clean; the next start recovers: " + message_of(ended));
  }
  return status;
}

ShardSnapshot Server::take_snapshot(const node::Node& node, Wanted wanted) const {
  const bool starting = std::string_view(state_) == "starting";
  ShardSnapshot snapshot{.serving = node.serving(), .state = starting ? node.state() : state_};
  if (wanted == Wanted::kState) {
    return snapshot;
  }
  node::NodeStatus status = node.status();
  status.state = snapshot.state;
  if (wanted == Wanted::kStatus) {
    snapshot.status = std::move(status);
    return snapshot;
  }
  add_samples(node, snapshot.metrics);
  add_cluster_samples(status, snapshot.metrics);
  std::vector<MetricSample> registered = sample_metrics(node.metrics());
  std::move(registered.begin(), registered.end(), std::back_inserter(snapshot.metrics));
  return snapshot;
}

void Server::add_samples(const node::Node& node, std::vector<MetricSample>& samples) const {
  using Kind = MetricSample::Kind;
  const auto add = [&](std::string name, std::string help, Kind kind, double value, std::string label = {}) {
    samples.push_back(
        {.name = std::move(name), .help = std::move(help), .label = std::move(label), .kind = kind, .value = value});
  };
  add("build_info", "Which version this is", Kind::kGauge, 1, fmt::format("version={}", version()));
  add("produce_profile_active", "Which produce profile is in force", Kind::kGauge, 1,
      fmt::format("profile={}", settings_.produce_profile == nullptr ? "none" : settings_.produce_profile->name));
  add("shard_turns_total", "Turns of the shard's loop", Kind::kCounter, static_cast<double>(shard_->loop().turns()));
  add("shard_turns_overdue_total", "Turns that took longer than 100 ms", Kind::kCounter,
      static_cast<double>(shard_->watchdog().overdue_turns()));
  if (!node.serving()) {
    return;
  }
  const log::RecoverySummary& recovery = node.recovery();
  add("recovery_replayed_bytes", "Bytes of the write-ahead log that the last start replayed", Kind::kGauge,
      static_cast<double>(recovery.bytes_replayed));
  add("recovery_duration_seconds", "How long the last start's recovery took", Kind::kGauge, recovery.took.seconds());
  add("connections", "Clients that are connected", Kind::kGauge, static_cast<double>(node.server().connections()));
  add("connections_accepted_total", "Clients that have connected", Kind::kCounter,
      static_cast<double>(node.server().accepted()));
}

// Also before there is anything to be said: a gauge that is missing raises other alarms than one that is 0.
void Server::add_cluster_samples(const node::NodeStatus& status, std::vector<MetricSample>& samples) const {
  const auto add = [&samples](const char* name, const char* help, auto value,
                              MetricSample::Kind kind = MetricSample::Kind::kGauge) {
    samples.push_back({.name = name, .help = help, .kind = kind, .value = static_cast<double>(value)});
  };
  const node::RaftStatus raft = status.raft.value_or(node::RaftStatus{});
  add("raft_term", "Term of the metadata's log", raft.term.value());
  add("raft_is_leader", "1 on the node that leads the metadata's log", raft.role == raft::Role::kLeader ? 1 : 0);
  add("raft_commit_index", "Index of the last metadata command that a quorum has", raft.commit.value());
  add("raft_last_applied", "Index of the last metadata command in force", raft.applied.value());
  add("raft_log_end_index", "Index of the last entry of the metadata's log here", raft.log_end.value());
  add("raft_election_count_total", "Terms in which this node stood for election", raft.elections,
      MetricSample::Kind::kCounter);
  const node::PartitionCounts& counts = status.partitions;
  add("leader_partitions", "Partitions that this node leads", counts.led);
  add("follower_partitions", "Partitions that this node follows another in", counts.followed);
  add("under_replicated_partitions", "Partitions led here with replicas that are not in sync",
      counts.led_under_replicated);
  add("under_min_isr_partitions", "Partitions led here that too few replicas are in sync with for acks=all",
      counts.led_under_min_isr);
  add("offline_partitions", "Partitions of the cluster that nobody leads", counts.offline);
  const auto live = static_cast<std::size_t>(std::count_if(
      status.brokers.begin(), status.brokers.end(), [](const node::BrokerStatus& broker) { return broker.live; }));
  add("brokers_live", "Brokers that are registered and not fenced", live);
  add("brokers_fenced", "Brokers that are registered and fenced", status.brokers.size() - live);
}

void Server::announce(const node::Node& node, Duration took) const {
  log_info("serving", field("address", node.address().to_string()));
  const Address bound = node.address();
  const HostPort advertised{.host = config_.advertised_host,
                            .port = config_.advertised_port == 0 ? bound.port : config_.advertised_port};
  const std::string text = banner({.settings = settings_,
                                   .listening = bound.to_string(),
                                   .advertised = advertised.to_string(),
                                   .http = http_ == nullptr ? "" : http_->address().to_string(),
                                   .admin = admin_ == nullptr ? "" : admin_->address().to_string(),
                                   .recovery = node.recovery(),
                                   .took = took});
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

ExitStatus serve(const Settings& settings) { return Server(settings).run(); }

}  // namespace chronik::server
