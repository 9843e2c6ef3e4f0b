#include "core/protocol/messages/delete_topics.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DeleteTopicsRequest, DeleteTopicsResponse);

}  // namespace chronik::protocol
