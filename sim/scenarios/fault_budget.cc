#include "sim/scenarios/fault_budget.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/disk_faults.h"
#include "sim/scenarios/one_node.h"
#include "sim/world.h"

namespace chronik::sim {

const node::Node* FaultBudget::latest() const {
  const node::Node* latest = nullptr;
  for (const auto& [name, node] : state_.serving) {
    if (latest == nullptr || node->metadata().image()->applied > latest->metadata().image()->applied) {
      latest = node;
    }
  }
  return latest;
}

// All that anybody knows to be committed is durable on it.
bool FaultBudget::has_caught_up(const std::string& name) const {
  const auto ends_of = [](const node::Node& node, std::size_t index) -> const replication::Partition* {
    const broker::HostedTopic* topic = node.table().find(kLedgerTopic);
    return topic == nullptr || index >= topic->partitions.size() || !topic->partitions[index]
               ? nullptr
               : topic->partitions[index].get();
  };
  const auto own = state_.serving.find(name);
  if (own == state_.serving.end()) {
    return false;
  }
  for (std::size_t index = 0; index < state_.ledger.partitions(); ++index) {
    const replication::Partition* mine = ends_of(*own->second, index);
    for (const auto& [other, node] : state_.serving) {
      const replication::Partition* theirs = ends_of(*node, index);
      if (theirs != nullptr && (mine == nullptr || mine->log().durable_end() < theirs->high_watermark())) {
        return false;
      }
    }
  }
  return true;
}

bool FaultBudget::may_lose_disk(const std::string& node) {
  const node::Node* asked = latest();
  // A majority of the voters must keep theirs.
  if (asked == nullptr || !liar_.empty() || 2 * (state_.nodes() - gone_.size() - 1) <= state_.nodes()) {
    return false;
  }
  bool safe = true;
  asked->metadata().image()->topics.for_each([&](const cluster::TopicRef& topic) {
    topic->partitions.for_each([&](const cluster::Partition& partition) {
      const auto keeps = [&](NodeId member) {
        const std::string name = group_node_name(member.value());
        return name != node && !gone_.contains(name);
      };
      safe &= std::any_of(partition.isr.begin(), partition.isr.end(), keeps) ||
              std::any_of(partition.elr.begin(), partition.elr.end(), keeps);
    });
  });
  return safe;
}

bool FaultBudget::may_be_away(const std::string& node) {
  if (!liar_.empty() && disk_of(world_.machine(liar_)).knobs().sync_lies.value == 0 && has_caught_up(liar_)) {
    liar_.clear();
  }
  return !gone_.contains(node) && (liar_.empty() || liar_ == node);
}

std::size_t FaultBudget::to_serve() {
  std::size_t nodes = state_.nodes() - gone_.size();
  for (const std::string& name : state_.disks_may_fail) {
    if (state_.serving.contains(name)) {
      continue;
    }
    const std::vector<Damage>& damage = disk_of(world_.machine(name)).model().damage();
    const bool lied = std::any_of(damage.begin(), damage.end(),
                                  [](const Damage& done) { return done.kind == DamageKind::kLyingSync; });
    const auto refused = state_.refused.find(name);
    const bool says_why = refused != state_.refused.end() && absl::IsDataLoss(refused->second);
    if (!lied || !says_why) {
      world_.fail("BUDGET",
                  fmt::format("{} does not serve in the end, and nothing excuses it: its disk has {}lied, and "
                              "its last start {}",
                              name, lied ? "" : "not ",
                              refused == state_.refused.end() ? "was not refused" : refused->second.ToString()));
    }
    world_.fault_fired("a liar is not started again");
    --nodes;
  }
  return nodes;
}

}  // namespace chronik::sim
