#include "core/protocol/messages/find_coordinator.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(FindCoordinatorRequest, FindCoordinatorResponse);

}  // namespace chronik::protocol
