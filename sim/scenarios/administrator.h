// An administrator of the topic of a ledger: moves its partitions from node to node, changes its mind, and has leaders
// elected, for as long as faults strike; afterwards it puts every partition on all nodes.
#pragma once

#include "sim/machine.h"
#include "sim/scenarios/group.h"

namespace chronik::sim {

struct AdministratorState {
  std::size_t partitions = 1;
  bool all_in_place = false;  // after all was healed, and nothing that was asked for before can change it any more
  std::string last_look;      // for people: why not
};

// Errors that no administrator may be answered are findings (CONFORM).
void run_administrator(ProcessContext& process, const GroupState& group, AdministratorState& state);

}  // namespace chronik::sim
