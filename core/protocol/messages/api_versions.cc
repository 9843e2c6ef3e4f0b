#include "core/protocol/messages/api_versions.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(ApiVersionsRequest, ApiVersionsResponse);

}  // namespace chronik::protocol
