#include "core/protocol/messages/describe_log_dirs.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DescribeLogDirsRequest, DescribeLogDirsResponse);

}  // namespace chronik::protocol
