// How a produce is refused: what a partition's answer says then. Each returns false, for its caller to return.
#pragma once

#include <string_view>

#include "core/protocol/messages/produce.h"
#include "core/protocol/record_batch_validate.h"

namespace chronik::broker {

bool refuse(protocol::ProducePartitionResponse& answer, protocol::ErrorCode error, std::string_view message = {});

// What is wrong with the records. Where it is not for their damage or their size alone, the client is told where the
// log begins.
bool refuse_records(protocol::ProducePartitionResponse& answer, protocol::ProduceVerdict verdict, Offset log_start);

// What the log has said. A producer whose sequence is refused looks where the log begins: what it wrote before may have
// been deleted.
bool refuse_append(protocol::ProducePartitionResponse& answer, protocol::ErrorCode error, Offset log_start);

}  // namespace chronik::broker
