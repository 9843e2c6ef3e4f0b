// What the scenarios of several nodes share: the nodes themselves and their configuration. Their plans are in
// group_plan.h; who looks at them is in group_watch.h.
//
// Judged in each: an image keeps its invariants, and each change of it does (META-WHOLE); nodes whose images are of the
// same index have the same image (META-AGREE); a node starts from whatever a death left (NODE-START) and does not end
// by itself (NODE-FATAL); what each believes about its logs holds against its own disk (WAL, FSYNC-ERR, EPOCH,
// OFFSET-CONTIG), and what it takes stays within its limits (BOUNDED).
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
#include "sim/scenarios/group_plan.h"

namespace chronik::sim {

inline constexpr const char* kOlderCopyRefused = "older copy refused";

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

  bool space_may_lack = false;            // a start may fail for want of room on the disk
  std::set<std::string> disks_may_fail;   // these may end themselves, or not begin, because of their disks
  std::map<std::string, Status> refused;  // why their latest start was
  std::set<std::string> older_copies;     // these are on an older copy of their disks, and end once they are told
  std::set<std::string> gone;             // these do not come back
  std::map<Term, raft::Member> leaders;   // of the metadata

  std::size_t nodes() const { return configs.size(); }
};

// Begins `state`, and teaches the nemesis what the faults need.
void begin_group(World& world, const Plan& plan, Nemesis& nemesis, GroupState& state);
// Another configuration than that of the plan's knobs may be made in state.configs until the machines start.
Machine& add_group_node(World& world, const PlanMachine& planned, const Plan& plan, Nemesis& nemesis,
                        GroupState& state);
// The program of a node.
void run_group_node(ProcessContext& process, GroupState& state);
// Nodes start as the plan says, the others at once.
void start_all_machines(World& world, const Plan& plan);
// A connection to one of the nodes, whichever.
StatusOr<std::unique_ptr<client::Client>> connect_to_any(ProcessContext& process, const GroupState& state);
StatusOr<std::unique_ptr<client::Client>> connect_to_group_node(ProcessContext& process, NodeId node);

}  // namespace chronik::sim
