// Named sets of bounds, by the names that users of the predecessor know. None of them delays a sync by itself: a sync
// starts as soon as the disk is free, and waits for more only where a produce profile asks for that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/base/time.h"
#include "core/wal/options.h"

namespace chronik::server {

struct WalProfile {
  std::string_view name;
  std::string_view aliases;  // separated by spaces
  std::size_t batch_records = 0;
  std::uint64_t batch_bytes = 0;
  Duration wait_max;  // the longest linger
  std::size_t queue_records = 0;
  std::uint64_t rotation_bytes = 0;
};

struct ProduceProfile {
  std::string_view name;
  std::string_view aliases;
  std::size_t batches_min = 0;  // that end the linger
  Duration linger;
  std::uint64_t buffer_bytes = 0;
};

// Errors say which names there are.
StatusOr<const WalProfile*> find_wal_profile(std::string_view name);
StatusOr<const ProduceProfile*> find_produce_profile(std::string_view name);

// The write-ahead log with these bounds; a null profile leaves its defaults. rotation_bytes: 0 leaves the profile's.
// Sizes that depend on the size of a file are cut to fit.
wal::WalOptions wal_options(const WalProfile* wal, const ProduceProfile* produce, std::uint64_t rotation_bytes);

}  // namespace chronik::server
