// The producer's part of a batch, as its header says.
#pragma once

#include "core/log/producer_window.h"
#include "core/protocol/record_batch.h"

namespace chronik::log {

inline ProducerBatch producer_of(const protocol::RecordBatchView& batch) {
  return batch.has_producer() ? ProducerBatch{.id = batch.producer_id(),
                                              .epoch = batch.producer_epoch(),
                                              .first_sequence = batch.base_sequence(),
                                              .last_sequence = batch.last_sequence()}
                              : ProducerBatch{};
}

}  // namespace chronik::log
