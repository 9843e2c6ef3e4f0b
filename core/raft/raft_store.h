// What a member of a Raft group keeps in the key-value store: read at its start, written in the order of Persist.
#pragma once

#include "core/base/deadline.h"
#include "core/base/status.h"
#include "core/ports/key_value_store.h"
#include "core/raft/raft.h"

namespace chronik::raft {

// `first`: the members where the store knows of none yet; it is made to, durably. kDataLoss: what is there does not fit
// together; kFailedPrecondition: written by a newer version; and the store's errors.
StatusOr<StoredRaft> load_raft(KeyValueStore& store, const Membership& first, const Deadline& deadline);

// Appends what `persist` asks for.
void put_persist(StoreBatch& batch, const Persist& persist);
// A snapshot of what has been applied takes the place of the entries up to its last.
void put_snapshot(StoreBatch& batch, const Snapshot& snapshot);

}  // namespace chronik::raft
