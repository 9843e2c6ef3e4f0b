#include "core/protocol/messages/describe_groups.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DescribeGroupsRequest, DescribeGroupsResponse);

}  // namespace chronik::protocol
