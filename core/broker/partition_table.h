// The partitions that this shard hosts, by topic name, by topic id and index: where the router looks first.
//
// It follows the image: apply() opens, changes and closes partitions as a delta says. Requests hold what they found by
// reference count, so a topic that is deleted under them is closed, not dangling.
#pragma once

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/counted.h"
#include "core/cluster/delta.h"
#include "core/cluster/image.h"
#include "core/cluster/settings.h"
#include "core/log/log_manager.h"
#include "core/replication/partition.h"
#include "core/replication/replication.h"

namespace chronik::broker {

struct HostedTopic : Counted {
  std::string name;
  TopicId id;
  cluster::TopicSettings settings;
  std::vector<Ref<replication::Partition>> partitions;  // by index; null: not hosted here, or without a log yet
  absl::btree_set<PartitionId> lacking;                 // of those that are led here, whose log could not be made yet

  // kNotLeaderOrFollower: hosted elsewhere; kKafkaStorageError: its log could not be made yet.
  protocol::ErrorCode find(PartitionId index, Ref<replication::Partition>& partition) const;
};

class PartitionTable {
 public:
  // `file`: the node's configuration file; outlives the table.
  PartitionTable(log::LogManager& logs, replication::Replication& replication, NodeId self,
                 const cluster::ConfigMap& file)
      : logs_(logs), replication_(replication), self_(self), file_(file) {}

  // Null: no such topic here.
  HostedTopic* find(std::string_view name) const;
  HostedTopic* find(const TopicId& id) const;

  // Follows the image. Does not suspend. Returns the logs to be removed: those of deleted topics, and of replicas that
  // are none any more. Each removal is expected until its end is told.
  std::vector<log::LogKey> apply(const cluster::Delta& delta);
  // A log that is about to be removed is not used again: should its partition come back, it gets another one, later.
  void expect_removal(const log::LogKey& key) { removals_.insert(key); }
  void end_removal(const log::LogKey& key) { removals_.erase(key); }
  // Whether a partition has no log because the write-ahead log had no room for its creation, or because its former log
  // has yet to go; make_missing_logs() tries again.
  bool lacks_logs() const { return !lacking_.empty(); }
  void make_missing_logs(const cluster::Image& image);
  // Replicas that are counted on and had a log once, which is not there: they are reported, and begin anew, empty, only
  // when that is done (rule R12).
  const absl::btree_set<log::LogKey>& lost() const { return lost_; }
  void begin_lost_anew(const log::LogKey& key);
  // Whether a log was made since it was asked last.
  bool take_made_logs() { return std::exchange(made_logs_, false); }
  // Everybody who waits is told that this node serves no more.
  void close_all();
  std::size_t partitions() const { return partition_count_; }

 private:
  cluster::TopicSettings settings_of(const cluster::Image& image, const cluster::Topic& topic) const;
  void host(const cluster::Image& image, const cluster::Topic& topic);
  void configure(const cluster::Image& image, const cluster::Topic& topic);
  void assume(HostedTopic& hosted, const cluster::Partition& partition);
  // Null: it cannot be had yet.
  Ref<log::PartitionLog> log_for(HostedTopic& hosted, PartitionId index);
  bool is_lost(const log::LogKey& key, const cluster::Partition& partition) const;
  void note_lost(HostedTopic& hosted, const cluster::Partition& partition);
  void drop(Ref<replication::Partition>& slot);
  void drop(const cluster::Topic& topic);

  log::LogManager& logs_;
  replication::Replication& replication_;
  NodeId self_;
  const cluster::ConfigMap& file_;
  absl::flat_hash_map<std::string, Ref<HostedTopic>> by_name_;  // looked up, never iterated
  absl::flat_hash_map<std::string, Ref<HostedTopic>> by_id_;    // by the id's bytes
  std::vector<Ref<HostedTopic>> all_;                           // in the order of their hosting
  std::vector<Ref<HostedTopic>> lacking_;                       // logs
  absl::btree_set<log::LogKey> removals_;                       // expected
  std::vector<log::LogKey> dropped_;                            // by the image that is being applied
  absl::btree_set<log::LogKey> lost_;
  absl::btree_set<log::LogKey> given_up_;  // lost, and reported: they may begin anew
  bool made_logs_ = false;
  std::size_t partition_count_ = 0;
};

}  // namespace chronik::broker
