#include "core/replication/replication.h"

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"

namespace chronik::replication {

namespace {
constexpr std::size_t kChangesMax = 2000;                    // in one command
constexpr Duration kIsrPause = Duration::milliseconds(100);  // after a change that came to nothing
}  // namespace

Replication::Replication(Network& network, cluster::Metadata& metadata, log::LogManager& logs, NodeId self,
                         const ReplicationOptions& options)
    : network_(network),
      metadata_(metadata),
      logs_(logs),
      self_(self),
      options_(options),
      isolation_(options.isolated_after, *this),
      sessions_(CatchUp(options.catch_up_share)),
      repairs_(metadata, *this, metrics_) {
  metadata_.subscribe(*this);
  if (metadata_.leadership().leader == NodeId::none()) {
    isolation_.lose();
  }
}

Replication::~Replication() = default;

void Replication::register_metrics(MetricsRegistry& registry) const {
  metrics_.register_in(registry);
  registry.add("broker_isolated", "1 while no leader of the metadata answers and others may lead what is led here",
               isolation_.gauge());
}

void Replication::start() {
  started_ = true;
  if (!isolation_.in_touch()) {
    regain_touch();
  }
  scope_.spawn({"isr", 0}, [this] { change_isrs_for_ever(); });
  scope_.spawn({"repairs", 0}, [this] { repairs_.run(); });
  for (const auto& [leader, fetcher] : fetchers_) {
    scope_.spawn({"fetcher", static_cast<std::uint64_t>(leader.value())},
                 [fetcher = fetcher.get()] { fetcher->run(); });
  }
}

void Replication::stop() {
  started_ = false;
  sessions_.close_all();
  scope_.cancel_and_join();
}

Fetcher& Replication::fetcher(NodeId leader) {
  std::unique_ptr<Fetcher>& fetcher = fetchers_[leader];
  if (fetcher == nullptr) {
    fetcher = std::make_unique<Fetcher>(network_, metadata_, logs_, self_, leader, options_.fetch, metrics_);
    if (started_) {
      scope_.spawn({"fetcher", static_cast<std::uint64_t>(leader.value())},
                   [fetcher = fetcher.get()] { fetcher->run(); });
    }
  }
  return *fetcher;
}

void Replication::follow(const Ref<Partition>& partition) {
  const log::LogKey key = partition->log().key();
  if (partition->leadership().replicas.size() < 2 && !known_.contains(key)) {
    return;
  }
  if (known_.empty()) {
    isr_event_.notify_all();  // from now on there are lags to be looked at
  }
  Known& known = known_[key];
  known.partition = partition;
  const NodeId leader = partition->following() ? partition->leader() : NodeId::none();
  if (known.followed != leader && known.followed != NodeId::none()) {
    fetcher(known.followed).forget(key);
  }
  known.followed = leader;
  if (leader != NodeId::none()) {
    fetcher(leader).follow(partition);
  }
  if (partition->damaged()) {
    repairs_.note(key);
  }
  // One step of the image may take a follower out and hold both its fencing and its return: its broker is unchanged.
  if (partition->leading() && partition->wanted_isr(options_.lag_max).has_value()) {
    on_isr_news(*partition);
  }
}

void Replication::forget(const log::LogKey& key) {
  const auto found = known_.find(key);
  if (found == known_.end()) {
    return;
  }
  if (found->second.followed != NodeId::none()) {
    fetcher(found->second.followed).forget(key);
  }
  isr_news_.erase(key);
  known_.erase(found);
}

void Replication::on_leader(NodeId /*leader*/) {
  ++leader_changes_;
  isolation_.lose();
  if (started_) {
    regain_touch();
  }
}

// Of whoever leads by then: an answer of a leader that has been replaced since says nothing.
void Replication::regain_touch() {
  if (std::exchange(regaining_, true)) {
    return;
  }
  scope_.spawn({"leader-asker", leader_changes_}, [this] {
    while (!isolation_.in_touch()) {
      const std::uint64_t changes = leader_changes_;
      const Status answered = metadata_.catch_up(fiber::within(metadata_.patience().proposal, Expiry::kNormal));
      if (absl::IsCancelled(answered) || absl::IsAborted(answered)) {
        return;
      }
      if (answered.ok() && changes == leader_changes_) {
        isolation_.regain();
      }
    }
    regaining_ = false;
  });
}

void Replication::on_isolated() {
  for (const auto& [key, known] : known_) {
    known.partition->note_isolated();
  }
}

void Replication::on_follower_durable(Partition& partition) {
  const log::LogKey& key = partition.log().key();
  const auto found = known_.find(key);
  if (found != known_.end() && found->second.followed != NodeId::none()) {
    fetcher(found->second.followed).note(key);
  }
}

// ---- damage ----

void Replication::on_damage(Partition& partition) {
  if (known_.contains(partition.log().key())) {
    repairs_.note(partition.log().key());
  }
}

Ref<Partition> Replication::hosted(const log::LogKey& key) {
  const auto found = known_.find(key);
  return found == known_.end() ? Ref<Partition>() : found->second.partition;
}

bool Replication::held_back(const log::LogKey& key) {
  const auto found = known_.find(key);
  return found != known_.end() && found->second.followed != NodeId::none() &&
         fetcher(found->second.followed).held_back(key);
}

void Replication::follow_again(const log::LogKey& key) {
  const auto found = known_.find(key);
  if (found != known_.end() && found->second.followed != NodeId::none()) {
    fetcher(found->second.followed).follow_again(key);
  }
}

// ---- the ISRs of partitions that are led here ----

void Replication::on_isr_news(Partition& partition) {
  if (isr_news_.insert(partition.log().key()).second) {
    isr_event_.notify_all();
  }
}

// Also what the controller took out of an ISR because its broker was fenced: whoever leads afterwards counts it.
void Replication::count_changes(const cluster::Delta& delta) {
  const auto lacks_one_of = [](const cluster::ReplicaList& isr, const cluster::ReplicaList& those) {
    return std::any_of(those.begin(), those.end(), [&isr](NodeId node) { return !cluster::contains(isr, node); });
  };
  for (const cluster::PartitionChange& change : delta.partitions) {
    if (change.before != nullptr && change.after->leader == self_) {
      metrics_.isr_shrinks.add(lacks_one_of(change.after->isr, change.before->isr) ? 1 : 0);
      metrics_.isr_expands.add(lacks_one_of(change.before->isr, change.after->isr) ? 1 : 0);
      metrics_.unclean_elections.add(change.after->unclean_epoch != change.before->unclean_epoch ? 1 : 0);
    }
  }
}

void Replication::on_metadata(const cluster::Delta& delta) {
  count_changes(delta);
  if (!delta.brokers.empty()) {
    look_at_all();  // who was not live may be so now
    repairs_.note_all();
  }
  for (const NodeId node : delta.brokers) {
    const cluster::Broker* before = delta.before->find_broker(node);
    const cluster::Broker* after = delta.after->find_broker(node);
    if (node == self_ && after != nullptr) {
      metrics_.disk_stuck.set(after->stuck ? 1 : 0);
    }
    const auto found = fetchers_.find(node);
    if (found != fetchers_.end() && before != nullptr && after != nullptr && before->epoch != after->epoch) {
      found->second->connect_anew();
    }
  }
}

void Replication::look_at_all() {
  for (const auto& [key, known] : known_) {
    if (known.partition->leading() && known.partition->wanted_isr(options_.lag_max).has_value()) {
      on_isr_news(*known.partition);
    }
  }
}

// Whatever else is going on.
void Replication::look_at_lags() {
  const MonotonicTime now = fiber::Scheduler::current().now();
  if (now - looked_ >= options_.lag_max / 2) {
    looked_ = now;
    look_at_all();
  }
}

Status Replication::wait_for_isr_news() {
  while (isr_news_.empty()) {
    // Without a partition that is replicated there are no lags to be looked at.
    const MonotonicTime look = known_.empty() ? MonotonicTime::never() : looked_ + options_.lag_max / 2;
    Status woken = isr_event_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever().no_later_than(look, Expiry::kNormal));
    if (!woken.ok() && !absl::IsDeadlineExceeded(woken)) {
      return woken;
    }
    look_at_lags();
  }
  return ok();
}

void Replication::change_isrs_for_ever() {
  for (;;) {
    if (!wait_for_isr_news().ok()) {
      return;
    }
    look_at_lags();
    const Status changed = change_isrs();
    if (absl::IsCancelled(changed) || absl::IsAborted(changed) || (!changed.ok() && !fiber::sleep(kIsrPause).ok())) {
      return;
    }
  }
}

std::optional<cluster::AlterPartitions::Partition> Replication::proposal_for(
    const Partition& partition, const std::vector<Partition::IsrMember>& wanted) const {
  const cluster::Image& image = *metadata_.image();
  const Leadership& leadership = partition.leadership();
  cluster::AlterPartitions::Partition proposal{.topic = partition.log().key().topic,
                                               .partition = partition.log().key().partition,
                                               .leader_epoch = leadership.epoch,
                                               .epoch = leadership.partition_epoch,
                                               .isr = {}};
  bool differs = false;
  std::size_t kept = 0;
  for (const Partition::IsrMember& member : wanted) {
    const cluster::Broker* broker = image.find_broker(member.node);
    const bool in_sync =
        std::find(leadership.in_sync.begin(), leadership.in_sync.end(), member.node) != leadership.in_sync.end();
    kept += in_sync ? 1 : 0;
    const BrokerEpoch current = broker == nullptr ? BrokerEpoch::none() : broker->epoch;
    if (in_sync || member.node == self_) {
      proposal.isr.push_back({.node = member.node, .epoch = current});
    } else if (image.is_well(member.node) && current == member.epoch) {
      proposal.isr.push_back({.node = member.node, .epoch = current});
      differs = true;
    }
  }
  differs = differs || kept < leadership.in_sync.size() || partition.undecided();
  return differs ? std::optional(std::move(proposal)) : std::nullopt;
}

// One command for all that want a change by now. Not ok: some of it has to be tried again.
Status Replication::change_isrs() {
  cluster::AlterPartitions command;
  std::vector<Ref<Partition>> proposed;
  while (!isr_news_.empty() && proposed.size() < kChangesMax) {
    const log::LogKey key = *isr_news_.begin();
    isr_news_.erase(isr_news_.begin());
    const auto known = known_.find(key);
    if (known == known_.end()) {
      continue;  // not hosted here any more
    }
    const Ref<Partition> partition = known->second.partition;
    const std::optional<std::vector<Partition::IsrMember>> wanted = partition->wanted_isr(options_.lag_max);
    if (!wanted.has_value()) {
      continue;
    }
    std::optional<cluster::AlterPartitions::Partition> proposal = proposal_for(*partition, *wanted);
    if (!proposal.has_value()) {
      continue;
    }
    std::vector<Partition::IsrMember> members;
    for (const cluster::AlterPartitions::Member& member : proposal->isr) {
      members.push_back({.node = member.node, .epoch = member.epoch});
    }
    partition->propose_isr(members);
    command.partitions.push_back(*std::move(proposal));
    proposed.push_back(partition);
  }
  if (proposed.empty()) {
    return ok();
  }
  const StatusOr<cluster::CommandResult> result =
      sim_fails("replication.before_isr_change")
          ? StatusOr<cluster::CommandResult>(absl::UnavailableError("it cannot be proposed now"))
          : metadata_.propose(command, fiber::within(metadata_.patience().proposal, Expiry::kPeer));
  sim_point("replication.isr_changed");
  Status status = result.status();
  for (std::size_t i = 0; i < proposed.size(); ++i) {
    const Ref<Partition>& partition = proposed[i];
    const bool known = result.ok() && (!result->whole.ok() || i < result->items.size());
    const bool done = known && result->whole.ok() && result->items[i].ok();
    partition->end_proposal(known && !done);
    if (known_.contains(partition->log().key()) && partition->wanted_isr(options_.lag_max).has_value()) {
      isr_news_.insert(partition->log().key());  // again, or because of what came up meanwhile
    }
    if (!done && status.ok()) {
      status = absl::UnavailableError("some were refused");
    }
    if (done) {
      log_info("isr changed", field("log", partition->log().key().to_string()),
               field("members", command.partitions[i].isr.size()));
    }
  }
  return status;
}

}  // namespace chronik::replication
