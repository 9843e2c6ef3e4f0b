#include "server/bench/sender.h"

#include <fmt/core.h>

#include <utility>

namespace chronik::bench {

namespace {

using protocol::ErrorCode;

constexpr Duration kPauseBetweenAttempts = Duration::milliseconds(100);

bool may_pass(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kLeaderNotAvailable:
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kRequestTimedOut:
    case ErrorCode::kReplicaNotAvailable:
    case ErrorCode::kNotEnoughReplicas:
    case ErrorCode::kNotEnoughReplicasAfterAppend: return true;
    default: return false;
  }
}

// kUnavailable: worth another attempt. kFailedPrecondition: not.
StatusOr<Offset> try_once(RunContext& run, Lane& lane, PartitionId partition, const Slice& batch,
                          const Deadline& deadline) {
  const BenchOptions& options = run.options;
  StatusOr<std::shared_ptr<client::Client>> client = lane.to_leader(partition, deadline);
  if (!client.ok()) {
    return absl::UnavailableError(server::message_of(client.status()));
  }
  if (options.acks == 0) {
    const Status sent = (*client)->produce_unanswered(options.topic, partition, batch, deadline);
    return sent.ok() ? StatusOr<Offset>(Offset::none()) : absl::UnavailableError(server::message_of(sent));
  }
  const StatusOr<protocol::ProducePartitionResponse> answer =
      (*client)->produce(options.topic, partition, batch, options.acks, deadline);
  if (!answer.ok()) {
    return absl::UnavailableError(server::message_of(answer.status()));
  }
  if (answer->error_code == ErrorCode::kNone) {
    return answer->base_offset;
  }
  const std::string why =
      fmt::format("produce to {}-{}: {}", options.topic, partition.value(), protocol::error_name(answer->error_code));
  return may_pass(answer->error_code) ? absl::UnavailableError(why) : absl::FailedPreconditionError(why);
}

}  // namespace

StatusOr<Offset> send_batch(RunContext& run, Lane& lane, PartitionId partition, const Slice& batch) {
  fiber::Scheduler& scheduler = fiber::Scheduler::current();
  const MonotonicTime end = scheduler.now() + run.options.message_timeout;
  for (;;) {
    const Deadline deadline =
        fiber::within(run.options.request_timeout, Expiry::kPeer).no_later_than(end, Expiry::kPeer);
    StatusOr<Offset> base = try_once(run, lane, partition, batch, deadline);
    if (base.ok() || !absl::IsUnavailable(base.status()) || scheduler.now() + kPauseBetweenAttempts >= end ||
        !fiber::sleep(kPauseBetweenAttempts).ok()) {
      return base;
    }
    run.meter.retried();
    // Where this fails, the next attempt goes where the last one went.
    static_cast<void>(run.cluster.refresh(deadline));
  }
}

StatusOr<Offset> LoneSender::send(Lane& lane, PartitionId partition, const protocol::RecordInput& record) {
  protocol::RecordBatchBuilder builder(protocol::kBatchHeaderBytes +
                                       protocol::RecordBatchBuilder::record_bytes_max(record));
  builder.append(record);
  const Slice batch = run_.options.compression == protocol::Codec::kNone
                          ? builder.build({})
                          : builder.build({}, run_.options.compression, run_.codecs);
  return send_batch(run_, lane, partition, batch);
}

StatusOr<Offset> GatheringSender::send(Lane& /*lane*/, PartitionId partition, const protocol::RecordInput& record) {
  std::shared_ptr<Gathered>& open = open_[partition];
  if (open == nullptr) {
    open = std::make_shared<Gathered>();
    scope_.spawn({"batch", static_cast<std::uint64_t>(partition.value())},
                 [this, partition, gathered = open] { send_gathered(partition, gathered); });
  }
  const std::shared_ptr<Gathered> mine = open;
  const std::int32_t delta = mine->builder.append(record);
  if (mine->builder.size_bytes() >= run_.options.batch_bytes) {
    open = nullptr;
    mine->full.set();
  }
  // As long as its batch may take: whoever sends that knows its deadline.
  RETURN_IF_ERROR(
      mine->answered.wait({WaitKind::kEvent, 10, static_cast<std::uint64_t>(partition.value()), 0}, fiber::for_ever()));
  RETURN_IF_ERROR(mine->base.status());
  return *mine->base == Offset::none() ? *mine->base : *mine->base + delta;
}

bool GatheringSender::finish(const Deadline& deadline) {
  bool all = true;
  for (auto& [partition, lane] : lanes_) {
    all &= lane.finish(deadline);
  }
  return all;
}

void GatheringSender::send_gathered(PartitionId partition, const std::shared_ptr<Gathered>& gathered) {
  // Full, over, or called off: it is sent in any case, and fails where it cannot be.
  static_cast<void>(gathered->full.wait({WaitKind::kEvent, 11, static_cast<std::uint64_t>(partition.value()), 0},
                                        fiber::within(run_.options.linger, Expiry::kNormal)));
  if (open_[partition] == gathered) {
    open_[partition] = nullptr;
  }
  Lane& lane = lanes_.try_emplace(partition, run_.cluster).first->second;
  gathered->base =
      send_batch(run_, lane, partition, gathered->builder.build({}, run_.options.compression, run_.codecs));
  gathered->answered.set();
}

}  // namespace chronik::bench
