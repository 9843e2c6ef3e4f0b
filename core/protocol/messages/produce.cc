#include "core/protocol/messages/produce.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(ProduceRequest, ProduceResponse);

}  // namespace chronik::protocol
