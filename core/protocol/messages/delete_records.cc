#include "core/protocol/messages/delete_records.h"

#include "core/protocol/codec.h"

namespace chronik::protocol {

CHRONIK_MESSAGE(DeleteRecordsRequest, DeleteRecordsResponse);

}  // namespace chronik::protocol
