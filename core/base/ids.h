// The names of things. Kafka's nouns, Kafka's widths.
#pragma once

#include <cstdint>

#include "core/base/strong_id.h"

namespace chronik {

using NodeId = StrongId<struct NodeIdTag, std::int32_t>;            // broker id; -1: none
using ShardId = StrongId<struct ShardIdTag, std::int32_t>;          // unique over all shards of a process or world
using PartitionId = StrongId<struct PartitionIdTag, std::int32_t>;  // index within its topic
using ProducerId = StrongId<struct ProducerIdTag, std::int64_t>;
using ProducerEpoch = StrongId<struct ProducerEpochTag, std::int16_t>;
using CorrelationId = StrongId<struct CorrelationIdTag, std::int32_t>;

using Offset = StrongOrdinal<struct OffsetTag, std::int64_t>;  // of a record in its partition
using LeaderEpoch = StrongOrdinal<struct LeaderEpochTag, std::int32_t>;
using GenerationId = StrongOrdinal<struct GenerationIdTag, std::int32_t>;  // of a consumer group, of one rebalance
using PartitionEpoch = StrongOrdinal<struct PartitionEpochTag, std::int32_t>;
using BrokerEpoch = StrongOrdinal<struct BrokerEpochTag, std::int64_t>;  // of one registration of one incarnation
using Term = StrongOrdinal<struct TermTag, std::int64_t>;
using LogIndex = StrongOrdinal<struct LogIndexTag, std::int64_t>;        // of an entry of the metadata log
using Lsn = StrongOrdinal<struct LsnTag, std::int64_t>;                  // of a record of a write-ahead log
using FlushNumber = StrongOrdinal<struct FlushNumberTag, std::int64_t>;  // of one write + sync of a write-ahead log
using Generation = StrongOrdinal<struct GenerationTag, std::int64_t>;    // of one use of a write-ahead log file
using OpNumber = StrongOrdinal<struct OpNumberTag, std::int64_t>;        // of an operation that a shard handed out

}  // namespace chronik
