// Checker IN-SYNC (rules R7, R8, R9): what is committed is where it is said to be.
//
// Whenever a high watermark rises above all that there were, every replica that the image has in sync or eligible is
// durable up to there, and at least min.insync.replicas of all are; and whoever becomes either is durable with all that
// was ever committed. So any of them may lead. That holds at each moment, long before a loss shows that it did not: a
// replica that is wrongly counted on is found although nothing befalls the others. No replica believes in a high
// watermark beyond what it has itself. Somebody is eligible only while too few are in sync, and while the replicas are
// the same, those in sync and those eligible together do not become too few.
//
// A node that is down has what it had. Partitions that were led uncleanly are not judged; nor may a replica lose what
// it has by itself: where disks rot or are lost, this is the wrong checker.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/observer.h"
#include "core/cluster/image.h"
#include "sim/checkers.h"
#include "sim/world.h"

namespace chronik::sim {

class InSyncChecker final : public Checker {
 public:
  struct Views {
    std::function<NodeId(const Machine& machine)> node;
    // As this node's image has it; null: it does not serve (yet), or knows of none. Lives as long as nothing runs.
    std::function<const cluster::Partition*(const Machine& machine, const PartitionRef& p)> partition;
    std::size_t min_in_sync = 1;  // of a partition with fewer replicas: their number
  };
  InSyncChecker(World& world, Views views);
  ~InSyncChecker() override;

  const char* id() const override { return "IN-SYNC"; }
  Observer* observe(Shard& shard) override;
  void on_exit(Machine& machine, const Exit& exit) override;
  // Some node's image says this.
  void on_partition(const PartitionRef& p, const cluster::Partition& partition);

 private:
  class Life;
  struct Known {
    PartitionEpoch epoch = PartitionEpoch(-1);  // the latest that any image has
    cluster::ReplicaList replicas;
    std::vector<NodeId> counted_on;  // in sync or eligible by then
    Offset committed{0};
    bool gone = false;  // a replica was deleted that is counted on: the topic was
    bool unclean = false;
  };
  void rise(const Machine& machine, const PartitionRef& p, Offset high_watermark);
  // False: no news.
  bool learn(const PartitionRef& p, Known& known, const cluster::Partition& partition);
  Offset durable_end(const PartitionRef& p, NodeId node) const;
  void judge(const PartitionRef& p, const Known& known, const std::string& when);

  World& world_;
  Views views_;
  std::map<const Machine*, std::unique_ptr<Life>> lives_;
  std::map<PartitionRef, Known> partitions_;
  std::map<std::pair<PartitionRef, NodeId>, Offset> durable_;  // none: the node has no such replica
};

}  // namespace chronik::sim
