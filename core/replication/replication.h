// Replication on one shard: who follows whom, the changes of ISRs that leaders here want, and what is done about
// damage.
//
// Usage: construct, start(), tell it of each partition whose role has changed; stop() before it is destroyed.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <map>
#include <memory>
#include <vector>

#include "core/cluster/metadata.h"
#include "core/fiber/scope.h"
#include "core/log/log_manager.h"
#include "core/ports/network.h"
#include "core/replication/fetcher.h"
#include "core/replication/isolation.h"
#include "core/replication/metrics.h"
#include "core/replication/partition.h"
#include "core/replication/repairs.h"
#include "core/replication/replica_session.h"

namespace chronik::replication {

struct ReplicationOptions {
  FetchOptions fetch;
  // replica.lag.time.max.ms: a follower that has not been durable with everything for so long is not in sync.
  Duration lag_max = Duration::seconds(30);
  // Out of touch with the leader of the metadata, until it must be supposed that others lead what is led here: no less
  // than broker.session.timeout.ms and an election take elsewhere.
  Duration isolated_after = Duration::milliseconds(2500);
  std::int32_t catch_up_share = 50;  // catch_up.h
};

class Replication final : private PartitionHost,
                          private RepairHost,
                          private cluster::MetadataListener,
                          private IsolationListener {
 public:
  // All outlive it.
  Replication(Network& network, cluster::Metadata& metadata, log::LogManager& logs, NodeId self,
              const ReplicationOptions& options);
  ~Replication() override;

  void start();
  void stop();

  PartitionHost& host() { return *this; }
  // The image has spoken to the partition.
  void follow(const Ref<Partition>& partition);
  // The partition is not hosted here any more.
  void forget(const log::LogKey& key);

  // Whether others may lead what the image says is led here (isolation.h).
  bool isolated() const override { return isolation_.holds(); }
  void register_metrics(MetricsRegistry& registry) const;

  ReplicaSessions& sessions() { return sessions_; }

 private:
  struct Known {
    Ref<Partition> partition;
    NodeId followed = NodeId::none();  // whose fetcher has it
  };
  void on_isr_news(Partition& partition) override;
  void on_follower_durable(Partition& partition) override;
  void on_damage(Partition& partition) override;
  Ref<Partition> hosted(const log::LogKey& key) override;
  bool held_back(const log::LogKey& key) override;
  void follow_again(const log::LogKey& key) override;
  void on_metadata(const cluster::Delta& delta) override;
  void on_leader(NodeId leader) override;
  void on_isolated() override;
  void regain_touch();
  void count_changes(const cluster::Delta& delta);
  Fetcher& fetcher(NodeId leader);
  void change_isrs_for_ever();
  Status wait_for_isr_news();
  void look_at_all();
  void look_at_lags();
  Status change_isrs();
  // What of the wanted ISR can be proposed, given who is live; none: nothing that would change anything.
  std::optional<cluster::AlterPartitions::Partition> proposal_for(
      const Partition& partition, const std::vector<Partition::IsrMember>& wanted) const;

  Network& network_;
  cluster::Metadata& metadata_;
  log::LogManager& logs_;
  NodeId self_;
  ReplicationOptions options_;
  ReplicationMetrics metrics_;
  Isolation isolation_;
  std::uint64_t leader_changes_ = 0;
  bool regaining_ = false;                     // a fiber waits for the leader's answer
  absl::btree_map<log::LogKey, Known> known_;  // with more than one replica
  std::map<NodeId, std::unique_ptr<Fetcher>> fetchers_;
  ReplicaSessions sessions_;
  Repairs repairs_;
  absl::btree_set<log::LogKey> isr_news_;
  fiber::Event isr_event_;
  MonotonicTime looked_;  // when all lags were looked at
  bool started_ = false;
  fiber::FiberScope scope_;
};

}  // namespace chronik::replication
