#include "core/protocol/messages/sync_group.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(SyncGroupRequest, SyncGroupResponse);

}  // namespace chronik::protocol
