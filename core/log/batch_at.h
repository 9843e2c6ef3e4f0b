// Where the batch begins that holds an offset.
#pragma once

#include "core/fiber/wait.h"
#include "core/log/partition_log.h"

namespace chronik::log {

// Of the batch that holds `offset`; `offset` itself where none can be read there. Logs begin, and part from each other,
// within batches too: records are deleted up to any offset (DeleteRecords), and the leader's log knows of no epoch
// before its start.
Offset base_of_batch_at(PartitionLog& log, Offset offset, const Deadline& deadline);

}  // namespace chronik::log
