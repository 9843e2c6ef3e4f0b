#include "core/protocol/messages/alter_configs.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(AlterConfigsRequest, AlterConfigsResponse);

}  // namespace chronik::protocol
