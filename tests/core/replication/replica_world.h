// A partition on a log that is nothing but positions, and its host, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/log/epochs.h"
#include "core/replication/partition.h"
#include "tests/support/fiber_world.h"

namespace chronik::replication {

// Durable is what the test says; everything that waits for a disk returns at once.
class PositionsLog final : public log::PartitionLog {
 public:
  const log::LogKey& key() const override { return key_; }
  std::string_view topic_name() const override { return "t"; }
  Offset log_start() const override { return start; }
  Offset log_end() const override { return end; }
  Offset durable_end() const override { return durable; }
  Offset memory_start() const override { return in_memory_from; }
  LeaderEpoch last_epoch() const override { return epochs.last(); }
  std::uint64_t truncations() const override { return 0; }
  StatusOr<std::uint64_t> stored_bytes(const Deadline&) override { return 0; }
  const std::vector<log::DamagedRange>& damaged() const override { return damaged_; }
  log::ProducerVerdict check_producer(const log::ProducerBatch&) const override { return {}; }
  const log::ProducerWindow& producers() const override { return producers_; }
  log::Appended append(Slice, const log::BatchSummary& summary, LeaderEpoch epoch) override {
    epochs.note(epoch, end);
    const Offset base = end;
    end = end + summary.record_count;
    return {.base_offset = base, .last_offset = end - 1, .lsn = Lsn(1)};
  }
  log::Appended append_replicated(Slice batch, const log::BatchSummary& summary) override {
    return append(std::move(batch), summary, epochs.last());
  }
  StatusOr<log::ReadResult> read(Offset, const log::ReadLimits&, const Deadline&) override {
    return absl::UnimplementedError("positions only");
  }
  StatusOr<std::optional<log::TimestampOffset>> find_timestamp(WallTime, Offset, const Deadline&) override {
    return absl::UnimplementedError("positions only");
  }
  StatusOr<std::optional<log::TimestampOffset>> max_timestamp(Offset, const Deadline&) override {
    return absl::UnimplementedError("positions only");
  }
  log::EpochEnd end_of_epoch(LeaderEpoch epoch) const override {
    const log::Epochs::Start found = epochs.end_of(epoch, start, end);
    return {found.epoch, found.offset};
  }
  Status truncate(Offset, absl::FunctionRef<bool()>, const Deadline&) override { return ok(); }
  Status begin_anew(Offset, absl::FunctionRef<bool()>, const Deadline&) override { return ok(); }
  StatusOr<Offset> discard_damage(absl::FunctionRef<bool(Offset)> still, const Deadline&) override {
    if (damaged_.empty() || !still(damaged_.front().from)) {
      return absl::AbortedError("not to be cut");
    }
    end = durable = damaged_.front().from;
    epochs.truncate(end);
    damaged_.clear();
    return end;
  }
  Status advance_log_start(Offset, const Deadline&) override { return ok(); }
  void set_listener(Listener* listener) override { listener_ = listener; }
  void note_high_watermark(Offset) override {}
  Offset recovered_high_watermark() const override { return recovered; }

  void become_durable(Offset to) {
    durable = to;
    listener_->on_durable(to);
  }

  void rot(std::int64_t from, std::int64_t to) {
    damaged_.push_back({Offset(from), Offset(to)});
    listener_->on_damage();
  }

  Offset start{0}, end{0}, durable{0}, recovered{0}, in_memory_from{0};
  log::Epochs epochs;

 private:
  log::LogKey key_{Uuid::from_random(1, 2), PartitionId(0)};
  std::vector<log::DamagedRange> damaged_;
  log::ProducerWindow producers_;
  Listener* listener_ = nullptr;
};

inline NodeId node(std::int32_t id) { return NodeId(id); }

// Node 1's replica of a partition on nodes 1, 2 and 3, of which two must be in sync; it leads in epoch 1. Everything
// happens in one fiber: run().
class ReplicaWorld : public PartitionHost {
 public:
  ReplicaWorld() {
    image.leader = node(1);
    image.epoch = LeaderEpoch(1);
    image.partition_epoch = PartitionEpoch(0);
    image.replicas = image.in_sync = {node(1), node(2), node(3)};
    image.min_in_sync = 2;
  }
  // A log of 10 records of epoch 0, all durable, of which 5 are known to be committed, when the epoch begins.
  void run(const std::function<void()>& body) {
    world.spawn("test", [this, &body] {
      log = Ref<PositionsLog>::make();
      log->epochs.note(LeaderEpoch(0), Offset(0));
      log->end = log->durable = Offset(10);
      log->recovered = Offset(5);
      partition = Ref<Partition>::make(Ref<log::PartitionLog>(log), node(1), *this);
      partition->assume(image);
      body();
      partition->close();
      partition = nullptr;
      log = nullptr;
      ended = true;
    });
    world.run_for(Duration::seconds(60));
    EXPECT_TRUE(ended) << "the test waits for ever";
  }
  void on_isr_news(Partition&) override { ++isr_news; }
  void on_follower_durable(Partition&) override { ++durable_news; }
  void on_damage(Partition&) override { ++damage_news; }
  bool isolated() const override { return alone; }

  // The image has spoken again.
  void assume() { partition->assume(image); }
  void alter_isr(const std::vector<NodeId>& isr) {
    image.in_sync = isr;
    image.partition_epoch = image.partition_epoch.next();
    assume();
  }
  void hear(std::int32_t id, std::int64_t durable, std::int64_t log_start = 0) {
    EXPECT_TRUE(partition->hear_follower(node(id), BrokerEpoch(id), Offset(durable), Offset(log_start)));
  }
  Partition::AppendOutcome append(Acks acks, std::int32_t records = 1) {
    log::BatchSummary summary;
    summary.record_count = records;
    return partition->append(Slice(), summary, acks);
  }
  std::int64_t high_watermark() const { return partition->high_watermark().value(); }
  // Nodes of the ISR that the leader wants; empty: no other than there is.
  std::vector<std::int32_t> wanted(Duration lag_max = Duration::seconds(30)) const {
    std::vector<std::int32_t> ids;
    if (const auto isr = partition->wanted_isr(lag_max); isr.has_value()) {
      for (const Partition::IsrMember& member : *isr) {
        ids.push_back(member.node.value());
      }
    }
    return ids;
  }

  testing::FiberWorld world;
  Leadership image;
  Ref<PositionsLog> log;
  Ref<Partition> partition;
  int isr_news = 0;
  int durable_news = 0;
  int damage_news = 0;
  bool alone = false;  // the node is isolated
  bool ended = false;
};

}  // namespace chronik::replication
