// What the plans of several nodes share: machines, knobs, and the faults that strike nodes and what lies between them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/plan.h"
#include "sim/scenario.h"

namespace chronik::sim {

constexpr int kGroupNodes = 3;

// "node-1" and so on.
std::string group_node_name(int number);

// Seed, network and machines of `nodes` nodes; their knobs.
Plan draw_group_plan(const Scenario& scenario, std::uint64_t seed, int nodes, Draws& draws);
// How many nodes: most often three, else one to `most`.
int draw_group_size(Draws& draws, int least, int most);
// Nodes that start one after the other, in whatever order, up to ten seconds apart.
void draw_slow_starts(Plan& plan, Draws draws);
// Orderly stops: all nodes in turn, one after the other, again and again; or any of them at any time.
void draw_stops(Plan& plan, Draws draws);
// Faults of the network among all and among the nodes alone; deaths, stalls, suspensions, clocks. `names`: of all
// machines.
void draw_group_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names);
std::vector<std::string> group_fault_names();
// Those, and what every scenario of a group judges.
std::vector<std::string> with_group_promises(std::vector<std::string> also);

}  // namespace chronik::sim
