// Three nodes that keep three replicas of each partition, two of which must be in sync, and clients that produce and
// read, under all that the network, deaths, suspensions, stalling disks and clocks can do.
//
// Judged, besides what group.h says: what was acknowledged with acks=all is there in the end, at that offset, with
// those bytes, and nothing that was read is ever other (ACK-DURABLE, OFFSET-UNIQUE: also across fail-overs, whoever
// leads); what was refused for want of replicas is not there (REFUSED); a connection's values are in the order of
// sending (ORDER); in one epoch an offset has one content, on whichever node (REPLICA-MATCH); once all is healed
// everything is produced and read, every replica is in sync, and all have the same end and high watermark
// (REPLICA-LIVE). In half of the runs
// somebody deletes records: what was deleted stays so, also across fail-overs (LOG-START).
//
// In replicated-steady nothing goes wrong, and whoever produces is answered within kAnswerWithin (NO-STUCK).
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/knobs.h"
#include "sim/replica_checker.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kOperationsMost = 200;  // of a client
constexpr std::int64_t kBytesMost = 2000;

// ---- the scenario ----

class Replicated : public Scenario {
 public:
  const char* name() const override { return "replicated"; }
  const char* description() const override {
    return "three replicas of each partition, under network faults, deaths, suspensions and clocks";
  }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = group_fault_names();
    names.emplace_back("records deleted");
    return names;
  }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_group_plan(*this, seed, kGroupNodes, draws);
    plan.knobs["partitions"] = draws.between(1, 3);
    plan.knobs["replica.lag_ms"] = draws.magnitude(500, 30'000);
    std::vector<std::string> names;
    for (const PlanMachine& machine : plan.machines) {
      names.push_back(machine.name);
    }
    names.emplace_back("reader");
    plan.machines.push_back(draw_machine("reader", "reader", draws));
    const std::int64_t clients = draws.between(1, 3);
    for (std::int64_t i = 1; i <= clients; ++i) {
      names.push_back(fmt::format("client-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "producer", draws));
      draw_operations(plan, names.back(), draws);
    }
    if (draws.below(2) == 0) {
      names.emplace_back("trimmer");
      plan.machines.push_back(draw_machine("trimmer", "trimmer", draws));
    }
    draw_trouble(plan, draws, names);
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<ReplicatedState>(world, static_cast<std::size_t>(plan.knob("partitions", 1)));
    ReplicatedState* state = owned.get();
    begin_group(world, plan, nemesis, *state);
    state->undisturbed = undisturbed();
    for (const PlanOperation& operation : plan.operations) {
      state->producers[operation.machine].operations.push_back(operation);
    }
    for (const PlanMachine& planned : plan.machines) {
      if (planned.role == "node") {
        add_group_node(world, planned, plan, nemesis, *state);
        configure(plan, state->configs.at(planned.name));
      } else if (planned.role == "reader") {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          run_replicated_reader(process, *state);
        });
      } else if (planned.role == "trimmer") {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          run_replicated_trimmer(process, *state);
        });
      } else {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          run_replicated_producer(process, *state);
        });
      }
    }
    world.checkers().add(std::make_unique<ReplicaChecker>(world));
    start_all_machines(world);
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    auto& state = static_cast<ReplicatedState&>(of);
    if (!judge_images(world, state)) {
      return;
    }
    judge_replicas(world, state);
    if (!state.all_read) {
      world.fail("REPLICA-LIVE", fmt::format("not everything was produced and read after all was healed: {} of {} "
                                             "acknowledged, the reader's latest pass: {}\n{}",
                                             state.ledger.acknowledged(), state.ledger.sent(),
                                             state.last_read.ToString(), world.describe_waits()));
      return;
    }
    state.ledger.judge();
  }

 protected:
  virtual bool undisturbed() const { return false; }
  virtual void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const {
    draw_group_faults(plan, draws, names);
  }

 private:
  static void configure(const Plan& plan, node::NodeConfig& config) {
    config.limits.request = Duration::seconds(20);
    config.replication.lag_max = Duration::milliseconds(plan.knob("replica.lag_ms", 30'000));
    config.replication.fetch.wait = Duration::milliseconds(plan.knob("replica.fetch_wait_ms", 5'000));
    config.broker["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
    config.broker["default.replication.factor"] = "3";
    config.broker["min.insync.replicas"] = "2";
  }

  static void draw_operations(Plan& plan, const std::string& machine, Draws& draws) {
    const std::int64_t operations = draws.magnitude(5, kOperationsMost);
    const std::int64_t bytes_most = draws.magnitude(16, kBytesMost);
    const std::int64_t pause_most = 2 * plan.lasts.nanoseconds() / operations;
    for (std::int64_t k = 0; k < operations; ++k) {
      PlanOperation& operation = plan.operations.emplace_back();
      operation.id = plan.operations.size();
      operation.machine = machine;
      operation.verb = "produce";
      operation.numbers["partition"] = draws.between(0, 2);
      operation.numbers["bytes"] = draws.between(8, bytes_most);
      operation.numbers["records"] = draws.magnitude(1, 5);
      operation.numbers["acks"] = draws.below(4) == 0 ? 1 : -1;
      operation.numbers["pause_ns"] = draws.between(0, pause_most);
    }
  }

  // What leaders know of their followers.
  static std::string known_ends(const ReplicatedState& state, std::size_t index) {
    std::string known;
    for (const auto& [name, node] : state.serving) {
      const replication::Partition& partition = *node->table().find(kLedgerTopic)->partitions[index];
      const log::PartitionLog& log = partition.log();
      known += fmt::format("{} follows {} in epoch {} and has {} to {}, durable to {}; ", name, partition.leader(),
                           partition.epoch(), log.log_start(), log.log_end(), log.durable_end());
      for (const replication::Follower& follower : partition.followers().all()) {
        known += fmt::format("{} knows node {} of broker epoch {} to be durable to {}; ", name, follower.node,
                             follower.broker_epoch, follower.durable_end);
      }
    }
    return known;
  }

  static void judge_replicas(World& world, const ReplicatedState& state) {
    struct First {
      Offset end;
      Offset watermark;
    };
    std::map<std::size_t, First> firsts;
    for (const auto& [name, node] : state.serving) {
      const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
      if (topic == nullptr || topic->partitions.size() != state.ledger.partitions()) {
        return world.fail("REPLICA-LIVE", fmt::format("{} does not host the topic", name));
      }
      for (std::size_t index = 0; index < topic->partitions.size(); ++index) {
        const replication::Partition& partition = *topic->partitions[index];
        const Offset end = partition.log().log_end();
        const First first = firsts.emplace(index, First{end, partition.high_watermark()}).first->second;
        const std::size_t in_sync = partition.leadership().in_sync.size();
        if (in_sync != kGroupNodes || end != first.end || partition.high_watermark() != first.end) {
          return world.fail(
              "REPLICA-LIVE",
              fmt::format("{}, partition {}: {} in sync, log end {}, high watermark {}; another has log end {}; {}\n{}",
                          name, index, in_sync, end, partition.high_watermark(), first.end, known_ends(state, index),
                          world.describe_waits()));
        }
      }
    }
  }
};

// Nothing goes wrong: what is slow here is slow by itself.
class ReplicatedSteady final : public Replicated {
 public:
  const char* name() const override { return "replicated-steady"; }
  const char* description() const override { return "three replicas of each partition; nobody waits without a reason"; }
  std::vector<std::string> announced_faults() const override { return {"records deleted"}; }

 protected:
  bool undisturbed() const override { return true; }
  void draw_trouble(Plan& plan, Draws& /*draws*/, const std::vector<std::string>& /*names*/) const override {
    plan.knobs["replica.fetch_wait_ms"] = 60'000;  // a fetch that nobody ends stays parked until somebody notices
    plan.knobs["replica.lag_ms"] = 30'000;
  }
};

}  // namespace

const Scenario* replicated_steady_scenario() {
  static const ReplicatedSteady scenario;
  return &scenario;
}

const Scenario* replicated_scenario() {
  static const Replicated scenario;
  return &scenario;
}

}  // namespace chronik::sim
