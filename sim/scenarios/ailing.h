// What the scenarios share in which one node of three has an ailing disk: three replicas of each partition, two of
// which must be in sync, producers with acks=all, and a reader that reads everything over and over.
//
// Judged, besides what group.h says: what was acknowledged is there in the end, at its offset, with its bytes
// (ACK-DURABLE, OFFSET-UNIQUE); in one epoch an offset has one content, on whichever node (REPLICA-MATCH); once all is
// healed everything is produced and read, every replica is in sync, and all have the same end and high watermark
// (REPLICA-LIVE).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/nemesis.h"
#include "sim/scenarios/replicated.h"

namespace chronik::sim {

// Whose disk it is.
inline constexpr const char* kAilingNode = "node-1";

class Ailing : public Scenario {
 public:
  Plan generate(std::uint64_t seed) const final;
  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const final;
  void at_end(World& world, ScenarioState& of) const override;
  std::vector<std::string> promises() const override {
    return with_group_promises({"ACK-DURABLE", "OFFSET-UNIQUE", "REPLICA-MATCH", "REPLICA-LIVE"});
  }

 protected:
  // names: of all machines.
  virtual void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const = 0;
  virtual void configure(const Plan& /*plan*/, node::NodeConfig& /*config*/) const {}
  // After the machines are there and before any starts.
  virtual void prepare(World& /*world*/, const Plan& /*plan*/, Nemesis& /*nemesis*/, ReplicatedState& /*state*/) const {
  }
};

}  // namespace chronik::sim
