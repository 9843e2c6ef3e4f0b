// The scenarios of replicated partitions: what each of them adds to Replicated, or takes away.
//
// In replicated-steady nothing goes wrong, and whoever produces is answered within 10 s (NO-STUCK).
//
// In `reassigned` an administrator moves the partitions about meanwhile (administrator.h); in the end they are on all
// nodes again. In `unclean` one replica in sync is enough, and whoever is left may lead: records get lost, so nobody
// reads, and what is judged is that all replicas cut their logs to one and go on (REPLICA-LIVE, REPLICA-MATCH).
//
// `forwarded` is the same as `replicated` with forwarding on: each client goes to one node with everything, also with
// what is not answered (acks=0), and that node must not name another (CONFORM).
//
// In `pipelined` producers are idempotent and keep several batches of a partition under way, straight to the leaders
// (pipelined_producer.cc); in `pipelined-forwarded` each goes to one node with everything.
//
// In one-disk the disk of one node stalls for long, or is full for a while (KAFKA_STORAGE_ERROR is an answer then), and
// nodes die meanwhile; the others go on. In `rolling` nodes start in any order, and are stopped in turn.
//
// In `rejoined` two of five nodes die and come back together, again and again, under producers that rest then; leaders
// hardly ever look for who lags, and yet everybody is in sync again within kRejoinedWithin (REPLICA-LIVE).
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/scenarios/replicated.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

class Plain final : public Replicated {
 public:
  const char* name() const override { return "replicated"; }
  const char* description() const override {
    return "replicas of each partition, under network faults, deaths, suspensions and clocks";
  }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = group_fault_names();
    names.emplace_back("records deleted");
    return names;
  }
};

class Reassigned final : public Replicated {
 public:
  const char* name() const override { return "reassigned"; }
  const char* description() const override { return "as replicated, and an administrator moves partitions about"; }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = group_fault_names();
    names.emplace_back("records deleted");
    return names;
  }

 private:
  Kind kind() const override { return {.nodes_least = 2, .reassigned = true}; }
};

class Unclean final : public Replicated {
 public:
  const char* name() const override { return "unclean"; }
  const char* description() const override { return "two replicas, of which any may lead that is left"; }
  std::vector<std::string> announced_faults() const override { return group_fault_names(); }
  std::vector<std::string> promises() const override {
    return with_group_promises({"REPLICA-LIVE", "REPLICA-MATCH", "HW-MONO", "IN-SYNC"});
  }

 private:
  Kind kind() const override { return {.nodes_least = 3, .unclean = true}; }

  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    Replicated::draw_trouble(plan, draws, names);
    draw_losses(plan, draws.child("losses", 0));
  }

  // One of two replicas sleeps, and the other, which goes on alone, dies about when the first wakes up.
  static void draw_losses(Plan& plan, Draws draws) {
    const std::int64_t nodes = plan.knob("nodes", kGroupNodes);
    for (std::int64_t i = draws.between(1, 4); i > 0; --i) {
      const std::int64_t first = draws.between(0, nodes - 1);
      const std::int64_t other = (first + draws.between(1, nodes - 1)) % nodes;
      PlanFault& sleep = add_fault(plan, draws, "suspend", group_node_name(static_cast<int>(first + 1)));
      sleep.numbers["for_ns"] = 3'000'000'000;
      const VirtualTime sleep_at = sleep.at;  // the reference is good until the next fault
      PlanFault& death = add_fault(plan, draws, "power", group_node_name(static_cast<int>(other + 1)));
      death.at = sleep_at + Duration::milliseconds(draws.between(2500, 3000));
    }
  }
};

class Forwarded final : public Replicated {
 public:
  const char* name() const override { return "forwarded"; }
  const char* description() const override {
    return "as replicated with forwarding on: each client goes to one node with everything";
  }
  std::vector<std::string> announced_faults() const override { return group_fault_names(); }

 private:
  Kind kind() const override { return {.forwards = true}; }
};

class Pipelined : public Replicated {
 public:
  const char* name() const override { return "pipelined"; }
  const char* description() const override {
    return "idempotent producers with several batches under way, while leaders change";
  }
  std::vector<std::string> announced_faults() const final {
    std::vector<std::string> names = group_fault_names();
    names.emplace_back(kBatchRefused);
    return names;
  }
  std::vector<std::string> promises() const final {
    std::vector<std::string> names = Replicated::promises();
    names.insert(names.begin(), "IDEMPOTENT");
    return names;
  }

 protected:
  Kind kind() const override { return {.nodes_least = 3, .replicas = 3, .nothing_deleted = true, .pipelined = true}; }
};

class PipelinedForwarded final : public Pipelined {
 public:
  const char* name() const override { return "pipelined-forwarded"; }
  const char* description() const override {
    return "as pipelined with forwarding on: each client goes to one node with everything";
  }

 private:
  Kind kind() const override {
    Kind kind = Pipelined::kind();
    kind.forwards = true;
    return kind;
  }
};

class OneDisk final : public Replicated {
 public:
  const char* name() const override { return "one-disk"; }
  const char* description() const override { return "as replicated, and the disk of one node stalls or is full"; }
  std::vector<std::string> announced_faults() const override {
    return {"disk-stall", "no room on the disk", "refused write", "process kill", "power loss"};
  }

 private:
  static constexpr std::int64_t kReserve = 1 << 20;

  Kind kind() const override { return {.space_may_lack = true}; }

  void configure(const Plan& /*plan*/, node::NodeConfig& config) const override {
    // Small files: the next one, for which there must be room, is needed soon.
    wal::WalOptions& wal = config.logs.wal;
    wal.rotation_bytes = 64 << 10;
    wal.record_bytes_max = wal.batch_bytes_max = wal.rotation_bytes / 4;
    wal.queue_bytes_max = wal.rotation_bytes;
    wal.control_reserve_bytes = wal.rotation_bytes / 8;
    wal.free_disk_reserve_bytes = static_cast<std::uint64_t>(kReserve);
  }

  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    Draws faults = draws.child("faults", 0);
    const std::int64_t nodes = plan.knob("nodes", 1);
    const std::string its_node = group_node_name(static_cast<int>(faults.between(1, nodes)));
    for (std::int64_t i = faults.between(1, 4); i > 0; --i) {
      if (faults.below(2) == 0) {
        PlanFault& full = add_fault(plan, faults, "disk-full", its_node);
        full.numbers["for_ns"] = faults.magnitude(100'000'000, 20'000'000'000);
        full.numbers["free"] = faults.between(kReserve / 2, kReserve + (1 << 17));
      } else {
        PlanFault& slow = add_fault(plan, faults, "disk-slow", its_node);
        slow.numbers["for_ns"] = faults.magnitude(1'000'000'000, 30'000'000'000);
        slow.numbers["stall_ppm"] = faults.magnitude(10'000, 1'000'000);
        slow.numbers["stall_ns"] = faults.magnitude(100'000'000, 20'000'000'000);
      }
    }
    for (std::int64_t i = faults.below(2) == 0 ? 0 : faults.between(1, 4); i > 0; --i) {
      const std::string node = group_node_name(static_cast<int>(faults.between(1, nodes)));
      PlanFault& death = add_fault(plan, faults, faults.below(2) == 0 ? "kill" : "power", node);
      death.numbers["for_ns"] = faults.magnitude(10'000'000, 5'000'000'000);
    }
  }
};

class Rejoined final : public Replicated {
 public:
  const char* name() const override { return "rejoined"; }
  const char* description() const override { return "two of five nodes come back together: they are in sync soon"; }
  std::vector<std::string> announced_faults() const override { return {"process kill", "power loss"}; }

 private:
  static constexpr std::size_t kRounds = 5;
  static constexpr Duration kRound = Duration::seconds(20);
  static constexpr Duration kAway = Duration::seconds(5);  // of a round, at most
  static constexpr Duration kRejoinedWithin = Duration::seconds(10);

  Kind kind() const override { return {.nodes_least = 5, .replicas = 3}; }

  static VirtualTime round(std::size_t i) {
    return VirtualTime::zero() + Duration::seconds(5) + kRound * static_cast<std::int64_t>(i);
  }

  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    plan.lasts = Duration::seconds(5) + kRound * static_cast<std::int64_t>(kRounds);
    plan.knobs["replica.lag_ms"] = 600'000;
    plan.knobs["replica.fetch_wait_ms"] = 5'000;
    plan.knobs["partitions"] = 3;
    // No heartbeat comes so late that a node is fenced that was not away.
    plan.knobs["network.delay_most_ns"] = std::min<std::int64_t>(plan.knobs["network.delay_most_ns"], 200'000'000);
    plan.knobs["network.delay_ns"] = std::min(plan.knobs["network.delay_ns"], plan.knobs["network.delay_most_ns"]);
    for (std::size_t i = 0; i < kRounds; ++i) {
      const std::int64_t first = draws.between(1, 5);
      const std::int64_t other = 1 + (first + draws.between(0, 3)) % 5;
      const VirtualTime back = round(i) + draws.between(Duration::seconds(2), kAway);
      for (const std::int64_t number : {first, other}) {
        PlanFault& death =
            add_fault(plan, draws, draws.below(3) == 0 ? "kill" : "power", group_node_name(static_cast<int>(number)));
        death.at = round(i) + Duration::milliseconds(draws.between(0, 500));
        death.numbers["for_ns"] = (back - death.at).nanoseconds() + draws.magnitude(1, 50'000'000);
      }
    }
    // What they lack is produced while they are away.
    for (std::size_t k = 0; k < plan.operations.size(); ++k) {
      Numbers& numbers = plan.operations[k].numbers;
      numbers["pause_ns"] = draws.between(0, 20'000'000);
      numbers["acks"] = draws.below(2) == 0 ? 1 : -1;
    }
    spread(plan);
  }

  // Each producer's operations over the rounds.
  static void spread(Plan& plan) {
    std::map<std::string, std::vector<PlanOperation*>> of_machine;
    for (PlanOperation& operation : plan.operations) {
      of_machine[operation.machine].push_back(&operation);
    }
    for (const auto& [machine, operations] : of_machine) {
      for (std::size_t k = 0; k < operations.size(); ++k) {
        const std::size_t i = k * kRounds / operations.size();
        operations[k]->numbers["not_before_ns"] = (round(i) - VirtualTime::zero()).nanoseconds();
      }
    }
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& /*nemesis*/, ReplicatedState& state) const override {
    for (std::size_t i = 0; i < kRounds; ++i) {
      world.at(round(i) + kAway + kRejoinedWithin,
               [&world, &state, i] { judge_in_sync(world, state, fmt::format("after round {}", i + 1)); });
    }
  }
};

class Rolling final : public Replicated {
 public:
  const char* name() const override { return "rolling"; }
  const char* description() const override { return "as replicated: nodes that start late, and are stopped in turn"; }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = network_fault_names();
    names.insert(names.end(), {"late start", "orderly stop", "disk-stall"});
    return names;
  }

 private:
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    draw_slow_starts(plan, draws.child("starts", 0));
    draw_stops(plan, draws.child("stops", 0));
    if (draws.below(2) == 0) {
      draw_network_faults(plan, draws.child("network", 0), names);
    }
    for (std::int64_t i = draws.below(2) == 0 ? 0 : draws.between(1, 4); i > 0; --i) {
      PlanFault& slow =
          add_fault(plan, draws, "disk-slow", names[draws.below(static_cast<std::uint64_t>(plan.knob("nodes", 1)))]);
      slow.numbers["for_ns"] = draws.magnitude(100'000'000, 10'000'000'000);
      slow.numbers["stall_ppm"] = draws.magnitude(10'000, 1'000'000);
      slow.numbers["stall_ns"] = draws.magnitude(1'000'000, 500'000'000);
    }
  }
};

// Nothing goes wrong: what is slow here is slow by itself.
class ReplicatedSteady final : public Replicated {
 public:
  const char* name() const override { return "replicated-steady"; }
  const char* description() const override { return "replicas of each partition; nobody waits without a reason"; }
  std::vector<std::string> announced_faults() const override { return {"records deleted"}; }

 private:
  Kind kind() const override { return {.undisturbed = true}; }
  void draw_trouble(Plan& plan, Draws& /*draws*/, const std::vector<std::string>& /*names*/) const override {
    plan.knobs["replica.fetch_wait_ms"] = 60'000;  // a fetch that nobody ends stays parked until somebody notices
    plan.knobs["replica.lag_ms"] = 30'000;
  }
};

}  // namespace

const Scenario* replicated_scenario() {
  static const Plain scenario;
  return &scenario;
}

const Scenario* one_disk_scenario() {
  static const OneDisk scenario;
  return &scenario;
}

const Scenario* rejoined_scenario() {
  static const Rejoined scenario;
  return &scenario;
}

const Scenario* rolling_scenario() {
  static const Rolling scenario;
  return &scenario;
}

const Scenario* replicated_steady_scenario() {
  static const ReplicatedSteady scenario;
  return &scenario;
}

const Scenario* reassigned_scenario() {
  static const Reassigned scenario;
  return &scenario;
}

const Scenario* unclean_scenario() {
  static const Unclean scenario;
  return &scenario;
}

const Scenario* pipelined_scenario() {
  static const Pipelined scenario;
  return &scenario;
}

const Scenario* pipelined_forwarded_scenario() {
  static const PipelinedForwarded scenario;
  return &scenario;
}

const Scenario* forwarded_scenario() {
  static const Forwarded scenario;
  return &scenario;
}

}  // namespace chronik::sim
