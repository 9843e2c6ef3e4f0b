// Something wrong that a run has shown: which checker says so, about what kind of thing, and when.
#pragma once

#include <string>
#include <string_view>

#include "sim/virtual_time.h"

namespace chronik::sim {

struct Finding {
  std::string checker;  // its id: "ACK-DURABLE", "NO-STUCK"
  std::string message;  // what was seen and what would have been right
  VirtualTime at;
};

// The same for findings that are alike: by the same checker, which says the same in its first line but for its numbers;
// of a deadlock, the same kinds of fibers wait for the same kinds of things; of a crash, the same CHECK failed, or it
// struck in the same innermost functions.
std::string signature_of(std::string_view checker, std::string_view message);

}  // namespace chronik::sim
