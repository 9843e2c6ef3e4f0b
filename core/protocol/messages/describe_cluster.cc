#include "core/protocol/messages/describe_cluster.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DescribeClusterRequest, DescribeClusterResponse);

}  // namespace chronik::protocol
