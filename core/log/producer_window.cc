#include "core/log/producer_window.h"

#include <limits>

#include "core/base/check.h"

namespace chronik::log {

using protocol::ErrorCode;

namespace {

std::int32_t after(std::int32_t sequence) {
  return sequence == std::numeric_limits<std::int32_t>::max() ? 0 : sequence + 1;
}

ProducerVerdict refuse(ErrorCode error) { return {.kind = ProducerVerdict::Kind::kRefuse, .error = error}; }

}  // namespace

ProducerVerdict ProducerWindow::check(const ProducerBatch& batch) const {
  if (!batch.present()) {
    return {};
  }
  const auto found = producers_.find(batch.id);
  if (found == producers_.end()) {
    return {};  // nothing is known of it (any more): any sequence begins (KAFKA-7190 and after)
  }
  const ProducerState& known = found->second;
  if (batch.epoch < known.epoch) {
    return refuse(ErrorCode::kInvalidProducerEpoch);
  }
  if (batch.epoch > known.epoch) {
    return batch.first_sequence == 0 ? ProducerVerdict{} : refuse(ErrorCode::kOutOfOrderSequenceNumber);
  }
  for (std::size_t i = 0; i < known.count; ++i) {
    const ProducerBatchEntry& entry = known.batches[i];
    if (entry.first_sequence == batch.first_sequence && entry.last_sequence == batch.last_sequence) {
      return {.kind = ProducerVerdict::Kind::kDuplicate,
              .base_offset = entry.base_offset,
              .last_offset = entry.last_offset};
    }
  }
  if (known.count > 0 && batch.first_sequence != after(known.batches[known.count - 1].last_sequence)) {
    return refuse(ErrorCode::kOutOfOrderSequenceNumber);
  }
  return {};
}

void ProducerWindow::record(const ProducerBatch& batch, Offset base_offset, Offset last_offset, WallTime seen) {
  if (!batch.present()) {
    return;
  }
  ProducerState& state = producers_[batch.id];
  if (batch.epoch != state.epoch) {
    state = ProducerState{};
    state.epoch = batch.epoch;
  }
  if (state.count == kProducerBatches) {
    for (std::size_t i = 1; i < kProducerBatches; ++i) {
      state.batches[i - 1] = state.batches[i];
    }
    --state.count;
  }
  state.batches[state.count++] = {batch.first_sequence, batch.last_sequence, base_offset, last_offset};
  state.last_seen = seen;
}

void ProducerWindow::expire(WallTime before) {
  absl::erase_if(producers_, [before](const auto& entry) { return entry.second.last_seen < before; });
}

void ProducerWindow::truncate(Offset to) {
  for (auto& [id, state] : producers_) {
    while (state.count > 0 && state.batches[state.count - 1].last_offset >= to) {
      --state.count;
    }
  }
  for (auto at = producers_.begin(); at != producers_.end();) {
    at = at->second.count == 0 ? producers_.erase(at) : std::next(at);
  }
}

}  // namespace chronik::log
