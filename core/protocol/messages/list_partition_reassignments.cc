#include "core/protocol/messages/list_partition_reassignments.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse);

}  // namespace chronik::protocol
