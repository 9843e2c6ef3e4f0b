// Must fail, in every seed: so that whoever runs it sees that a failure is found, named and shrunk. Not one of `all`.
//
// A bank moves money between accounts, and holds both accounts' turnstiles meanwhile: first the one that gives, a
// moment later the one that takes. Of two transfers between the same two, one each way, each ends up waiting for the
// other (NO-STUCK). The smallest plan that shows it has two operations.
#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/fiber/scope.h"
#include "core/fiber/turnstile.h"
#include "core/fiber/wait.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/scenarios/scenarios.h"
#include "sim/story.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kAccounts = 6;
constexpr Duration kWithin = Duration::seconds(30);

struct CanaryState final : ScenarioState {
  std::vector<PlanOperation> transfers;
};

class Bank {
 public:
  explicit Bank(World& world) : world_(world) {
    for (std::uint64_t i = 0; i < kAccounts; ++i) {
      accounts_.emplace_back("account", i + 1);
    }
  }

  // The bug: not in the order of the accounts.
  void transfer(const PlanOperation& operation) {
    std::optional<fiber::Turnstile::Pass> from;
    std::optional<fiber::Turnstile::Pass> to;
    if (enter(operation, "from", from) && fiber::sleep(Duration::nanoseconds(operation.number("takes_ns"))).ok() &&
        enter(operation, "to", to)) {
      static_cast<void>(fiber::sleep(Duration::nanoseconds(operation.number("takes_ns"))));
      tell(fmt::format("ends operation {}", operation.id));
    }
  }

 private:
  bool enter(const PlanOperation& operation, const char* which, std::optional<fiber::Turnstile::Pass>& pass) {
    tell(fmt::format("asks for account {} for operation {}", operation.number(which) + 1, operation.id));
    const bool entered = account(operation, which).enter(pass, fiber::within(kWithin, Expiry::kPeer)).ok();
    if (entered) {
      tell(fmt::format("holds account {} for operation {}", operation.number(which) + 1, operation.id));
    }
    return entered;
  }
  void tell(std::string what) {
    if (Story* story = world_.story(); story != nullptr) [[unlikely]] {
      story->tell(StoryKind::kOperation, std::move(what));
    }
  }
  fiber::Turnstile& account(const PlanOperation& operation, const char* which) {
    return accounts_.at(static_cast<std::size_t>(operation.number(which)));
  }
  World& world_;
  std::deque<fiber::Turnstile> accounts_;
};

void run_bank(ProcessContext& process, const CanaryState& state) {
  Bank bank(process.machine.world());
  fiber::FiberScope scope;
  for (const PlanOperation& transfer : state.transfers) {
    scope.spawn({"transfer", transfer.id}, [&bank, &transfer, &process] {
      const VirtualTime at = VirtualTime::zero() + Duration::nanoseconds(transfer.number("at_ns"));
      const VirtualTime now = process.machine.world().now();
      if (fiber::sleep(std::max(at - now, Duration::zero())).ok()) {
        bank.transfer(transfer);
      }
    });
  }
  static_cast<void>(scope.join(fiber::for_ever()));
}

class Canary final : public Scenario {
 public:
  const char* name() const override { return "canary"; }
  const char* description() const override { return "must fail: transfers that lock two accounts in any order"; }
  std::vector<std::string> announced_faults() const override { return {}; }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_plan(*this, seed, draws);
    plan.machines.push_back(draw_machine("bank", "bank", draws));
    const std::int64_t transfers = draws.between(20, 60);
    for (std::int64_t i = 0; i < transfers; ++i) {
      const std::int64_t from = draws.between(0, kAccounts - 1);
      const std::int64_t to = (from + draws.between(1, kAccounts - 1)) % kAccounts;
      const std::int64_t takes_ns = draws.magnitude(1'000, 10'000'000);
      add_transfer(plan, from, to, draws.between(Duration::zero(), plan.lasts), takes_ns);
    }
    const Duration crossing = draws.between(Duration::seconds(1), plan.lasts);
    add_transfer(plan, 0, 1, crossing, 50'000'000);
    add_transfer(plan, 1, 0, crossing + Duration::milliseconds(10), 50'000'000);
    draw_suspensions(plan, draws.child("suspensions", 0), {"bank"});
    draw_clock_steps(plan, draws.child("clock steps", 0), {"bank"});
    return plan;
  }
  std::vector<std::string> promises() const override { return {"NO-STUCK"}; }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& /*nemesis*/) const override {
    auto state = std::make_unique<CanaryState>();
    state->transfers = plan.operations;
    for (const PlanMachine& planned : plan.machines) {
      Machine& machine = add_planned_machine(world, planned);
      machine.install([state = state.get()](ProcessContext& process) { run_bank(process, *state); });
      machine.start();
    }
    return state;
  }

 private:
  static void add_transfer(Plan& plan, std::int64_t from, std::int64_t to, Duration at, std::int64_t takes_ns) {
    PlanOperation& operation = plan.operations.emplace_back();
    operation.id = plan.operations.size();
    operation.machine = "bank";
    operation.verb = "transfer";
    operation.numbers = {{"from", from}, {"to", to}, {"at_ns", at.nanoseconds()}, {"takes_ns", takes_ns}};
  }
};

}  // namespace

const Scenario* canary_scenario() {
  static const Canary scenario;
  return &scenario;
}

}  // namespace chronik::sim
