// Something wrong that a run has shown: which checker says so, about what kind of thing, and when.
#pragma once

#include <string>

#include "sim/virtual_time.h"

namespace chronik::sim {

struct Finding {
  std::string checker;  // its id: "ACK-DURABLE", "NO-STUCK"
  std::string message;  // what was seen and what would have been right
  VirtualTime at;
};

}  // namespace chronik::sim
