#include "core/protocol/messages/offset_delete.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(OffsetDeleteRequest, OffsetDeleteResponse);

}  // namespace chronik::protocol
