#include "core/protocol/messages/describe_topic_partitions.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse);

}  // namespace chronik::protocol
