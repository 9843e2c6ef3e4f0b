// Three replicas of each partition, one of which is always behind: its disk, its links or its leader's view of it lag
// for about as long as it takes to fall out of the in-sync set and to come back. The sets shrink and grow all the time,
// and just when they do, somebody dies, loses its power, sleeps, or is cut off from all nodes but one, so that it goes
// on acknowledging over a set that is another one elsewhere.
//
// One or two replicas must be in sync. Judged is what replicated.cc says; above all that whoever is in sync or eligible
// has what was committed (IN-SYNC).
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sim/disk_faults.h"
#include "sim/scenarios/replicated.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scenarios/trouble.h"
#include "sim/scenarios/workload.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kProducesLeast = 150;  // of a client
constexpr Duration kLagMost = Duration::milliseconds(1500);
constexpr Duration kBeforeFirst = Duration::seconds(4);
constexpr Duration kAfterLast = Duration::seconds(4);  // until all is healed

// A few strikes that belong together.
class OvertakenRound {
 public:
  OvertakenRound(Plan& plan, Draws& draws, VirtualTime at) : plan_(plan), draws_(draws), at_(at) {
    for (int number = 1; number <= static_cast<int>(plan.knob("nodes", kGroupNodes)); ++number) {
      nodes_.push_back(group_node_name(number));
    }
    for (std::size_t i = nodes_.size(); i > 1; --i) {
      std::swap(nodes_[i - 1], nodes_[draws_.below(i)]);
    }
  }

  void draw() {
    const Duration lag = Duration::milliseconds(plan_.knob("replica.lag_ms", 0));
    const Duration behind = lag + draws_.between(lag / 2, lag * 2);
    fall_behind(behind);
    // About when it has fallen out, or when it comes back.
    const VirtualTime changes = draws_.below(2) == 0 ? at_ + lag + draws_.between(Duration::zero(), lag) : at_ + behind;
    const VirtualTime goes = changes + Duration::nanoseconds(draws_.magnitude(1'000, 300'000'000));
    const Duration away = draws_.between(Duration::milliseconds(500), Duration::seconds(3));
    switch (draws_.below(6)) {
      case 0:
      case 1:
      case 2: cut_off_but_for_one(goes, away); break;
      case 3: add("suspend", nodes_[1], goes, away); break;
      default: die(nodes_[1], goes);
    }
    if (draws_.below(2) == 0) {
      die(nodes_[2], goes + draws_.between(Duration::zero(), Duration::milliseconds(1500)));
    }
    if (draws_.below(3) == 0) {
      // It may have led meanwhile.
      die(nodes_[0], goes + away + draws_.between(Duration::zero(), Duration::seconds(1)));
    }
  }

 private:
  PlanFault& add(std::string kind, const std::string& target, VirtualTime at, Duration lasts) {
    return add_fault_at(plan_, draws_, std::move(kind), target, at, lasts);
  }

  void fall_behind(Duration lasts) {
    const std::string& late = nodes_[0];
    switch (draws_.below(3)) {
      case 0: {
        PlanFault& slow = add("disk-slow", late, at_, lasts);
        slow.numbers["stall_ppm"] = 1'000'000;
        slow.numbers["stall_ns"] = draws_.between(lasts / 2, lasts).nanoseconds();
        return;
      }
      case 1: {
        PlanFault& slow = add("slow", late, at_, lasts);
        slow.other = "*";
        slow.numbers["delay_ns"] = draws_.between(lasts / 4, lasts).nanoseconds();
        return;
      }
      default: {
        PlanFault& cut = add("partition", late, at_, lasts);
        cut.other = nodes_[1];
        cut.numbers["one_way"] = draws_.between(0, 1);
      }
    }
  }

  void die(const std::string& node, VirtualTime at) {
    const Duration lasts = Duration::nanoseconds(draws_.magnitude(20'000'000, 3'000'000'000));
    add(draws_.below(3) == 0 ? "kill" : "power", node, at, lasts);
  }

  void cut_off_but_for_one(VirtualTime at, Duration lasts) {
    const std::int64_t one_way = draws_.below(3) == 0 ? 1 : 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (i != 1 && i != 2) {
        PlanFault& cut = add("partition", nodes_[1], at, lasts);
        cut.other = nodes_[i];
        cut.numbers["one_way"] = one_way;
      }
    }
  }

  Plan& plan_;
  Draws& draws_;
  VirtualTime at_;
  std::vector<std::string> nodes_;  // the first one falls behind, the second one goes
};

void draw_lags(Plan& plan, Draws& draws, Duration lag_most) {
  plan.knobs["replica.lag_ms"] = draws.magnitude(200, lag_most.milliseconds());
  plan.knobs["replica.fetch_wait_ms"] = draws.magnitude(500, 5'000);
}

std::vector<VirtualTime> draw_rounds(Plan& plan, const Draws& draws) {
  std::vector<VirtualTime> begins;
  VirtualTime at = VirtualTime::zero() + kBeforeFirst;
  while (at < VirtualTime::zero() + (plan.lasts - kAfterLast)) {
    Draws of_one = draws.child("round", begins.size());
    OvertakenRound(plan, of_one, at).draw();
    begins.push_back(at);
    at = at + of_one.between(Duration::milliseconds(1500), Duration::seconds(5));
  }
  return begins;
}

class Overtaken final : public Replicated {
 public:
  const char* name() const override { return "overtaken"; }
  const char* description() const override {
    return "one replica is always behind: the in-sync sets change all the time, and then somebody goes";
  }
  std::vector<std::string> announced_faults() const override {
    return {"disk-stall", "slow link", "partition", "one-way partition", "process kill", "power loss", "suspend"};
  }

 private:
  Kind kind() const override { return {.nodes_least = 3, .replicas = 3}; }

  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& /*names*/) const override {
    draw_lags(plan, draws, kLagMost);
    plan.knobs["replicas.min"] = draws.between(1, 2);
    produce_throughout(plan, draws, draw_rounds(plan, draws));
  }

  // In each round as much, from its beginning on.
  static void produce_throughout(Plan& plan, Draws& draws, const std::vector<VirtualTime>& begins) {
    std::map<std::string, std::size_t> of_machine;
    for (const PlanOperation& operation : plan.operations) {
      ++of_machine[operation.machine];
    }
    for (auto& [machine, count] : of_machine) {
      while (count < kProducesLeast) {
        const std::size_t before = plan.operations.size();
        draw_produces(plan, machine, {.operations_most = 100, .bytes_most = 500, .acks_one_in = 6}, draws);
        count += plan.operations.size() - before;
      }
    }
    std::map<std::string, std::size_t> nth;
    for (PlanOperation& operation : plan.operations) {
      const std::size_t round = nth[operation.machine]++ * begins.size() / of_machine[operation.machine];
      operation.numbers["pause_ns"] = draws.between(0, 60'000'000);
      operation.numbers["not_before_ns"] = (begins[round] - VirtualTime::zero()).nanoseconds();
    }
  }
};

}  // namespace

std::vector<VirtualTime> draw_overtaken_rounds(Plan& plan, Draws& draws, Duration lag_most) {
  draw_lags(plan, draws, lag_most);
  return draw_rounds(plan, draws);
}

const Scenario* overtaken_scenario() {
  static const Overtaken scenario;
  return &scenario;
}

}  // namespace chronik::sim
