// A node with a thousand partitions that nobody uses: it comes to rest (NO-SPIN), holds nothing for clients that have
// gone (BOUNDED), and starts again with all of them.
#include <fmt/core.h>

#include "core/fiber/wait.h"
#include "core/protocol/messages/create_topics.h"
#include "sim/disk_faults.h"
#include "sim/knobs.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

constexpr std::int32_t kTopics = 10;
constexpr std::int16_t kCreateTopicsVersion = 5;

protocol::CreateTopicsRequest create_all(std::int32_t partitions) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  for (std::int32_t i = 0; i < kTopics; ++i) {
    auto& topic = request.topics.emplace_back();
    topic.name = fmt::format("idle-{}", i);
    topic.num_partitions = partitions / kTopics;
    topic.replication_factor = 1;
  }
  return request;
}

// Makes the topics, unless they are there from before a death, and leaves.
void run_creator(ProcessContext& process, OneNodeState& state, std::int32_t partitions) {
  for (bool made = false; !made;) {
    StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    if (client.ok()) {
      StatusOr<protocol::CreateTopicsResponse> got = (*client)->call<protocol::CreateTopicsResponse>(
          create_all(partitions), kCreateTopicsVersion, node_patience());
      state.judge_answer(got.status(), "create topics");
      made = got.ok();
      for (std::size_t i = 0; made && i < got->topics.size(); ++i) {
        made = got->topics[i].error_code == protocol::ErrorCode::kNone ||
               got->topics[i].error_code == protocol::ErrorCode::kTopicAlreadyExists;
      }
    }
    sleep_between(process, 100, 500);
  }
  state.all_read = true;
}

class Idle final : public OneNode {
 public:
  const char* name() const override { return "idle"; }
  const char* description() const override { return "one node with a thousand partitions that nobody uses"; }
  std::vector<std::string> announced_faults() const override { return {"process kill", "power loss"}; }

 protected:
  OneNodeRules rules() const override {
    return {.lasts = Duration::seconds(100), .calm = Duration::seconds(200), .ledger = false};
  }

  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    plan.knobs["idle.partitions"] = draws.magnitude(10, 1000);
    plan.knobs["wal.rotation_bytes"] = 1 << 20;
    plan.machines.push_back(draw_machine("creator", "creator", draws));
    if (draws.below(2) == 0) {
      add_fault(plan, draws, draws.below(2) == 0 ? "kill" : "power", names.front());
    }
  }

  void prepare(World& world, const Plan& plan, Nemesis& /*nemesis*/, OneNodeState& state) const override {
    const auto partitions = static_cast<std::int32_t>(plan.knob("idle.partitions", 1000));
    world.machine("creator").install(
        [&state, partitions](ProcessContext& process) { run_creator(process, state, partitions); });
  }

  void at_end(World& world, ScenarioState& of) const override {
    const auto& state = static_cast<OneNodeState&>(of);
    if (!state.all_read || state.node == nullptr) {
      world.fail("NODE-LIVE", "the topics were not made, or the node is not there\n" + world.describe_waits());
    }
  }
};

}  // namespace

const Scenario* idle_scenario() {
  static const Idle scenario;
  return &scenario;
}

}  // namespace chronik::sim
