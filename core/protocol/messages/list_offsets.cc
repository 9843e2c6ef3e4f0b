#include "core/protocol/messages/list_offsets.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(ListOffsetsRequest, ListOffsetsResponse);

}  // namespace chronik::protocol
