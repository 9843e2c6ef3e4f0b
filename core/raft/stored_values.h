// Keys and values of the consensus in the key-value store. docs/formats/store.md draws them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/raft/consensus.h"
#include "core/raft/identity.h"
#include "core/raft/raft.h"

namespace chronik::raft {

inline constexpr std::string_view kIdentityKey = "identity";
inline constexpr std::string_view kOlderCopyKey = "older-copy";  // why the directory is not to be used any more
inline constexpr std::string_view kHardStateKey = "raft/hard-state";
inline constexpr std::string_view kSnapshotKey = "raft/snapshot";

// Keys of entries are in the order of their indexes.
std::string entry_key(LogIndex index);
// Just above the key of every entry.
std::string entry_keys_end();

std::string encode_identity(const Identity& identity);
std::string encode_hard_state(const HardState& hard);
std::string encode_entry(const Entry& entry);
std::string encode_snapshot(const Snapshot& snapshot);

// Total. kDataLoss: damaged; kFailedPrecondition: written by a newer version of the program.
StatusOr<Identity> decode_identity(std::string_view value);
StatusOr<HardState> decode_hard_state(std::string_view value);
// The entry must be the one of `index`.
StatusOr<Entry> decode_entry(LogIndex index, std::string_view value);
// Written by version 1, a snapshot says nothing of members: then it has `otherwise`.
StatusOr<Snapshot> decode_snapshot(std::string_view value, const Membership& otherwise);

}  // namespace chronik::raft
