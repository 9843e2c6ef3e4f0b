#include "core/replication/partition.h"

#include <algorithm>

namespace chronik::replication {

using protocol::ErrorCode;

Partition::Partition(Ref<log::PartitionLog> log, NodeId self)
    : log_(std::move(log)),
      topic_in_key_(mix_text(as_text(log_->key().topic.bytes))),
      self_(self),
      high_watermark_(std::min(log_->recovered_high_watermark(), log_->durable_end())) {
  log_->set_listener(this);
}

Partition::~Partition() { log_->set_listener(nullptr); }

void Partition::assume(const Leadership& leadership) {
  if (leadership.epoch == leadership_.epoch) {
    leadership_ = leadership;  // the in-sync set may have changed
    advance_high_watermark();
    return;
  }
  CHECK_GT(leadership.epoch, leadership_.epoch);
  CHECK_GE(leadership.epoch, log_->last_epoch());
  durable_waiters_.fail_all();
  watermark_waiters_.fail_all();
  leadership_ = leadership;
  advance_high_watermark();
  progress_.notify_all();
}

void Partition::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  durable_waiters_.fail_all();
  watermark_waiters_.fail_all();
  progress_.notify_all();
}

ErrorCode Partition::check_leadership(LeaderEpoch current) const {
  if (closed_) {
    return ErrorCode::kNotLeaderOrFollower;
  }
  if (leadership_.leader == NodeId::none()) {
    return ErrorCode::kLeaderNotAvailable;
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

Partition::AppendOutcome Partition::append(Slice batch, const log::BatchSummary& summary, Acks acks) {
  const fiber::NoSuspend guard;
  AppendOutcome outcome;
  outcome.epoch = leadership_.epoch;
  outcome.error = check_leadership(LeaderEpoch::none());
  if (outcome.error != ErrorCode::kNone) {
    outcome.error = ErrorCode::kNotLeaderOrFollower;
    return outcome;
  }
  if (acks == Acks::kAll && in_sync_count() < static_cast<std::size_t>(leadership_.min_in_sync)) {
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
  const log::Appended appended = log_->append(std::move(batch), summary, leadership_.epoch);
  outcome.base_offset = appended.base_offset;
  outcome.last_offset = appended.last_offset;
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

ErrorCode Partition::acknowledge(Acks acks) const {
  const bool too_few = acks == Acks::kAll && in_sync_count() < static_cast<std::size_t>(leadership_.min_in_sync);
  return too_few ? ErrorCode::kNotEnoughReplicasAfterAppend : ErrorCode::kNone;
}

WaitKey Partition::progress_key() const {
  return {WaitKind::kHighWatermark, topic_in_key_, static_cast<std::uint64_t>(log_->key().partition.value()),
          static_cast<std::uint64_t>(high_watermark_.value())};
}

void Partition::on_durable(Offset durable_end) {
  durable_waiters_.advance(durable_end);
  advance_high_watermark();
}

void Partition::advance_high_watermark() {
  // R8: below min.insync.replicas it stands still.
  if (!leading() || in_sync_count() < static_cast<std::size_t>(leadership_.min_in_sync)) {
    return;
  }
  const Offset least_durable = log_->durable_end();
  if (least_durable <= high_watermark_) {
    return;
  }
  high_watermark_ = least_durable;
  log_->note_high_watermark(high_watermark_);
  watermark_waiters_.advance(high_watermark_);
  progress_.notify_all();
}

}  // namespace chronik::replication
