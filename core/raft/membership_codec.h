// The bytes of a membership, as an entry of the log and in a stored snapshot.
#pragma once

#include <string>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/raft/membership.h"

namespace chronik::raft {

// There is a voter, the lists ascend and are of a size that a group can have, no node is in two, and addresses are
// those of members.
bool is_sound(const Membership& membership);
std::string encode_membership(const Membership& membership);
// Total. kDataLoss: not what encode_membership() gives.
StatusOr<Membership> decode_membership(ByteSpan bytes);

}  // namespace chronik::raft
