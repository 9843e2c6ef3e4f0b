#include "core/protocol/messages/init_producer_id.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(InitProducerIdRequest, InitProducerIdResponse);

}  // namespace chronik::protocol
