// What the scenarios of several nodes share: the nodes themselves, their configuration, the faults that strike them,
// and the judgement of their images.
//
// Judged in each: an image keeps its invariants, and each change of it does (META-WHOLE); nodes whose images are of the
// same index have the same image (META-AGREE); a node starts from whatever a death left (NODE-START) and does not end
// by itself (NODE-FATAL).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/observer.h"
#include "core/node/node.h"
#include "sim/machine.h"
#include "sim/scenario.h"

namespace chronik::sim {

constexpr int kGroupNodes = 3;

struct GroupState : ScenarioState {
  World* world = nullptr;
  VirtualTime healed;
  std::map<std::string, node::NodeConfig> configs;  // by the machine's name
  std::map<std::string, const node::Node*> serving;
  // What is asked of a node, by name, as an administrator does over HTTP: done in a fiber of its process.
  using Order = std::function<void(node::Node&)>;
  bool takes_orders = false;
  std::map<std::string, std::deque<Order>> orders;
  std::set<std::string> may_be_removed;         // these may end, or not begin, because they were removed
  std::map<LogIndex, std::uint32_t> images;     // checksums, of the first node that had one
  std::map<PartitionRef, LeaderEpoch> unclean;  // the latest epoch of each that an image marks so
  std::function<void(const PartitionRef&, const cluster::Partition&)> on_partition;  // of each that an image changes
  // Orderly stops that are still to come, in the order of time, and for how long the latest one is; by machine's name.
  std::map<std::string, std::vector<PlanOperation>> stops;
  std::map<std::string, Duration> down;
  std::map<std::string, Duration> away;  // the same for whom a scenario is about to kill

  std::set<std::string> shunned;  // clients ask others who leads

  bool space_may_lack = false;           // a start may fail for want of room on the disk
  std::set<std::string> disks_may_fail;  // these may end themselves, or not begin, because of their disks

  std::size_t nodes() const { return configs.size(); }
};

// "node-1" and so on.
std::string group_node_name(int number);

// ---- a plan ----
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

// ---- a world ----
// Begins `state`, and teaches the nemesis what the faults need.
void begin_group(World& world, const Plan& plan, Nemesis& nemesis, GroupState& state);
// Another configuration than that of the plan's knobs may be made in state.configs until the machines start.
Machine& add_group_node(World& world, const PlanMachine& planned, const Plan& plan, Nemesis& nemesis,
                        GroupState& state);
// The program of a node.
void run_group_node(ProcessContext& process, GroupState& state);
// Nodes start as the plan says, the others at once.
void start_all_machines(World& world, const Plan& plan);
// Adds the checker HW-MONO over the nodes of `state`.
void watch_watermarks(World& world, const GroupState& state);
// Adds the checker IN-SYNC over them. min_in_sync: min.insync.replicas, of all topics.
void watch_in_sync(World& world, GroupState& state, std::size_t min_in_sync);

// A connection to one of the nodes, whichever.
StatusOr<std::unique_ptr<client::Client>> connect_to_any(ProcessContext& process, const GroupState& state);
StatusOr<std::unique_ptr<client::Client>> connect_to_group_node(ProcessContext& process, NodeId node);

// At the end, all healed: everybody serves, with one image. False where that was a finding. `nodes`: who is to serve.
bool judge_images(World& world, const GroupState& state, std::size_t nodes);
inline bool judge_images(World& world, const GroupState& state) { return judge_images(world, state, state.nodes()); }

}  // namespace chronik::sim
