#include "core/protocol/messages/list_groups.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(ListGroupsRequest, ListGroupsResponse);

}  // namespace chronik::protocol
