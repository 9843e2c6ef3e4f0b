// Where a log begins, told to a producer whose records it has refused: what that has written before may be deleted.
#pragma once

#include "core/broker/partition_table.h"
#include "core/protocol/messages/produce.h"

namespace chronik::broker {

// For each partition of the topic whose records or sequence were refused. As with Kafka, nothing is told to who sent
// them damaged or too large, nor where they were not looked at. hosted: null where the topic is not here any more.
void tell_log_starts(const HostedTopic* hosted, protocol::ProduceTopicResponse& answers);

}  // namespace chronik::broker
