#include "core/protocol/messages/offset_commit.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(OffsetCommitRequest, OffsetCommitResponse);

}  // namespace chronik::protocol
