// Something wrong that a run has shown: which checker says so, about what kind of thing, and when.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "sim/virtual_time.h"

namespace chronik::sim {

// One of those whom the wait-for graph of a finding is about.
struct HungFiber {
  ShardId shard;
  std::uint64_t lineage = 0;
  std::string place;  // "broker-1#2.0"
  std::string path;
};

struct Finding {
  std::string checker;  // its id: "ACK-DURABLE", "NO-STUCK"
  std::string message;  // what was seen and what would have been right
  VirtualTime at;
  std::vector<HungFiber> hung = {};  // none where it shows no graph
};

// The same for findings that are alike: by the same checker, which says the same in its first line but for its numbers;
// of a deadlock, the same kinds of fibers wait for the same kinds of things; of a crash, the same CHECK failed, or it
// struck in the same innermost functions.
std::string signature_of(std::string_view checker, std::string_view message);

}  // namespace chronik::sim
