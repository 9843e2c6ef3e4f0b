#include "core/protocol/messages/create_topics.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(CreateTopicsRequest, CreateTopicsResponse);

}  // namespace chronik::protocol
