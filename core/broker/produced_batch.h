// A batch that a client produced, and what its topic asks of it.
#pragma once

#include <cstdint>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/base/time.h"
#include "core/cluster/settings.h"
#include "core/log/partition_log.h"
#include "core/protocol/compression.h"
#include "core/protocol/record_batch_validate.h"

namespace chronik::broker {

// What is looked at before it is appended. `version`: of the Produce request.
protocol::ProduceChecks checks_of(const cluster::TopicSettings& settings, std::int16_t version, WallTime now);

// What the log is told of it. Offsets count from the batch's own.
log::BatchSummary summary_of(const protocol::ProduceVerdict& verdict);

// Into the topic's own codec, where the producer chose another: a view of `records` ends with that. ResourceExhausted:
// larger than max.message.bytes then. `records` has passed the checks.
Status recompress_for(const cluster::TopicSettings& settings, protocol::Codec produced, protocol::Codecs& codecs,
                      Slice& records);

}  // namespace chronik::broker
