#include "core/protocol/messages/alter_partition_reassignments.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse);

}  // namespace chronik::protocol
