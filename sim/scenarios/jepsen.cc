// One to five nodes under clients that act as those of Jepsen's Kafka workload do, and all that Jepsen does to the
// nodes there: suspended, killed, cut off, their clocks wrong, partitions moved from one to the other; besides, power
// that goes, disks that stall and episodes (trouble.h).
//
// Judged from outside alone, as Jepsen does: from what clients were told, none of our own checkers of partitions looks
// on. At the end the history is analyzed (JEPSEN: jepsen_analysis.h), and every client has read everything
// (REPLICA-LIVE). What group.h says of nodes and their images is judged as everywhere.
#include "sim/scenarios/jepsen.h"

#include <fmt/core.h>

#include <memory>

#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/jepsen_analysis.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scenarios/trouble.h"

namespace chronik::sim {

JepsenState::JepsenState(World& of, const Plan& plan)
    : ReplicatedState(of, static_cast<std::size_t>(plan.knob("partitions", 1))),
      next_value(ledger.partitions()),
      known_end(ledger.partitions()),
      idempotent(plan.knob("idempotent", 1) != 0),
      lingers(plan.knob("lingers", 0) != 0),
      bytes(static_cast<std::size_t>(plan.knob("bytes", 8))),
      poll_bytes(static_cast<std::int32_t>(plan.knob("poll_bytes", 65'536))),
      request_timeout(Duration::milliseconds(plan.knob("request_ms", 2'000))),
      delivery_timeout(Duration::milliseconds(plan.knob("delivery_ms", 10'000))),
      subscribes(plan.knob("subscribes", 0) != 0),
      session_ms(static_cast<std::int32_t>(plan.knob("session_ms", 6'000))),
      rebalance_ms(static_cast<std::int32_t>(plan.knob("rebalance_ms", 3'000))),
      group_polled(ledger.partitions()),
      group_committed(ledger.partitions()) {}

namespace {

constexpr int kJepsenNodesMost = 5;
constexpr int kReplicasOfKey = 3;
constexpr std::int64_t kOperationsOfClient = 120;
constexpr std::int64_t kMicroOpsMost = 4;
constexpr std::int64_t kKeysMost = 6;
constexpr std::int64_t kSessionLeastMs = 1'000;

// Without idempotence a batch that is sent again may be there twice (KIP-98); that is counted and not held against the
// nodes.
bool is_allowed(const jepsen::Anomaly& anomaly, const JepsenState& state) {
  return !state.idempotent && anomaly.name == jepsen::kDuplicate;
}

class Jepsen final : public Scenario {
 public:
  const char* name() const override { return "jepsen"; }
  const char* description() const override { return "clients and an analysis as Jepsen's Kafka workload has them"; }
  bool keeps_history() const override { return true; }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = group_fault_names();
    names.insert(names.end(), {"send retried", "unknown outcome", "duplicate without idempotence"});
    return names;
  }
  std::vector<std::string> promises() const override { return with_group_promises({"JEPSEN", "REPLICA-LIVE", "WAL"}); }

  Plan generate(std::uint64_t seed) const override;
  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override;
  void at_end(World& world, ScenarioState& of) const override;

 private:
  static void draw_knobs(Plan& plan, Draws draws, int nodes);
  static void draw_operations(Plan& plan, const std::string& machine, Draws draws);
};

// ---- a plan ----

// In a third of the seeds: who leads and who is in sync changes all the time, while producers send again what they have
// no answer to. Nothing but that, for what else strikes leaves too few of them in touch.
void draw_changing_leaders(Plan& plan, Draws draws, int nodes) {
  if (nodes < kGroupNodes || draws.below(3) != 0) {
    return;
  }
  plan.faults.clear();
  draw_overtaken_rounds(plan, draws, Duration::milliseconds(1500));
  plan.knobs["replicas"] = draws.between(2, kReplicasOfKey);
  plan.knobs["replicas.min"] = 2;
  plan.knobs["idempotent"] = 1;
}

// In a third of the seeds clients subscribe, three times of four that they would assign.
void draw_subscriptions(Plan& plan, Draws draws) {
  if (draws.below(3) != 0) {
    return;
  }
  plan.knobs["subscribes"] = 1;
  plan.knobs["session_ms"] = draws.between(2 * kSessionLeastMs, 12 * kSessionLeastMs);
  plan.knobs["rebalance_ms"] = draws.magnitude(500, 4'000);
  plan.knobs["groups.partitions"] = draws.between(1, 3);
  plan.knobs["groups.initial_delay_ms"] = draws.below(2) == 0 ? 0 : draws.magnitude(1, 2'000);
  for (PlanOperation& operation : plan.operations) {
    if (operation.verb == "assign" && draws.below(4) != 0) {
      operation.verb = "subscribe";
      operation.numbers.erase("keys");
    }
  }
}

void configure_groups(const Plan& plan, node::NodeConfig& config) {
  config.broker["group.min.session.timeout.ms"] = fmt::format("{}", kSessionLeastMs);
  config.broker["group.initial.rebalance.delay.ms"] = fmt::format("{}", plan.knob("groups.initial_delay_ms", 0));
  config.broker["offsets.topic.num.partitions"] = fmt::format("{}", plan.knob("groups.partitions", 1));
  config.broker["offsets.topic.replication.factor"] = fmt::format("{}", plan.knob("replicas", 1));
}

void Jepsen::draw_knobs(Plan& plan, Draws draws, int nodes) {
  const std::int64_t replicas = draws.between(1, std::min(nodes, kReplicasOfKey));
  plan.knobs["partitions"] = draws.between(1, kKeysMost);
  plan.knobs["replicas"] = replicas;
  plan.knobs["replicas.min"] = std::min<std::int64_t>(replicas, 2);
  plan.knobs["replica.lag_ms"] = draws.magnitude(500, 30'000);
  plan.knobs["replica.fetch_wait_ms"] = draws.magnitude(500, 15'000);
  plan.knobs["idempotent"] = draws.between(0, 1);
  plan.knobs["lingers"] = draws.between(0, 1);
  plan.knobs["bytes"] = draws.magnitude(8, 200);
  plan.knobs["poll_bytes"] = draws.magnitude(100, 65'536);
  plan.knobs["request_ms"] = draws.magnitude(100, 5'000);
  plan.knobs["delivery_ms"] = draws.magnitude(2'000, 15'000);
}

void Jepsen::draw_operations(Plan& plan, const std::string& machine, Draws draws) {
  const std::int64_t operations = draws.magnitude(10, kOperationsOfClient);
  const std::int64_t pause_most = 2 * plan.lasts.nanoseconds() / operations;
  for (std::int64_t k = 0; k < operations; ++k) {
    PlanOperation& operation = plan.operations.emplace_back();
    operation.id = plan.operations.size();
    operation.machine = machine;
    operation.numbers["pause_ns"] = draws.between(0, pause_most);
    const std::uint64_t which = k == 0 ? 0 : draws.below(24);
    if (which < 3) {
      operation.verb = "assign";
      operation.numbers["keys"] = draws.between(1, (1 << kKeysMost) - 1);
    } else if (which == 3) {
      operation.verb = "crash";
    } else {
      operation.verb = "txn";
      for (std::int64_t nth = draws.between(1, kMicroOpsMost); nth > 0; --nth) {
        operation.numbers[fmt::format("m{}", nth)] = draws.below(2) == 0 ? 0 : draws.between(1, kKeysMost);
      }
    }
  }
}

Plan Jepsen::generate(std::uint64_t seed) const {
  Draws draws(seed, "plan", mix_text(name()));
  const int nodes = draw_group_size(draws, 1, kJepsenNodesMost);
  Plan plan = draw_group_plan(*this, seed, nodes, draws);
  draw_knobs(plan, draws.child("knobs", 0), nodes);
  const std::int64_t clients = draws.between(2, 5);
  for (std::int64_t i = 1; i <= clients; ++i) {
    plan.machines.push_back(draw_machine(fmt::format("client-{}", i), "client", draws));
    plan.machines.back().numbers["process"] = i - 1;
    draw_operations(plan, plan.machines.back().name, draws.child("operations", static_cast<std::uint64_t>(i)));
  }
  if (nodes > 1 && draws.below(3) == 0) {
    plan.machines.push_back(draw_machine("administrator", "administrator", draws));
  }
  std::vector<std::string> names;
  for (const PlanMachine& machine : plan.machines) {
    names.push_back(machine.name);
  }
  draw_group_faults(plan, draws, names);
  draw_episodes(plan, draws.child("episodes", 0), {names.begin(), names.begin() + nodes});
  draw_changing_leaders(plan, draws.child("overtaken", 0), nodes);
  draw_subscriptions(plan, draws.child("subscriptions", 0));
  return plan;
}

// ---- a world ----

std::unique_ptr<ScenarioState> Jepsen::build(World& world, const Plan& plan, Nemesis& nemesis) const {
  auto owned = std::make_unique<JepsenState>(world, plan);
  JepsenState* state = owned.get();
  begin_group(world, plan, nemesis, *state);
  for (const PlanMachine& planned : plan.machines) {
    if (planned.role == "node") {
      add_group_node(world, planned, plan, nemesis, *state);
      configure_replicas(plan, state->configs.at(planned.name));
      if (state->subscribes) {
        configure_groups(plan, state->configs.at(planned.name));
      }
    } else if (planned.role == "administrator") {
      state->administrator.partitions = state->ledger.partitions();
      add_planned_machine(world, planned).install([state](ProcessContext& process) {
        run_administrator(process, *state, state->administrator);
      });
    } else {
      state->threads[planned.name].process = planned.numbers.at("process");
      add_planned_machine(world, planned).install([state](ProcessContext& process) {
        run_jepsen_client(process, *state);
      });
    }
  }
  for (const PlanOperation& operation : plan.operations) {
    if (const auto thread = state->threads.find(operation.machine); thread != state->threads.end()) {
      thread->second.operations.push_back(operation);
    }
  }
  start_all_machines(world, plan);
  return owned;
}

// ---- the end ----

void Jepsen::at_end(World& world, ScenarioState& of) const {
  const auto& state = static_cast<const JepsenState&>(of);
  std::vector<jepsen::Anomaly> found = jepsen::analyze(state.history);
  std::erase_if(found, [&](const jepsen::Anomaly& anomaly) {
    const bool allowed = is_allowed(anomaly, state);
    if (allowed) {
      world.fault_fired(fmt::format("{} without idempotence", anomaly.name));
    }
    return allowed;
  });
  if (!found.empty()) {
    return world.fail("JEPSEN", jepsen::report_of(found));
  }
  if (!judge_images(world, state)) {
    return;
  }
  for (const auto& [name, thread] : state.threads) {
    if (!thread.done) {
      return world.fail("REPLICA-LIVE",
                        fmt::format("{} {} after all was healed\n{}", name,
                                    thread.tired ? "has not polled everything" : "is not done with its operations",
                                    world.describe_waits()));
    }
  }
}

}  // namespace

const Scenario* jepsen_scenario() {
  static const Jepsen scenario;
  return &scenario;
}

}  // namespace chronik::sim
