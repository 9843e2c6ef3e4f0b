#include "core/broker/produce_order.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/cluster/topic_names.h"
#include "core/protocol/record_batch.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

// Sequence numbers go round, from 2^31 - 1 to 0.
bool comes_behind(std::int32_t sequence, std::int32_t other) {
  constexpr std::uint32_t kRound = 0x7fffffff;
  const std::uint32_t distance = (static_cast<std::uint32_t>(sequence) - static_cast<std::uint32_t>(other)) & kRound;
  return distance != 0 && distance <= kRound / 2;
}

// Whether a batch that was answered so may be missing, and comes again. What is damaged comes again as it is; what was
// appended is there.
bool may_be_missing(ErrorCode error) {
  return protocol::retriable(error) && error != ErrorCode::kCorruptMessage &&
         error != ErrorCode::kNotEnoughReplicasAfterAppend;
}

}  // namespace

ErrorCode ProduceOrder::check(const Batch& batch) {
  const auto found = refusals_.empty() ? refusals_.end() : refusals_.find(key_of(batch));
  if (found == refusals_.end()) {
    return ErrorCode::kNone;
  }
  Refusal& refusal = found->second;
  const bool comes_again = !comes_behind(batch.producer.first_sequence, refusal.latest);
  if (batch.producer.epoch != refusal.epoch || comes_again) {
    refusals_.erase(found);
    return ErrorCode::kNone;
  }
  refusal.latest = batch.producer.first_sequence;
  // Others would say of it what is not so: that it may have been stored, or what is wrong with it.
  return refusal.error == ErrorCode::kNotEnoughReplicas ? refusal.error : ErrorCode::kNotLeaderOrFollower;
}

void ProduceOrder::refuse(const Batch& batch, ErrorCode error) {
  if (!may_be_missing(error) || batch.topic.size() > cluster::kTopicNameBytesMax) {
    return;  // there is no topic of a longer name, and never will be
  }
  const Key key = key_of(batch);
  const auto found = refusals_.find(key);
  if (found != refusals_.end() && batch.producer.epoch == found->second.epoch) {
    if (comes_behind(batch.producer.first_sequence, found->second.latest)) {
      found->second.latest = batch.producer.first_sequence;
    }
    return;
  }
  if (found == refusals_.end() && refusals_.size() == kRefusalsMax) {
    forget_oldest();
  }
  refusals_[key] = {
      .epoch = batch.producer.epoch, .latest = batch.producer.first_sequence, .error = error, .number = ++refused_};
}

void ProduceOrder::forget_oldest() {
  refusals_.erase(std::min_element(refusals_.begin(), refusals_.end(), [](const auto& one, const auto& other) {
    return one.second.number < other.second.number;
  }));
}

NodeId ProduceOrder::under_way_to(const Batch& batch) const {
  if (under_way_.empty()) {
    return NodeId::none();
  }
  const auto found = under_way_.find(key_of(batch));
  return found == under_way_.end() ? NodeId::none() : found->second.leader;
}

void ProduceOrder::start(const Batch& batch, NodeId leader) {
  UnderWay& under_way = under_way_[key_of(batch)];
  CHECK(under_way.batches == 0 || under_way.leader == leader);
  under_way.leader = leader;
  ++under_way.batches;
}

void ProduceOrder::end(const Batch& batch) {
  const auto found = under_way_.find(key_of(batch));
  CHECK(found != under_way_.end());
  if (--found->second.batches == 0) {
    under_way_.erase(found);
  }
}

log::ProducerBatch producer_of(ByteSpan records) {
  protocol::RecordBatchView view;
  if (protocol::RecordBatchView::parse(records, view) != protocol::BatchDefect::kNone || !view.has_producer()) {
    return {};
  }
  return {.id = view.producer_id(),
          .epoch = view.producer_epoch(),
          .first_sequence = view.base_sequence(),
          .last_sequence = view.last_sequence()};
}

}  // namespace chronik::broker
