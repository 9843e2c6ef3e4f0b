// What the leader of the metadata's log does by itself: it fences brokers that are not heard of, and takes them back;
// it gives partitions back to their preferred leaders; it lets nodes in that are to join, moves replicas off those that
// are to leave and lets these go; and it spreads replicas evenly where an administrator wants that.
//
// One fiber on every node; it has something to do only while the node leads. Usage: attach it to the Metadata before
// the consensus starts, then run() in a fiber of its own, which ends with its scope.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/cluster/broker_sessions.h"
#include "core/cluster/metadata.h"
#include "core/cluster/settings.h"
#include "core/fiber/wait.h"

namespace chronik::cluster {

class ActiveController final : private ControllerDuties, private MetadataListener {
 public:
  // session: of a broker, without a sign of life.
  ActiveController(Metadata& metadata, NodeId self, Duration session, const RebalanceSettings& rebalance);
  ~ActiveController() override;

  // Before run(). Who is in the group follows what the image wants. Outlives this.
  void attach(raft::GroupMembers& members) { members_ = &members; }
  void run();

 private:
  void on_sign_of_life(NodeId from, const SignOfLife& sign) override;
  void on_leadership(const raft::Leadership& leadership, NodeId former, MonotonicTime former_heard) override;
  void on_node_gone(NodeId node) override;
  void on_metadata(const Delta& delta) override;
  void plan_to_balance();
  std::optional<CommandBody> due_command();
  std::optional<CommandBody> due_elections(MonotonicTime now);
  std::optional<CommandBody> due_node_change(MonotonicTime now);
  void let_in(const JoiningNode& joining);
  bool let_go(const DepartingNode& departing);
  void note_trouble(NodeId node, const Status& status);
  std::optional<CommandBody> due_moves();
  Status wait_for_work();

  Metadata& metadata_;
  NodeId self_;
  BrokerSessions sessions_;
  RebalanceSettings rebalance_;
  MonotonicTime balance_at_ = MonotonicTime::never();  // never: nothing has changed since all was in balance
  raft::GroupMembers* members_ = nullptr;
  MonotonicTime nodes_at_ = MonotonicTime::never();  // when joining and departing nodes are looked at next
  std::map<NodeId, std::string> trouble_;            // that was said of them, once
  bool moves_wanted_ = false;                        // to be looked at: something has changed
  bool leading_ = false;
  fiber::Event changed_;
};

}  // namespace chronik::cluster
