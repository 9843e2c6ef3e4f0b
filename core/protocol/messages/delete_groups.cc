#include "core/protocol/messages/delete_groups.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DeleteGroupsRequest, DeleteGroupsResponse);

}  // namespace chronik::protocol
