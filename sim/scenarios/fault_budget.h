// What may still be taken from a group without a promise being broken, and what was: the world's own account, from the
// images that nodes serve under. Checker BUDGET.
//
// The promise is that what was acknowledged is there as long as one replica that was in sync keeps its disk, and that
// all goes on as long as a majority of the voters do. A disk may be taken that leaves both; a disk that has lied may
// have forgotten what it said, so until it has caught up again nobody else may go, and it counts for nobody. Whoever
// does not come back has to prove why.
#pragma once

#include <set>
#include <string>

#include "sim/scenarios/replicated.h"

namespace chronik::sim {

class FaultBudget {
 public:
  FaultBudget(World& world, ReplicatedState& state) : world_(world), state_(state) {}

  // Whether everything that was acknowledged is still promised without that node's disk, by the latest image.
  bool may_lose_disk(const std::string& node);
  // Whether the node may go for a while, and come back with its disk.
  bool may_be_away(const std::string& node);

  void lose_disk(const std::string& node) { gone_.insert(node); }
  void disk_lies(const std::string& node) { liar_ = node; }

  // At the end: how many nodes have to serve. A liar that refuses to start with what is left is excused where its disk
  // has lied and it says that something is missing; else that is a finding.
  std::size_t to_serve();

 private:
  const node::Node* latest() const;
  bool has_caught_up(const std::string& node) const;

  World& world_;
  ReplicatedState& state_;
  std::set<std::string> gone_;
  std::string liar_;  // who may have forgotten something; empty: nobody
};

}  // namespace chronik::sim
