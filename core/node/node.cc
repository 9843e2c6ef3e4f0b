#include "core/node/node.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"

namespace chronik::node {

namespace {

constexpr const char* kListenerName = "PLAINTEXT";

// As the file says. What can be altered while the broker runs is followed in follow_settings().
cluster::BrokerSettings settings_of(const NodeConfig& config) {
  return cluster::broker_settings({.file = &config.broker});
}

broker::Limits limits_of(const NodeConfig& config) {
  const cluster::BrokerSettings settings = settings_of(config);
  broker::Limits limits = config.limits;
  limits.frame_bytes_max = static_cast<std::int32_t>(settings.request_bytes_max);
  limits.fetch_bytes_max = static_cast<std::int32_t>(settings.fetch_bytes_max);
  limits.idle = settings.connection_idle_max;
  limits.fetch_sessions_max = settings.fetch_sessions_max;
  return limits;
}

log::StoredLogsOptions log_options_of(const NodeConfig& config) {
  log::StoredLogsOptions options = config.logs;
  const cluster::BrokerSettings settings = settings_of(config);
  options.retention_interval = settings.retention_check_interval;
  options.producer_expiry = settings.producer_expiry;
  options.cleaner = {.enabled = settings.cleaner.enabled,
                     .backoff = settings.cleaner.backoff,
                     .bytes_per_second = settings.cleaner.bytes_per_second,
                     .dedupe_bytes_max = settings.cleaner.dedupe_bytes_max};
  return options;
}

// What another node may take. Links that are always wanted are given up sooner by themselves: a new attempt finds it
// sooner than one to a machine that was not there when it began.
raft::GroupOptions group_options_of(const NodeConfig& config) {
  const cluster::TimingSettings timing = settings_of(config).timing;
  raft::GroupOptions options{.self = {}, .links = {}, .driver = config.raft};
  options.links.connect = std::min(options.links.connect, config.node_connect);
  options.links.frame = std::min(options.links.frame, config.limits.node_answer);
  options.driver.raft.heartbeat = timing.heartbeat;
  options.driver.raft.election_min = timing.election_min;
  options.driver.raft.election_max = timing.election_max;
  options.links.bind = config.raft_bind;
  options.links.peers = config.peers;
  return options;
}

replication::ReplicationOptions replication_options_of(const NodeConfig& config) {
  const cluster::BrokerSettings settings = settings_of(config);
  const cluster::TimingSettings& timing = settings.timing;
  replication::ReplicationOptions options = config.replication;
  options.catch_up_share = settings.catch_up_share;
  options.lag_max = timing.lag_max;
  options.fetch.wait = timing.fetch_wait_max;
  options.isolated_after = timing.session + timing.election_max;
  options.fetch.connect = std::min(options.fetch.connect, config.node_connect);
  options.fetch.request = std::min(options.fetch.request, config.limits.node_answer);
  return options;
}

}  // namespace

Node::Node(const Ports& ports, const NodeConfig& config)
    : ports_(ports),
      config_(config),
      limits_(limits_of(config)),
      stuck_after_(replication_options_of(config).lag_max / 2) {}

Node::~Node() = default;

Status Node::start() {
  Status started = start_parts();
  if (!started.ok() && !absl::IsAborted(started) && server_ != nullptr) {
    server_->stop();
  }
  return started;
}

Status Node::start_parts() {
  const Deadline deadline(scope_.scheduler().now() + config_.start_timeout, Expiry::kPeer, starting_);
  // The other nodes may be started whenever somebody likes.
  const Deadline for_others =
      config_.peers.empty() ? deadline : Deadline(MonotonicTime::never(), Expiry::kNormal, starting_);
  ASSIGN_OR_RETURN(identity_, raft::open_identity(ports_.store, ports_.random, deadline));
  logs_ = std::make_unique<log::StoredLogs>(ports_, log_options_of(config_));
  ASSIGN_OR_RETURN(recovery_, logs_->open(deadline));
  sim_pause("node.logs_recovered");
  logs_->start();
  logs_->wal_metrics().add_to(metrics_);
  metrics_.add("log_lost_total", "Replicas whose logs were not there any more at the start", lost_logs_);
  metrics_.add("log_damaged_partitions", "Partitions of which some offsets are damaged here and answer an error",
               logs_->damaged_partitions());
  logs_->cleaner_metrics().add_to(metrics_);

  server_ = std::make_unique<broker::Server>(ports_.network, limits_, reception_);
  RETURN_IF_ERROR(server_->listen(config_.bind));
  server_->start();
  phase_ = Phase::kForming;
  RETURN_IF_ERROR(open_metadata(for_others));
  phase_ = Phase::kRegistering;
  RETURN_IF_ERROR(check_directory());
  if (logs_->assigned() == LogIndex::none()) {
    // Durable before anything can be placed here: from then on a log that is not there is a lost one (R12).
    if (!logs_->note_assigned(metadata_->image()->applied)) {
      return absl::ResourceExhaustedError("no room in the write-ahead log");
    }
    RETURN_IF_ERROR(logs_->wait_durable(deadline));
  }

  replication_ = std::make_unique<replication::Replication>(ports_.network, *metadata_, *logs_, config_.node,
                                                            replication_options_of(config_));
  replication_->register_metrics(metrics_);
  table_ = std::make_unique<broker::PartitionTable>(*logs_, *replication_, config_.node, config_.broker);
  if (config_.forward) {
    broker::ForwardingOptions options = config_.forwarding;
    options.connect = config_.node_connect;
    forwarding_ = std::make_unique<broker::Forwarding>(ports_.network, *metadata_, config_.node, limits_, options);
  }
  broker_ = std::make_unique<broker::Broker>(
      ports_, broker::BrokerIdentity{.node = config_.node, .log_directory = config_.log_directory}, limits_,
      config_.broker, *metadata_, *logs_, *replication_, *table_, forwarding_.get());
  broker_->note_bound(server_->address());
  metadata_->subscribe(*this);
  sim_pause("node.before_register");
  RETURN_IF_ERROR(register_broker(for_others));
  RETURN_IF_ERROR(reconcile());
  sim_pause("node.before_serving");
  // Everything that was created just now is durable before the first answer relies on it.
  RETURN_IF_ERROR(logs_->wait_durable(deadline));
  scope_.spawn({"log-remover", 0}, [this] { remove_logs(); });
  scope_.spawn({"log-maker", 0}, [this] { make_missing_logs(); });
  broker_->metrics().register_in(metrics_);
  broker_->fetch_sessions().metrics().register_in(metrics_);
  broker_->groups().metrics().register_in(metrics_);
  replication_->start();
  serving_ = true;
  reception_.admit(*broker_);
  broker_->follow_groups();
  return ok();
}

// When it returns, the image holds everything that was ever committed.
Status Node::open_metadata(const Deadline& deadline) {
  raft::GroupOptions options = group_options_of(config_);
  options.self = {.node = config_.node, .directory = identity_.directory};
  options.driver.raft.seed = ports_.random.next();
  options.address = {.node = config_.node, .host = config_.raft_host, .port = config_.raft_port};
  group_ = std::make_unique<raft::GroupMember>(ports_.network, ports_.store, ports_.process, options);
  RETURN_IF_ERROR(group_->form(identity_, deadline));
  metadata_ =
      std::make_unique<cluster::Metadata>(identity_.cluster, config_.node, identity_.incarnation, config_.metadata);
  const cluster::BrokerSettings settings = settings_of(config_);
  controller_ = std::make_unique<cluster::ActiveController>(*metadata_, config_.node, settings.timing.session,
                                                            settings.rebalance);
  if (watch_ != nullptr) {
    metadata_->subscribe(*watch_);
  }
  metadata_->register_metrics(metrics_);
  metadata_->attach_disk(*this);
  RETURN_IF_ERROR(group_->open(*metadata_, deadline));
  raft_opened_ = true;
  group_->driver().register_metrics(metrics_);
  for (const raft::Member& voter : raft().raft().membership().voters) {
    if (voter.directory == identity_.directory && voter.node != config_.node) {
      return absl::FailedPreconditionError(fmt::format("the data directory is that of node {}, not of node {}",
                                                       voter.node.value(), config_.node.value()));
    }
  }
  metadata_->attach(group_->driver());
  controller_->attach(group_->driver());
  group_->attach(*this);
  group_->start();
  scope_.spawn({"controller", 0}, [this] { controller_->run(); });
  // Much may have to be applied, or come from the leader.
  Status caught_up = metadata_->catch_up(deadline);
  while (absl::IsDeadlineExceeded(caught_up) && scope_.scheduler().now() < deadline.at()) {
    caught_up = metadata_->catch_up(deadline);
  }
  return caught_up;
}

// Metadata outlive the logs' own files. Whoever was registered had a mark in its write-ahead log before.
Status Node::check_directory() const {
  const cluster::Image& image = *metadata_->image();
  const cluster::Broker* known = image.find_broker(config_.node);
  const bool has_logs = logs_->assigned() != LogIndex::none() || recovery_.logs > 0;
  if (has_logs || known == nullptr || known->directory != identity_.directory) {
    return ok();
  }
  std::size_t replicas = 0;
  image.topics.for_each([&](const cluster::TopicRef& topic) {
    topic->partitions.for_each([&](const cluster::Partition& partition) {
      replicas += cluster::contains(partition.replicas, config_.node) ? 1U : 0U;
    });
  });
  if (replicas == 0) {
    return ok();
  }
  return absl::DataLossError(fmt::format(
      "{} partitions are placed here, and the write-ahead log knows nothing of them: was wal/ removed or "
      "damaged? Bring it back; or empty the whole data directory, if other nodes hold the data, and add the "
      "node anew",
      replicas));
}

// Rule R10. Long before the port's own timeout ends the process.
bool Node::disk_is_stuck() const {
  const MonotonicTime since = logs_->disk_busy_since();
  return since != MonotonicTime::never() && fiber::Scheduler::current().now() - since > stuck_after_;
}

Status Node::register_broker(const Deadline& deadline) {
  const std::uint16_t port = config_.advertised_port != 0 ? config_.advertised_port : server_->address().port;
  const cluster::TopicSettings of_topics = cluster::topic_settings({.file = &config_.broker});
  const cluster::RegisterBroker command{
      .directory = identity_.directory,
      .start_counter = identity_.start_counter,
      .endpoints = {{.listener = kListenerName, .host = config_.advertised_host, .port = port}},
      .rack = settings_of(config_).rack,
      .min_insync_replicas = of_topics.min_insync_replicas,
      .unclean_leader_election = of_topics.unclean_leader_election};
  StatusOr<cluster::CommandResult> registered = metadata_->propose(command, deadline);
  // Twice is as good as once: an incarnation keeps the epoch that it was given first.
  while ((absl::IsDeadlineExceeded(registered.status()) || absl::IsUnknown(registered.status())) &&
         scope_.scheduler().now() < deadline.at()) {
    registered = metadata_->propose(command, deadline);
  }
  RETURN_IF_ERROR(registered.status());
  return registered->whole.ok() ? ok() : absl::FailedPreconditionError(registered->whole.message);
}

Status Node::reconcile() {
  // From nothing to the image: the table takes everything as new, and leads under the epochs of this registration (R1).
  reconciled_ = true;
  const cluster::ImageRef image = metadata_->image();
  on_metadata(cluster::difference(cluster::empty_image(image->cluster), image));
  for (const log::LogKey& key : logs_->keys()) {
    const cluster::Partition* partition = image->find_partition(key.topic, key.partition);
    if (partition == nullptr || !cluster::contains(partition->replicas, config_.node)) {
      table_->expect_removal(key);  // deleted, or moved away, while this node was away or just before it ended
      doom(key, /*stray=*/true);
    }
  }
  logs_->let_strays_go();
  return ok();
}

void Node::on_removed() {
  if (phase_ != Phase::kForming) {  // else it goes on to wait, in case it is added again
    ports_.process.fatal(ExitStatus::kRemoved, "this node was removed from the cluster");
  }
}

void Node::doom(const log::LogKey& key, bool stray) {
  doomed_.push_back({.key = key, .stray = stray});
  doomed_event_.notify_all();
}

void Node::on_metadata(const cluster::Delta& delta) {
  if (!reconciled_) {
    return;
  }
  for (const log::LogKey& key : table_->apply(delta)) {
    doom(key, /*stray=*/false);
  }
  if (!delta.broker_configs.empty()) {
    follow_settings(*delta.after);
  }
  if (serving_) {
    broker_->follow_groups();
    for (const cluster::TopicRef& topic : delta.deleted) {
      broker_->groups().forget_topic(topic->name);
    }
  }
  note_assigned(delta.after->applied);
  if (table_->lacks_logs() || assigned_due_ || !table_->lost().empty()) {
    logs_lack_.notify_all();
  }
}

// Those that may be altered while the node runs, and that no request asks for.
void Node::follow_settings(const cluster::Image& image) {
  const cluster::BrokerSettings settings =
      cluster::broker_settings(cluster::broker_layers(image, config_.node, config_.broker));
  logs_->set_cleaner_backoff(settings.cleaner.backoff);
}

void Node::note_assigned(LogIndex applied) {
  assigned_due_ |= table_->take_made_logs();
  if (assigned_due_ && !table_->lacks_logs()) {
    assigned_due_ = !logs_->note_assigned(applied);
  }
}

// The image has a topic, and applying it may not wait; its log waits until the write-ahead log has room for a record.
// One that was lost waits until everybody knows.
void Node::make_missing_logs() {
  constexpr Duration kPause = Duration::milliseconds(100);
  for (;;) {
    while (!table_->lacks_logs() && !assigned_due_ && table_->lost().empty()) {
      if (!logs_lack_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
    }
    const bool reported = !table_->lost().empty() && report_lost_logs().ok();
    if (!reported && !fiber::sleep(kPause).ok()) {
      return;
    }
    table_->make_missing_logs(*metadata_->image());
    if (serving_) {
      broker_->follow_groups();
    }
    note_assigned(metadata_->image()->applied);
  }
}

// Rule R12.
Status Node::report_lost_logs() {
  const std::vector<log::LogKey> lost(table_->lost().begin(), table_->lost().end());
  cluster::ReportDamage report{.epoch = metadata_->broker_epoch(), .replicas = {}};
  for (const log::LogKey& key : lost) {
    report.replicas.push_back({.topic = key.topic, .partition = key.partition, .lost = true});
  }
  const StatusOr<cluster::CommandResult> result =
      metadata_->propose(report, fiber::within(metadata_->patience().proposal, Expiry::kPeer));
  RETURN_IF_ERROR(result.status());
  if (!result->whole.ok()) {
    return absl::UnavailableError(result->whole.message);
  }
  Status status = ok();
  for (std::size_t i = 0; i < lost.size(); ++i) {
    if (result->items[i].ok()) {
      lost_logs_.add();
      sim_point("node.loss_reported");
      table_->begin_lost_anew(lost[i]);
    } else {
      status = absl::UnavailableError(result->items[i].message);  // the image here may be old
    }
  }
  return status;
}

void Node::remove_logs() {
  for (;;) {
    while (doomed_.empty()) {
      if (!doomed_event_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
    }
    const log::LogKey key = doomed_.back().key;
    const bool stray = doomed_.back().stray;
    const Deadline deadline = fiber::within(limits_.request, Expiry::kPeer);
    const Status removed = stray ? logs_->remove_stray(key, deadline) : logs_->remove(key, deadline);
    if (absl::IsCancelled(removed) || absl::IsAborted(removed)) {
      return;
    }
    if (removed.ok() || absl::IsNotFound(removed)) {
      std::erase_if(doomed_, [&key](const Doomed& one) { return one.key == key; });
      table_->end_removal(key);
    } else {
      log_warn("log cannot be removed yet", field("log", key.to_string()), field("why", removed.ToString()));
    }
  }
}

std::string Node::state() const {
  if (serving_) {
    return "serving";
  }
  switch (phase_) {
    case Phase::kRecovering: return "recovering";
    case Phase::kForming:
      if (raft_opened_ && group_->removed()) {
        return "removed from the cluster";
      }
      if (raft_opened_ && !raft().raft().membership().contains(raft().raft().self())) {
        return "waiting to be added to the cluster";
      }
      return group_ == nullptr || config_.peers.empty()
                 ? "recovering"
                 : fmt::format("waiting for quorum ({} of {})", group_->nodes_heard(), config_.peers.size() + 1);
    case Phase::kRegistering: break;
  }
  return "registering";
}

// Others lead and are in sync from then on, before this node is missed.
void Node::leave() {
  constexpr Duration kCourtesy = Duration::seconds(1);
  metadata_->leave();
  const cluster::ChangeBrokers fence{{{.node = config_.node, .epoch = metadata_->broker_epoch(), .live = false}}};
  const Status left = metadata_->propose(fence, fiber::within(kCourtesy, Expiry::kNormal)).status();
  if (!left.ok()) {
    log_warn("leaderships were not handed over", field("why", left.ToString()));
  }
  raft::Driver& raft = group_->driver();
  raft.hand_over();
  const MonotonicTime enough = scope_.scheduler().now() + kCourtesy;
  while (raft.leadership().here && scope_.scheduler().now() < enough && fiber::sleep(Duration::milliseconds(10)).ok()) {
  }
}

Status Node::stop() {
  if (serving_ && !config_.peers.empty()) {
    leave();
  }
  serving_ = false;
  const Deadline deadline(scope_.scheduler().now() + config_.stop_timeout, Expiry::kPeer,
                          scope_.scheduler().root_cancel());
  if (server_ != nullptr) {
    server_->stop();
  }
  if (forwarding_ != nullptr) {
    forwarding_->stop();
  }
  if (broker_ != nullptr) {
    broker_->groups().stop();
  }
  if (replication_ != nullptr) {
    replication_->stop();
  }
  scope_.cancel_and_join();
  if (table_ != nullptr) {
    table_->close_all();
  }
  if (group_ != nullptr) {
    group_->stop();
  }
  return logs_ == nullptr ? ok() : logs_->stop(deadline);
}

}  // namespace chronik::node
