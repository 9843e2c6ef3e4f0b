#include "core/protocol/messages/describe_configs.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DescribeConfigsRequest, DescribeConfigsResponse);

}  // namespace chronik::protocol
