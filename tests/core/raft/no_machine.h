// A state machine that does nothing: for tests of the group itself.
#pragma once

#include <span>
#include <string>

#include "core/raft/consensus.h"

namespace chronik::raft::testing {

class NoMachine final : public StateMachine {
 public:
  Status apply(std::span<const Entry>) override { return ok(); }
  Status check_command(NodeId, ByteSpan) const override { return ok(); }
  std::string take_snapshot() override { return {}; }
  Status install_snapshot(LogIndex, ByteSpan) override { return ok(); }
  void on_leadership(const Leadership&) override {}
  void on_node_gone(NodeId) override {}
  std::string own_sign_of_life() const override { return {}; }
  void on_sign_of_life(NodeId, ByteSpan) override {}
};

}  // namespace chronik::raft::testing
