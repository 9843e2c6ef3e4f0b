#include "core/protocol/messages/leave_group.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(LeaveGroupRequest, LeaveGroupResponse);

}  // namespace chronik::protocol
