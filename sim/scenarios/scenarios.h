// Where each file of this folder says what scenario it holds.
#pragma once

#include "sim/scenario.h"

namespace chronik::sim {

const Scenario* echo_scenario();
const Scenario* node_kill_scenario();

}  // namespace chronik::sim
