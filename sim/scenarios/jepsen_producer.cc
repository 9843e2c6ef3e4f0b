// Who leads, and how a client of the scenario `jepsen` sends.
#include <fmt/core.h>

#include "core/fiber/wait.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/record_batch_builder.h"
#include "sim/scenarios/jepsen_parts.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

using protocol::ErrorCode;

namespace {

constexpr std::int16_t kJepsenIdVersion = 4;
constexpr std::int64_t kBackoffLeastMs = 20;
constexpr std::int64_t kBackoffMostMs = 220;

// The broker has not taken it and never will.
bool is_refusal(ErrorCode error) {
  return error == ErrorCode::kNotEnoughReplicas || error == ErrorCode::kInvalidTimestamp;
}

}  // namespace

Status JepsenLeaders::find() {
  if (!known_) {
    RETURN_IF_ERROR(leaders_.refresh());
    known_ = true;
  }
  return ok();
}

StatusOr<client::Client*> JepsenLeaders::of(jepsen::Key key) {
  const auto partition = static_cast<std::size_t>(key);
  LeaderEpoch& epoch = epochs_.at(partition);
  const LeaderEpoch told = leaders_.epoch_of(partition);
  if (told < epoch) {
    doubt();
    return absl::UnavailableError("that was so in an earlier epoch");
  }
  epoch = told;
  StatusOr<client::Client*> leader = leaders_.leader_of(partition);
  if (!leader.ok() || (*leader)->broken()) {
    doubt();
    return absl::UnavailableError("nobody leads, or cannot be reached");
  }
  return leader;
}

// ---- producing ----

// A producer's id, of whichever node. False: not now.
bool JepsenProducer::take_identity() {
  const StatusOr<std::unique_ptr<client::Client>> any = connect_to_any(process_, state_);
  if (!any.ok()) {
    return false;
  }
  const protocol::InitProducerIdRequest request;
  const auto got = (*any)->call<protocol::InitProducerIdResponse>(request, kJepsenIdVersion, node_patience());
  if (!got.ok() || got->error_code != ErrorCode::kNone) {
    return false;
  }
  id_ = got->producer_id;
  epoch_ = got->producer_epoch;
  return true;
}

Slice JepsenProducer::batch_of(jepsen::Key key, const std::vector<jepsen::Value>& values) {
  protocol::RecordBatchBuilder builder;
  for (const jepsen::Value value : values) {
    const std::string bytes = Ledger::bytes_of(static_cast<std::uint64_t>(value), state_.bytes);
    builder.append({.timestamp = process_.ports.clock.wall(), .key = {}, .value = as_bytes(bytes), .headers = {}});
  }
  return state_.idempotent
             ? builder.build({.producer_id = id_, .producer_epoch = epoch_, .base_sequence = sequences_[key]})
             : builder.build({});
}

JepsenProducer::Delivery JepsenProducer::deliver(jepsen::Key key, const std::vector<jepsen::Value>& values) {
  using Kind = Delivery::Kind;
  World& world = *state_.world;
  const VirtualTime until = world.now() + state_.delivery_timeout;
  Delivery delivery{.kind = Kind::kRefused, .error = "not-sent"};
  Slice batch;  // the same in every attempt
  bool first = true;
  for (; first || world.now() < until; sleep_between(process_, kBackoffLeastMs, kBackoffMostMs)) {
    first = false;
    if (state_.idempotent && id_ == ProducerId::none() && !take_identity()) {
      continue;
    }
    if (!leaders_.find().ok()) {
      continue;
    }
    const StatusOr<client::Client*> leader = leaders_.of(key);
    if (!leader.ok()) {
      continue;
    }
    if (batch.empty()) {
      batch = batch_of(key, values);
    } else {
      world.fault_fired("send retried");
    }
    const Deadline patience =
        world.now() < state_.healed ? fiber::within(state_.request_timeout, Expiry::kNormal) : node_patience();
    const auto answer = (*leader)->produce(kLedgerTopic, partition_id(static_cast<std::size_t>(key)), batch,
                                           /*acks=*/-1, patience);
    const ErrorCode error = answer.ok() ? answer->error_code : ErrorCode::kNone;
    if (answer.ok() && error == ErrorCode::kNone) {
      sequences_[key] += static_cast<std::int32_t>(values.size());
      return {.kind = Kind::kTaken, .base_offset = answer->base_offset.value()};
    }
    leaders_.doubt();
    judge_error(error);
    if (!is_refusal(error)) {
      delivery.kind = Kind::kUnknown;
    }
    delivery.error = error == ErrorCode::kNone ? "timeout" : std::string(protocol::error_name(error));
    if (error == ErrorCode::kInvalidTimestamp) {
      break;  // clocks step; it will not be better for being sent again
    }
  }
  return delivery;
}

void JepsenProducer::judge_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::kNone:
    case ErrorCode::kInvalidTimestamp:
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kNotEnoughReplicas:
    case ErrorCode::kNotEnoughReplicasAfterAppend:
    case ErrorCode::kRequestTimedOut: return;
    default: state_.world->fail("CONFORM", fmt::format("produce: {}", protocol::error_name(error)));
  }
}

}  // namespace chronik::sim
