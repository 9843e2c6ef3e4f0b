// Who this data directory is: kept in the key-value store, written before anything else in it.
//
// A directory that comes back with a lower start counter than others remember is a copy or a restored backup (rule
// R15).
#pragma once

#include <cstdint>

#include "core/base/deadline.h"
#include "core/base/status.h"
#include "core/base/uuid.h"
#include "core/ports/key_value_store.h"
#include "core/ports/random.h"

namespace chronik::raft {

struct Identity {
  Uuid cluster;
  DirectoryId directory;
  std::int64_t start_counter = 0;  // 1 for the first start
};

// Counts this start, durably; makes an identity where the store is empty. The caller ends the process with kStoreFailed
// where the commit fails, with kDataDirectory on kDataLoss (entries, but no identity; or a damaged one) and
// kFailedPrecondition (a newer format).
Status store_identity(KeyValueStore& store, const Identity& identity, const Deadline& deadline);
StatusOr<Identity> open_identity(KeyValueStore& store, Random& random, const Deadline& deadline);

}  // namespace chronik::raft
