// Must fail, in one of many schedules: a small world for exhaustive search. Not one of `all`.
//
// Two fibers move money between two accounts, and a third sums both up, each in steps between which any of them may
// run. Nobody waits: the auditor holds its sum for good where the bank's version is the same after as before. The bug:
// a transfer changes the version at its end only, and so says nothing while it is under way. The knob race.sound
// changes it at its beginning, too, and lets the auditor give up where a transfer is under way.
#include <fmt/core.h>

#include <memory>

#include "core/fiber/scheduler.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kEach = 100;

struct RacingBank {
  std::int64_t from = kEach;
  std::int64_t to = kEach;
  std::uint64_t version = 0;
  std::uint64_t under_way = 0;
};

void move_money(RacingBank& bank, std::int64_t amount, bool sound) {
  bank.under_way += sound ? 1 : 0;
  bank.version += sound ? 1 : 0;
  bank.from -= amount;
  fiber::yield_to_ready();
  bank.to += amount;
  fiber::yield_to_ready();
  ++bank.version;
  bank.under_way -= sound ? 1 : 0;
}

void audit(RacingBank& bank, World& world) {
  if (bank.under_way > 0) {
    return;
  }
  const std::uint64_t version = bank.version;
  const std::int64_t from = bank.from;
  fiber::yield_to_ready();
  const std::int64_t sum = from + bank.to;
  fiber::yield_to_ready();
  if (bank.version == version && sum != 2 * kEach) {
    world.fail("AUDIT", fmt::format("the accounts hold {} together, and not {}", sum, 2 * kEach));
  }
}

class CanaryRace final : public Scenario {
 public:
  const char* name() const override { return "canary-race"; }
  const char* description() const override { return "must fail in one schedule of many: an audit amid transfers"; }
  std::vector<std::string> announced_faults() const override { return {}; }
  std::vector<std::string> promises() const override { return {"AUDIT"}; }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_plan(*this, seed, draws);
    plan.lasts = Duration::milliseconds(100);
    plan.calm = Duration::milliseconds(100);
    plan.knobs["race.sound"] = 0;
    plan.machines.push_back(draw_machine("bank", "bank", draws));
    plan.machines.back().numbers["turn.resumes"] = 1'000;  // the bank's work is one turn's
    for (std::uint64_t id = 1; id <= 2; ++id) {
      plan.operations.push_back({id, "bank", "transfer", {{"amount", draws.between(1, kEach)}}});
    }
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& /*nemesis*/) const override {
    const bool sound = plan.knob("race.sound", 0) != 0;
    for (const PlanMachine& planned : plan.machines) {
      Machine& machine = add_planned_machine(world, planned);
      machine.install([&world, &plan, sound](ProcessContext& /*process*/) {
        RacingBank bank;
        fiber::FiberScope scope;
        for (const PlanOperation& transfer : plan.operations) {
          scope.spawn({"transfer", transfer.id},
                      [&bank, &transfer, sound] { move_money(bank, transfer.number("amount"), sound); });
        }
        scope.spawn({"auditor", 0}, [&bank, &world] { audit(bank, world); });
        static_cast<void>(scope.join(fiber::for_ever()));
      });
      machine.start();
    }
    return std::make_unique<ScenarioState>();
  }
};

}  // namespace

const Scenario* canary_race_scenario() {
  static const CanaryRace scenario;
  return &scenario;
}

}  // namespace chronik::sim
