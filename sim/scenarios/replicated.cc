// Three nodes that keep three replicas of each partition, two of which must be in sync, and clients that produce and
// read, under all that the network, deaths, suspensions, stalling disks and clocks can do.
//
// Judged, besides what group.h says: what was acknowledged with acks=all is there in the end, at that offset, with
// those bytes, and nothing that was read is ever other (ACK-DURABLE, OFFSET-UNIQUE: also across fail-overs, whoever
// leads); what was refused for want of replicas is not there (REFUSED); a connection's values are in the order of
// sending (ORDER); in one epoch an offset has one content, on whichever node (REPLICA-MATCH); once all is healed
// everything is produced and read, every replica is in sync, and all have the same end and high watermark
// (REPLICA-LIVE). In half of the runs somebody deletes records: what was deleted stays so, also across fail-overs
// (LOG-START).
//
// In replicated-steady nothing goes wrong, and whoever produces is answered within 10 s (NO-STUCK).
//
// In the scenario `reassigned` an administrator moves the partitions about meanwhile (administrator.h); in the end they
// are on all nodes again. In `unclean` one replica in sync is enough, and whoever is left may lead: records get lost,
// so nobody reads, and what is judged is that all replicas cut their logs to one and go on (REPLICA-LIVE,
// REPLICA-MATCH).
//
// `forwarded` is the same with forwarding on: each client goes to one node with everything, also with what is not
// answered (acks=0), and that node must not name another (CONFORM).
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/replica_checker.h"
#include "sim/scenarios/administrator.h"
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
    plan.knobs["replica.lag_ms"] = unclean() ? draws.magnitude(100, 1'000) : draws.magnitude(500, 30'000);
    std::vector<std::string> names;
    for (const PlanMachine& machine : plan.machines) {
      names.push_back(machine.name);
    }
    if (!unclean()) {
      names.emplace_back("reader");
      plan.machines.push_back(draw_machine("reader", "reader", draws));
    }
    if (reassigned()) {
      names.emplace_back("administrator");
      plan.machines.push_back(draw_machine("administrator", "administrator", draws));
    }
    const std::int64_t clients = draws.between(1, 3);
    for (std::int64_t i = 1; i <= clients; ++i) {
      names.push_back(fmt::format("client-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "producer", draws));
      draw_operations(plan, names.back(), draws, forwards());
    }
    if (!unclean() && !forwards() && draws.below(2) == 0) {
      names.emplace_back("trimmer");
      plan.machines.push_back(draw_machine("trimmer", "trimmer", draws));
    }
    draw_trouble(plan, draws, names);
    if (unclean()) {
      draw_losses(plan, draws.child("losses", 0));
    }
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<ReplicatedState>(world, static_cast<std::size_t>(plan.knob("partitions", 1)));
    ReplicatedState* state = owned.get();
    begin_group(world, plan, nemesis, *state);
    state->undisturbed = undisturbed();
    state->forwarded = forwards();
    for (const PlanOperation& operation : plan.operations) {
      state->producers[operation.machine].operations.push_back(operation);
    }
    for (const PlanMachine& planned : plan.machines) {
      if (planned.role == "node") {
        add_group_node(world, planned, plan, nemesis, *state);
        node::NodeConfig& config = state->configs.at(planned.name);
        config.forward = forwards();
        configure(plan, config);
        config.broker["default.replication.factor"] = fmt::format("{}", replicas());
        config.broker["min.insync.replicas"] = unclean() ? "1" : "2";
        config.broker["unclean.leader.election.enable"] = unclean() ? "true" : "false";
        if (unclean()) {
          // Shorter than a death: who dies does not lead on.
          config.broker["broker.heartbeat.interval.ms"] = "200";
          config.broker["broker.session.timeout.ms"] = "400";
        }
      } else if (planned.role == "reader") {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          run_replicated_reader(process, *state);
        });
      } else if (planned.role == "trimmer") {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          run_replicated_trimmer(process, *state);
        });
      } else if (planned.role == "administrator") {
        state->administrator.partitions = state->ledger.partitions();
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          run_administrator(process, *state, state->administrator);
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
    if (reassigned() && !state.administrator.all_in_place) {
      return world.fail("REPLICA-LIVE",
                        fmt::format("not every partition is on all nodes after all was healed: {}{}\n{}",
                                    state.administrator.last_look, known_ends(state), world.describe_waits()));
    }
    judge_replicas(world, state);
    if (unclean()) {
      return;
    }
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
  virtual void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const {
    draw_group_faults(plan, draws, names);
  }
  virtual bool undisturbed() const { return false; }
  virtual bool forwards() const { return false; }
  virtual bool reassigned() const { return false; }
  virtual bool unclean() const { return false; }
  std::size_t replicas() const { return unclean() ? 2 : kGroupNodes; }  // of a partition

 private:
  static void configure(const Plan& plan, node::NodeConfig& config) {
    config.limits.request = Duration::seconds(20);
    config.broker["replica.lag.time.max.ms"] = fmt::format("{}", plan.knob("replica.lag_ms", 30'000));
    config.broker["replica.fetch.wait.max.ms"] = fmt::format("{}", plan.knob("replica.fetch_wait_ms", 5'000));
    config.broker["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
    config.broker["leader.imbalance.check.interval.seconds"] = "5";
  }

  static void draw_operations(Plan& plan, const std::string& machine, Draws& draws, bool unanswered_too) {
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
      if (unanswered_too && draws.below(4) == 0) {
        operation.numbers["acks"] = 0;
      }
    }
  }

  // One of two replicas sleeps, and the other, which goes on alone, dies about when the first wakes up.
  static void draw_losses(Plan& plan, Draws draws) {
    for (std::int64_t i = draws.between(1, 4); i > 0; --i) {
      const std::int64_t first = draws.between(0, kGroupNodes - 1);
      const std::int64_t other = (first + draws.between(1, kGroupNodes - 1)) % kGroupNodes;
      PlanFault& sleep = add_fault(plan, draws, "suspend", group_node_name(static_cast<int>(first + 1)));
      sleep.numbers["for_ns"] = 3'000'000'000;
      const VirtualTime sleep_at = sleep.at;  // the reference is good until the next fault
      PlanFault& death = add_fault(plan, draws, "power", group_node_name(static_cast<int>(other + 1)));
      death.at = sleep_at + Duration::milliseconds(draws.between(2500, 3000));
    }
  }

  // What nodes have, and what leaders know of their followers.
  static std::string known_ends(const ReplicatedState& state) {
    std::string known;
    for (const auto& [name, node] : state.serving) {
      for (const Ref<replication::Partition>& partition : node->table().find(kLedgerTopic)->partitions) {
        if (!partition) {
          continue;
        }
        known += fmt::format("\n{} has {} from {} to {}, durable to {}, last epoch {} of {}, led by {}", name,
                             partition->log().key().to_string(), partition->log().log_start(),
                             partition->log().log_end(), partition->log().durable_end(), partition->log().last_epoch(),
                             partition->epoch(), partition->leader());
        for (const replication::Follower& follower : partition->followers().all()) {
          known += fmt::format("; knows node {} of broker epoch {} to be durable to {}", follower.node,
                               follower.broker_epoch, follower.durable_end);
        }
      }
    }
    return known;
  }

  void judge_replicas(World& world, const ReplicatedState& state) const {
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
        if (!topic->partitions[index]) {
          if (unclean()) {
            continue;
          }
          return world.fail("REPLICA-LIVE", fmt::format("{} does not host partition {}", name, index));
        }
        const replication::Partition& partition = *topic->partitions[index];
        const Offset end = partition.log().log_end();
        const First first = firsts.emplace(index, First{end, partition.high_watermark()}).first->second;
        const std::size_t in_sync = partition.leadership().in_sync.size();
        if (in_sync != replicas() || end != first.end || partition.high_watermark() != first.end) {
          return world.fail(
              "REPLICA-LIVE",
              fmt::format("{}, partition {}: {} in sync, log end {}, high watermark {}; another has log end {}; {}\n{}",
                          name, index, in_sync, end, partition.high_watermark(), first.end, known_ends(state),
                          world.describe_waits()));
        }
      }
    }
  }
};

class Reassigned final : public Replicated {
 public:
  const char* name() const override { return "reassigned"; }
  const char* description() const override { return "as replicated, and an administrator moves partitions about"; }

 private:
  bool reassigned() const override { return true; }
};

class Unclean final : public Replicated {
 public:
  const char* name() const override { return "unclean"; }
  std::vector<std::string> announced_faults() const override { return group_fault_names(); }
  const char* description() const override { return "two replicas, of which any may lead that is left"; }

 private:
  bool unclean() const override { return true; }
};

class Forwarded final : public Replicated {
 public:
  const char* name() const override { return "forwarded"; }
  const char* description() const override {
    return "as replicated with forwarding on: each client goes to one node with everything";
  }
  std::vector<std::string> announced_faults() const override { return group_fault_names(); }

 private:
  bool forwards() const override { return true; }
};

// Nothing goes wrong: what is slow here is slow by itself.
class ReplicatedSteady final : public Replicated {
 public:
  const char* name() const override { return "replicated-steady"; }
  const char* description() const override { return "three replicas of each partition; nobody waits without a reason"; }
  std::vector<std::string> announced_faults() const override { return {"records deleted"}; }

 private:
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

const Scenario* forwarded_scenario() {
  static const Forwarded scenario;
  return &scenario;
}

const Scenario* unclean_scenario() {
  static const Unclean scenario;
  return &scenario;
}

const Scenario* reassigned_scenario() {
  static const Reassigned scenario;
  return &scenario;
}

const Scenario* replicated_scenario() {
  static const Replicated scenario;
  return &scenario;
}

}  // namespace chronik::sim
