// Faults for a plan, drawn: which kinds are in play at all in this seed (swarm), how many, when, against whom, how
// long.
#pragma once

#include <string>
#include <vector>

#include "sim/decision.h"
#include "sim/plan.h"

namespace chronik::sim {

// Each adds faults of its kinds to plan.faults, within plan.lasts. `machines`: who may be struck; not empty.
void draw_deaths(Plan& plan, Draws draws, const std::vector<std::string>& machines);       // process kill, power loss
void draw_suspensions(Plan& plan, Draws draws, const std::vector<std::string>& machines);  // suspend
void draw_clock_steps(Plan& plan, Draws draws, const std::vector<std::string>& machines);  // clock step
// Partitions, clogs, slow and thin links, broken connections; and, in the network's knobs, odds of resets, refusals and
// the like for all connections.
void draw_network_faults(Plan& plan, Draws draws, const std::vector<std::string>& machines);

// What befalls who passes a few points of core's code (core/base/sim_point.h); none in most seeds. A process may also
// die there, where it may die in this plan at all.
void draw_point_faults(Plan& plan, Draws draws, const std::vector<std::string>& machines);

// What World::fault_fired calls them, for Scenario::announced_faults().
std::vector<std::string> death_fault_names();
std::vector<std::string> network_fault_names();

}  // namespace chronik::sim
