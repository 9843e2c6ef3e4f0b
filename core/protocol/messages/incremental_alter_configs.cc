#include "core/protocol/messages/incremental_alter_configs.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse);

}  // namespace chronik::protocol
