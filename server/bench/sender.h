// Sends messages: each alone, or gathered with others of its partition.
#pragma once

#include <map>
#include <memory>

#include "core/fiber/scope.h"
#include "core/ports/ports.h"
#include "core/protocol/compression.h"
#include "core/protocol/record_batch_builder.h"
#include "server/bench/cluster.h"
#include "server/bench/meter.h"

namespace chronik::bench {

// What the fibers of a run share. All outlive them.
struct RunContext {
  const BenchOptions& options;
  Ports& ports;
  Cluster& cluster;
  Meter& meter;
  protocol::Codecs& codecs;
};

// Sends a batch until it is taken, refused for good, or its time is over. Its base offset; none with acks 0.
StatusOr<Offset> send_batch(RunContext& run, Lane& lane, PartitionId partition, const Slice& batch);

class Sender {
 public:
  virtual ~Sender() = default;
  // Waits until the message's batch is answered. Its offset; none with acks 0.
  virtual StatusOr<Offset> send(Lane& lane, PartitionId partition, const protocol::RecordInput& record) = 0;
  // With acks 0, behind the last message: whether the brokers have taken all that went over connections of its own.
  virtual bool finish(const Deadline& /*deadline*/) { return true; }
};

// Each message is a batch of its own, on the connection of its client.
class LoneSender final : public Sender {
 public:
  explicit LoneSender(RunContext& run) : run_(run) {}
  StatusOr<Offset> send(Lane& lane, PartitionId partition, const protocol::RecordInput& record) override;

 private:
  RunContext& run_;
};

// Messages of one partition gather until --linger-ms is over or --batch-size is reached.
class GatheringSender final : public Sender {
 public:
  // scope: in which batches are sent.
  GatheringSender(RunContext& run, fiber::FiberScope& scope) : run_(run), scope_(scope) {}
  StatusOr<Offset> send(Lane& lane, PartitionId partition, const protocol::RecordInput& record) override;
  bool finish(const Deadline& deadline) override;

 private:
  struct Gathered {
    protocol::RecordBatchBuilder builder;
    fiber::Latch full;
    fiber::Latch answered;
    StatusOr<Offset> base = Offset::none();
  };
  void send_gathered(PartitionId partition, const std::shared_ptr<Gathered>& gathered);

  RunContext& run_;
  fiber::FiberScope& scope_;
  std::map<PartitionId, std::shared_ptr<Gathered>> open_;
  std::map<PartitionId, Lane> lanes_;
};

}  // namespace chronik::bench
