#include "core/protocol/messages/create_partitions.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(CreatePartitionsRequest, CreatePartitionsResponse);

}  // namespace chronik::protocol
