// Knobs of network and machines as named numbers of a plan, and back. What a plan does not name keeps its default.
#pragma once

#include "sim/machine.h"
#include "sim/network_knobs.h"
#include "sim/plan.h"

namespace chronik::sim {

void store_knobs(const NetworkKnobs& knobs, Numbers& into);
NetworkKnobs network_knobs(const Numbers& from);

void store_knobs(const TurnKnobs& turns, const ClockKnobs& clock, Numbers& into);
TurnKnobs turn_knobs(const Numbers& from);
ClockKnobs clock_knobs(const Numbers& from);

// A machine as ordinary ones are: some drift, some grain, turns that cost what they may.
PlanMachine draw_machine(std::string name, std::string role, Draws& draws);

}  // namespace chronik::sim
