#include "core/replication/partition.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/base/sim_point.h"

namespace chronik::replication {

using protocol::ErrorCode;

namespace {

bool is_in(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

Partition::Partition(Ref<log::PartitionLog> log, NodeId self, PartitionHost& host)
    : log_(std::move(log)), topic_in_key_(mix_text(as_text(log_->key().topic.bytes))), self_(self), host_(host) {
  set_high_watermark(std::min(log_->recovered_high_watermark(), std::max(log_->durable_end(), log_->log_start())));
  log_->set_listener(this);
}

Partition::~Partition() {
  log_->set_listener(nullptr);
  watches_.for_each([](PartitionWatch& watch) { watch.unlink(); });
}

bool Partition::following() const {
  return !closed_ && leadership_.leader != NodeId::none() && leadership_.leader != self_;
}

bool Partition::in_sync(NodeId node) const { return is_in(leadership_.in_sync, node); }

void Partition::assume(const Leadership& leadership) {
  const LeaderEpoch before = leadership_.epoch;
  CHECK_GE(leadership.epoch, before);
  if (leadership_.partition_epoch < leadership.partition_epoch) {
    maybe_in_sync_.clear();  // what was proposed is done, or never will be
  }
  tell_roles(leadership);
  leadership_ = leadership;
  std::vector<NodeId> others = leadership.replicas;
  std::erase(others, self_);
  if (leadership.epoch == before) {
    followers_.keep(others, now());
    if (leading() && !enough_in_sync()) {
      watermark_waiters_.fail_all();
    }
  } else {
    CHECK_GE(leadership.epoch, log_->last_epoch());
    durable_waiters_.fail_all();
    watermark_waiters_.fail_all();
    followers_.begin(leading() ? others : std::vector<NodeId>{}, now());
    epoch_start_ = log_->log_end();
    leaders_watermark_ = Offset(0);
    if (leading() && leadership.unclean_epoch == leadership.epoch) {
      log_warn("leader elected uncleanly: acknowledged records may be lost", field("log", log_->key().to_string()),
               field("epoch", leadership.epoch), field("log_end", log_->log_end()),
               field("high_watermark", high_watermark_));
    }
    progress_.notify_all();
  }
  advance_high_watermark();
  tell_watches();
  start_progress_.notify_all();
}

// What it is about to assume, as far as that is news.
void Partition::tell_roles(const Leadership& next) const {
  Observer* o = observer();
  if (o == nullptr) {
    return;
  }
  const PartitionRef ref{log_->key().topic, log_->key().partition};
  const bool leads = next.leader == self_;
  if (next.epoch != leadership_.epoch) {
    o->on_role(ref, next.epoch, leads);
  }
  if (leads && (next.epoch != leadership_.epoch || next.in_sync != leadership_.in_sync)) {
    o->on_isr(ref, next.epoch, next.in_sync);
  }
}

void Partition::note_isolated() {
  if (may_be_deposed()) {
    watermark_waiters_.fail_all();
    start_progress_.notify_all();
    ++isolations_;
  }
}

// Whom nobody can replace, since nobody else is in sync or eligible, goes on acknowledging by itself: exactly where
// there is nobody else to wait for.
bool Partition::may_be_deposed() const {
  const auto another = [this](NodeId node) { return node != self_; };
  return host_.isolated() && leading() &&
         (leadership_.others_eligible || std::any_of(leadership_.in_sync.begin(), leadership_.in_sync.end(), another) ||
          std::any_of(maybe_in_sync_.begin(), maybe_in_sync_.end(), another));
}

void Partition::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  durable_waiters_.fail_all();
  watermark_waiters_.fail_all();
  progress_.notify_all();
  start_progress_.notify_all();
  tell_watches();
}

ErrorCode Partition::check_leadership(LeaderEpoch current) const {
  if (closed_) {
    return ErrorCode::kNotLeaderOrFollower;
  }
  if (current != LeaderEpoch::none()) {
    if (current < leadership_.epoch) {
      return ErrorCode::kFencedLeaderEpoch;
    }
    if (current > leadership_.epoch) {
      return ErrorCode::kUnknownLeaderEpoch;
    }
  }
  return leading() ? ErrorCode::kNone : ErrorCode::kNotLeaderOrFollower;
}

// ---- producing ----

Partition::AppendOutcome Partition::append(Slice batch, const log::BatchSummary& summary, Acks acks) {
  const fiber::NoSuspend guard;
  AppendOutcome outcome;
  outcome.epoch = leadership_.epoch;
  outcome.error = check_leadership(LeaderEpoch::none());
  if (outcome.error != ErrorCode::kNone) {
    outcome.error = ErrorCode::kNotLeaderOrFollower;
    return outcome;
  }
  if (acks == Acks::kAll && may_be_deposed()) {
    outcome.error = ErrorCode::kNotLeaderOrFollower;
    return outcome;
  }
  if (acks == Acks::kAll && !enough_in_sync()) {
    outcome.error = ErrorCode::kNotEnoughReplicas;
    return outcome;
  }
  const log::ProducerVerdict verdict = log_->check_producer(summary.producer);
  switch (verdict.kind) {
    case log::ProducerVerdict::Kind::kRefuse: outcome.error = verdict.error; return outcome;
    case log::ProducerVerdict::Kind::kDuplicate:
      // The original may not be durable yet: the retry waits for it under its own acks (R11).
      outcome.duplicate = true;
      outcome.base_offset = verdict.base_offset;
      outcome.last_offset = verdict.last_offset;
      return outcome;
    case log::ProducerVerdict::Kind::kAppend: break;
  }
  if (!followers_.all().empty()) {
    followers_.grows(log_->log_end(), now());
  }
  const log::Appended appended = log_->append(std::move(batch), summary, leadership_.epoch);
  outcome.base_offset = appended.base_offset;
  outcome.last_offset = appended.last_offset;
  tell_watches();
  return outcome;
}

void Partition::await(const AppendOutcome& outcome, Acks acks, OffsetWaiter& waiter) {
  CHECK(outcome.error == ErrorCode::kNone);
  CHECK(acks != Acks::kNone);
  if (outcome.epoch != leadership_.epoch || closed_) {
    return waiter.on_passed(false);
  }
  if (outcome.last_offset < (acks == Acks::kAll ? high_watermark_ : log_->durable_end())) {
    return waiter.on_passed(true);
  }
  (acks == Acks::kAll ? watermark_waiters_ : durable_waiters_).add(waiter, outcome.last_offset);
}

ErrorCode Partition::acknowledge(Acks acks, bool passed) const {
  if (acks == Acks::kAll && leading() && !enough_in_sync()) {
    return ErrorCode::kNotEnoughReplicasAfterAppend;
  }
  return passed ? ErrorCode::kNone : ErrorCode::kNotLeaderOrFollower;
}

// Before it is durable here, a batch waits for the sync, whatever it was asked for.
WaitKey Partition::await_key(Acks acks, Offset awaited) const {
  return acks == Acks::kAll && log_->durable_end() > awaited ? progress_key() : WaitKey{WaitKind::kWalFlush, 0, 0, 0};
}

std::string Partition::describe_await(Acks acks) const {
  std::string text = fmt::format("{}-{} durable to {} of {}", log_->topic_name(), log_->key().partition.value(),
                                 log_->durable_end().value(), log_->log_end().value());
  if (acks != Acks::kAll) {
    return text;
  }
  text += fmt::format(", high watermark {}", high_watermark_.value());
  for (const Follower& follower : followers_.all()) {
    text += fmt::format(", node {} {} {}", follower.node.value(),
                        in_sync(follower.node) ? "in sync to" : "not in sync, to", follower.durable_end.value());
  }
  return text;
}

WaitKey Partition::progress_key() const {
  return {WaitKind::kHighWatermark, topic_in_key_, static_cast<std::uint64_t>(log_->key().partition.value()),
          static_cast<std::uint64_t>(high_watermark_.value())};
}

// ---- the high watermark ----

void Partition::on_durable(Offset durable_end) {
  durable_waiters_.advance(durable_end);
  advance_high_watermark();
  if (following()) {
    host_.on_follower_durable(*this);
  }
}

void Partition::on_damage() {
  if (!closed_) {
    host_.on_damage(*this);
  }
}

Offset Partition::least_durable_end() const {
  Offset least = log_->durable_end();
  const auto count = [&](NodeId node) {
    if (node != self_) {
      const Follower* follower = followers_.find(node);
      least = std::min(least, follower == nullptr ? Offset::none() : follower->durable_end);
    }
  };
  std::for_each(leadership_.in_sync.begin(), leadership_.in_sync.end(), count);
  std::for_each(maybe_in_sync_.begin(), maybe_in_sync_.end(), count);
  return least;
}

void Partition::advance_high_watermark() {
  if (following()) {
    raise_high_watermark(std::min(leaders_watermark_, log_->durable_end()));
  } else if (leading() && enough_in_sync() && !leadership_.others_eligible) {
    // R8: below min.insync.replicas it stands still, and while somebody is eligible who would not have what follows.
    raise_high_watermark(least_durable_end());
  }
}

void Partition::raise_high_watermark(Offset to) {
  if (to <= high_watermark_) {
    return;
  }
  set_high_watermark(to);
  sim_point("replication.watermark_raised");
  log_->note_high_watermark(high_watermark_);
  watermark_waiters_.advance(high_watermark_);
  progress_.notify_all();
  tell_watches();
}

void Partition::lower_high_watermark(Offset to) {
  if (to < high_watermark_) {
    set_high_watermark(to);
  }
}

void Partition::set_high_watermark(Offset to) {
  high_watermark_ = to;
  if (Observer* o = observer()) {
    o->on_high_watermark({log_->key().topic, log_->key().partition}, leadership_.epoch, high_watermark_);
  }
}

void Partition::tell_watches() {
  watches_.for_each([](PartitionWatch& watch) { watch.on_partition_news(); });
}

// ---- the leader and its followers ----

bool Partition::agrees(LeaderEpoch last, Offset offset) const {
  const log::EpochEnd end = log_->end_of_epoch(last);
  // A replica that has nothing has begun where some leader's log did: what was before is deleted.
  return last == LeaderEpoch::none() || end.epoch == LeaderEpoch::none() ? offset <= log_->log_end()
                                                                         : end.epoch == last && offset <= end.end;
}

// R7: it has, in this epoch, been durable with all that was ever committed; and begins where this log does (R16).
bool Partition::may_join(const Follower& follower) const {
  return follower.durable_end >= std::max(high_watermark_, epoch_start_) && follower.log_start >= log_->log_start();
}

bool Partition::hear_follower(NodeId node, BrokerEpoch broker_epoch, Offset durable_end, Offset log_start) {
  const Follower* follower = followers_.hear(node, broker_epoch, durable_end, log_->log_end(), now());
  if (follower == nullptr) {
    return false;
  }
  if (followers_.hear_log_start(node, log_start)) {
    start_progress_.notify_all();
  }
  advance_high_watermark();
  if (!is_in(leadership_.in_sync, node) && !proposing_ && may_join(*follower)) {
    host_.on_isr_news(*this);
  }
  return true;
}

Status Partition::await_log_start(Offset to, const Deadline& deadline) {
  const LeaderEpoch epoch = leadership_.epoch;
  const auto began = [this, to](NodeId node) {
    const Follower* follower = followers_.find(node);
    return node == self_ || (follower != nullptr && follower->log_start >= to);
  };
  while (leading() && leadership_.epoch == epoch && !may_be_deposed()) {
    // Nor may an eligible one undo it, which is not asked (R8).
    if (enough_in_sync() && !leadership_.others_eligible &&
        std::all_of(leadership_.in_sync.begin(), leadership_.in_sync.end(), began) &&
        std::all_of(maybe_in_sync_.begin(), maybe_in_sync_.end(), began)) {
      return ok();
    }
    RETURN_IF_ERROR(start_progress_.wait(progress_key(), deadline));
  }
  return absl::AbortedError("no longer the leader");
}

void Partition::tell_log_start() { tell_watches(); }

std::optional<std::vector<Partition::IsrMember>> Partition::wanted_isr(Duration lag_max) const {
  if (!leading() || proposing_) {
    return std::nullopt;
  }
  std::vector<IsrMember> isr;
  bool differs = false;
  for (const NodeId node : leadership_.replicas) {
    if (node == self_) {
      isr.push_back({.node = self_, .epoch = BrokerEpoch::none()});
      continue;
    }
    const bool in_sync = is_in(leadership_.in_sync, node);
    const Follower& follower = *followers_.find(node);
    const bool behind = follower.durable_end < log_->log_end();
    const bool lags = behind && now() - follower.caught_up > lag_max;
    // Who lags does not join: where the high watermark stands still, it would be taken in and out for ever.
    const bool joins = !in_sync && !lags && may_join(follower);
    if (in_sync ? !lags : joins) {
      isr.push_back({.node = node, .epoch = follower.broker_epoch});
    }
    differs = differs || (in_sync ? lags : joins);
  }
  return differs || undecided() ? std::optional(std::move(isr)) : std::nullopt;
}

void Partition::propose_isr(const std::vector<IsrMember>& isr) {
  proposing_ = true;
  for (const IsrMember& member : isr) {
    if (!is_in(maybe_in_sync_, member.node)) {
      maybe_in_sync_.push_back(member.node);
    }
  }
}

// Of an earlier proposal it is not known whether it will be done: the next one decides that, too, also if it wants what
// there is.
bool Partition::undecided() const {
  return std::any_of(maybe_in_sync_.begin(), maybe_in_sync_.end(),
                     [this](NodeId node) { return !is_in(leadership_.in_sync, node); });
}

void Partition::end_proposal(bool refused) {
  proposing_ = false;
  if (refused) {
    maybe_in_sync_.clear();
    advance_high_watermark();
  }
}

// ---- the follower ----

bool Partition::append_replicated(LeaderEpoch epoch, Slice batch, const log::BatchSummary& summary) {
  if (!following() || epoch != leadership_.epoch) {
    return false;
  }
  log_->append_replicated(std::move(batch), summary);
  return true;
}

void Partition::learn_high_watermark(LeaderEpoch epoch, Offset high_watermark) {
  if (following() && epoch == leadership_.epoch) {
    leaders_watermark_ = std::max(leaders_watermark_, high_watermark);
    advance_high_watermark();
  }
}

}  // namespace chronik::replication
