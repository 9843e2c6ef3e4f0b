#include "core/protocol/messages/metadata.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(MetadataRequest, MetadataResponse);

}  // namespace chronik::protocol
