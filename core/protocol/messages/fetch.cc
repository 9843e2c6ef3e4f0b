#include "core/protocol/messages/fetch.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(FetchRequest, FetchResponse);

}  // namespace chronik::protocol
