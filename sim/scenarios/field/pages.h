// The pages of this folder, and what became of the entries of the list of failures that are none.
#pragma once

#include <vector>

#include "sim/scenario.h"

namespace chronik::sim {

using Pages = std::vector<const Scenario*>;
Pages pages_on_acknowledging();
Pages pages_on_silence();
Pages pages_on_frozen_nodes();
Pages pages_on_elections();
Pages pages_on_metadata();
Pages pages_on_topics();
Pages pages_on_one_log();
Pages pages_on_one_node();

// All of them, by name.
const Pages& field_pages();

// A failure of the field that no page is about.
struct HeldElsewhere {
  const char* entry;  // "f45"
  const char* what;
  const char* by;  // which scenario, test or benchmark holds it; or what it waits for
  bool waits;
};
const std::vector<HeldElsewhere>& held_elsewhere();

}  // namespace chronik::sim
