// Damaged replicas of this shard, from the moment when damage is found until the log is cut (rule R18).
//
// A damaged replica reports itself, by which it leaves the ISR and the eligible replicas, leads no more, and the leader
// epoch ends. Only then, and before it has told the leader of the new epoch anything of itself, is its log cut at the
// base of the damaged segment, and it follows like any other. So no leader can take it back for what it had before.
// Where nobody else could lead, it stays what it is: the damaged offsets answer an error, and it tries again when the
// partition or a broker has changed.
// Usage: run() in a fiber of its own, which ends with its scope; note() whatever may have news.
#pragma once

#include <absl/container/btree_set.h>

#include <vector>

#include "core/cluster/metadata.h"
#include "core/fiber/wait.h"
#include "core/log/log_key.h"
#include "core/replication/metrics.h"
#include "core/replication/partition.h"

namespace chronik::replication {

// Who follows whom, for the partitions that are repaired. No call may suspend.
class RepairHost {
 public:
  virtual ~RepairHost() = default;
  // Null: it is not hosted here any more.
  virtual Ref<Partition> hosted(const log::LogKey& key) = 0;
  // Whether the leader was told nothing of this replica in its epoch, nor will be before follow_again().
  virtual bool held_back(const log::LogKey& key) = 0;
  virtual void follow_again(const log::LogKey& key) = 0;
};

class Repairs {
 public:
  // All outlive it.
  Repairs(cluster::Metadata& metadata, RepairHost& host, ReplicationMetrics& metrics)
      : metadata_(metadata), host_(host), metrics_(metrics) {}

  // The partition was found to be damaged, or is and has another leader, epoch or ISR.
  void note(const log::LogKey& key);
  // Brokers have changed: another one may be able to lead.
  void note_all();

  void run();

 private:
  bool may_discard(const Partition& partition) const;
  void look();
  void report(const std::vector<Ref<Partition>>& partitions);
  Status discard(const Ref<Partition>& partition);
  void again(const Ref<Partition>& partition) { news_.insert(partition->log().key()); }

  cluster::Metadata& metadata_;
  RepairHost& host_;
  ReplicationMetrics& metrics_;
  absl::btree_set<log::LogKey> damaged_;
  absl::btree_set<log::LogKey> news_;
  absl::btree_set<log::LogKey> last_ones_;  // of damaged_: nobody else could lead, as the log says
  fiber::Event changed_;
};

}  // namespace chronik::replication
