// One node put together out of ports and a configuration. server/ and sim/ call this same constructor, and nothing in
// here asks which of them did.
//
// Life: construct in a fiber, start(), serve until told otherwise, stop(). A node that is killed needs none of the
// last.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/metrics.h"
#include "core/broker/broker.h"
#include "core/broker/partition_table.h"
#include "core/broker/reception.h"
#include "core/broker/server.h"
#include "core/cluster/active_controller.h"
#include "core/cluster/metadata.h"
#include "core/fiber/scope.h"
#include "core/log/stored_logs.h"
#include "core/node/admin.h"
#include "core/node/config.h"
#include "core/node/status.h"
#include "core/ports/ports.h"
#include "core/raft/group_member.h"
#include "core/raft/identity.h"
#include "core/replication/replication.h"

namespace chronik::node {

class Node final : private cluster::MetadataListener, private cluster::DiskWatch, private raft::GroupOwner {
 public:
  // Both outlive the node.
  Node(const Ports& ports, const NodeConfig& config);
  ~Node() override;

  // Identity, logs, listener, metadata, registration: when it returns ok, clients are served. Before, they may connect,
  // and are told to try again. kFailedPrecondition: the data directory or an address is not usable; kDataLoss: it is
  // damaged; the message says what.
  Status start();
  // Closes clients, drains and ends. A node of a cluster gives its leaderships up before, where that takes no longer
  // than a second.
  Status stop();
  // From another fiber: a start that waits, for the other nodes perhaps, ends with kCancelled.
  void cancel_start() { starting_.cancel(); }

  // Told of every image from the first on; before start(). Outlives the node, or is unlinked before.
  void watch_metadata(cluster::MetadataListener& listener) { watch_ = &listener; }

  Address address() const { return server_->address(); }
  const raft::Identity& identity() const { return identity_; }
  const log::RecoverySummary& recovery() const { return recovery_; }
  const cluster::Metadata& metadata() const { return *metadata_; }
  const raft::Driver& raft() const { return group_->driver(); }
  const broker::PartitionTable& table() const { return *table_; }
  const group::Groups& groups() const { return broker_->groups(); }
  const broker::Server& server() const { return *server_; }
  const log::StoredLogs& logs() const { return *logs_; }
  const MetricsRegistry& metrics() const { return metrics_; }
  bool serving() const { return serving_; }
  // What it does, for people: "recovering", "waiting for quorum (1 of 3)", "waiting to be added to the
  // cluster", "removed from the cluster", "registering", "serving".
  std::string state() const;
  // At any time after the construction. Looks at every partition of the cluster.
  NodeStatus status() const;

  // ---- what an administrator asks for, of whichever node: the leader of the metadata does it (admin.cc) ----
  // Each says, in a sentence, what happens from now on; status() shows how far it is. kFailedPrecondition: refused, and
  // why; kUnavailable: this node does not serve; and what Metadata::propose() says.
  StatusOr<std::string> add_node(const NodeAddition& wanted, const Deadline& deadline);
  // force: it is dead and will not come back.
  StatusOr<std::string> remove_node(NodeId node, bool force, const Deadline& deadline);
  // What is going to move; empty: nothing need be.
  StatusOr<std::vector<PlannedMove>> rebalance(const Deadline& deadline);

 private:
  enum class Phase : std::uint8_t { kRecovering, kForming, kRegistering };

  void on_metadata(const cluster::Delta& delta) override;
  bool disk_is_stuck() const override;
  void on_removed() override;
  Status start_parts();
  Status open_metadata(const Deadline& deadline);
  Status check_directory() const;
  Status register_broker(const Deadline& deadline);
  Status reconcile();
  // stray: the node has it for a reason that nobody knows.
  void doom(const log::LogKey& key, bool stray);
  void follow_settings(const cluster::Image& image);
  void leave();
  RaftStatus raft_status() const;
  Status check_addition(const NodeAddition& wanted) const;
  Status check_quorum_without(NodeId node) const;
  Status order(const cluster::CommandBody& body, const Deadline& deadline);
  void remove_logs();
  void make_missing_logs();
  Status report_lost_logs();
  // As soon as every log is there that the image wants.
  void note_assigned(LogIndex applied);

  const Ports& ports_;
  const NodeConfig& config_;
  broker::Limits limits_;
  Duration stuck_after_;  // one operation of the disk
  raft::Identity identity_;
  log::RecoverySummary recovery_;
  MetricsRegistry metrics_;
  std::unique_ptr<log::StoredLogs> logs_;
  std::unique_ptr<cluster::Metadata> metadata_;
  std::unique_ptr<cluster::ActiveController> controller_;
  std::unique_ptr<raft::GroupMember> group_;
  std::unique_ptr<replication::Replication> replication_;
  std::unique_ptr<broker::PartitionTable> table_;
  std::unique_ptr<broker::Forwarding> forwarding_;  // null: it is off
  std::unique_ptr<broker::Broker> broker_;
  broker::Reception reception_;
  std::unique_ptr<broker::Server> server_;
  struct Doomed {
    log::LogKey key;
    bool stray = false;
  };
  std::vector<Doomed> doomed_;  // logs of what is hosted here no more, to be removed
  fiber::Event doomed_event_;
  fiber::Event logs_lack_;
  cluster::MetadataListener* watch_ = nullptr;
  bool raft_opened_ = false;
  bool assigned_due_ = true;  // logs were made of which the log itself does not know yet that these were all
  Counter lost_logs_;
  bool reconciled_ = false;  // from then on the table follows every image
  bool serving_ = false;
  Phase phase_ = Phase::kRecovering;
  fiber::FiberScope scope_;
  CancelSource starting_{scope_.source()};
};

}  // namespace chronik::node
