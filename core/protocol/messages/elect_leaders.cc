#include "core/protocol/messages/elect_leaders.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(ElectLeadersRequest, ElectLeadersResponse);

}  // namespace chronik::protocol
