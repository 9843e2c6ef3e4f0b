#include "core/protocol/messages/offset_for_leader_epoch.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse);

}  // namespace chronik::protocol
