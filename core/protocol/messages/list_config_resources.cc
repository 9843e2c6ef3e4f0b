#include "core/protocol/messages/list_config_resources.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(ListConfigResourcesRequest, ListConfigResourcesResponse);

}  // namespace chronik::protocol
