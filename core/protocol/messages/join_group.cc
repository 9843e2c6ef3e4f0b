#include "core/protocol/messages/join_group.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(JoinGroupRequest, JoinGroupResponse);

}  // namespace chronik::protocol
