// Who this data directory is: kept in the key-value store, written before anything else in it.
//
// Each start of a directory is counted and has an incarnation of its own, and remembers those before it: by that others
// tell a copy or a restored backup from the directory that they know (rule R15, lives.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

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
  Uuid incarnation = {};           // of this start
  std::vector<Uuid> earlier = {};  // of those before it, the latest last
};
inline constexpr std::size_t kEarlierStartsKept = 16;

// Counts this start, durably; makes an identity where the store is empty. The caller ends the process with kStoreFailed
// where the commit fails, with kDataDirectory on kDataLoss (entries, but no identity; a damaged one; or one that
// mark_older_copy() has marked) and kFailedPrecondition (a newer format).
StatusOr<Identity> open_identity(KeyValueStore& store, Random& random, const Deadline& deadline);
Status store_identity(KeyValueStore& store, const Identity& identity, const Deadline& deadline);
// From then on it cannot be opened: a copy that is started again and again must not outlast the memory of the others.
Status mark_older_copy(KeyValueStore& store, std::string_view why, const Deadline& deadline);

}  // namespace chronik::raft
