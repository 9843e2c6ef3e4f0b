#include "core/protocol/messages/heartbeat.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(HeartbeatRequest, HeartbeatResponse);

}  // namespace chronik::protocol
