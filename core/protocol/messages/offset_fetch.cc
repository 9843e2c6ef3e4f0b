#include "core/protocol/messages/offset_fetch.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(OffsetFetchRequest, OffsetFetchResponse);

}  // namespace chronik::protocol
