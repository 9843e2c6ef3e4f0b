#include "core/protocol/messages/describe_producers.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DescribeProducersRequest, DescribeProducersResponse);

}  // namespace chronik::protocol
