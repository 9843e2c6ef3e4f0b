#include "sim/world.h"

#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/mix.h"
#include "core/fiber/wait_graph.h"
#include "core/fiber/wait_report.h"
#include "inspect/fiber_stacks.h"
#include "sim/checkers.h"
#include "sim/last_events.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/obligations.h"
#include "sim/points.h"
#include "sim/shard.h"
#include "sim/story.h"
#include "sim/strategy.h"

namespace chronik::sim {

namespace {
constexpr Duration kBetweenLooksForDeadlock = Duration::seconds(5);
}  // namespace

World::World(const WorldOptions& options, StackSource& stacks)
    : options_(options), stacks_(stacks), decisions_(options.seed) {
  context_.log = options_.log;
  context_.replay_line = options_.replay_line;
  ambient_.context = &context_;
  ambient_.name = "world";
  network_ = std::make_unique<NetworkFabric>(*this);
  checkers_ = std::make_unique<Checkers>(*this);
  points_ = std::make_unique<Points>(*this);
  obligations_ = std::make_unique<Obligations>(*this);
}

World::~World() { end_all(); }

void World::end_all() {
  const AmbientGuard guard(ambient_);
  stopped_ = true;
  for (const std::unique_ptr<Machine>& machine : machines_) {
    machine->on_exit(nullptr);
    machine->kill(Death::kPowerLoss);
  }
}

Machine& World::add_machine(const MachineOptions& options) {
  for (const std::unique_ptr<Machine>& machine : machines_) {
    CHECK_NE(machine->name(), options.name);
  }
  const AmbientGuard guard(ambient_);
  machines_.push_back(std::make_unique<Machine>(*this, options, machines_.size()));
  return *machines_.back();
}

Machine& World::machine(std::string_view name) {
  for (const std::unique_ptr<Machine>& machine : machines_) {
    if (machine->name() == name) {
      return *machine;
    }
  }
  UNREACHABLE(fmt::format("no machine is called {}", name));
}

// ---- events ----

EventId World::at(VirtualTime when, EventQueue::Callback callback) {
  CHECK_GE(when.nanoseconds(), now_.nanoseconds());
  return when == VirtualTime::never() ? EventId{} : events_.add(when, std::move(callback));
}

bool World::step() {
  const AmbientGuard guard(ambient_);
  if (events_.next() == VirtualTime::never()) {
    return false;
  }
  now_ = events_.next();
  if (events_run_ + 1 >= options_.stop.event || now_ >= options_.stop.time) [[unlikely]] {
    options_.stop = {};
    stop_for_debugger(*this);
  }
  watch_progress();
  ++events_run_;
  last_event_ = now_;
  trace_.record(Record::kEvent, static_cast<std::uint64_t>(now_.nanoseconds()));
  events_.take()();
  return true;
}

void World::run_until(VirtualTime until) {
  while (!stopped_ && events_.next() <= until && step()) {
    if (now_ >= next_look_for_deadlock_) {
      look_for_deadlock();
    }
  }
  if (!stopped_ && until != VirtualTime::never() && now_ < until) {
    now_ = until;
    look_for_deadlock();
  }
}

void World::watch_progress() {
  const std::int64_t millisecond = now_.nanoseconds() / 1'000'000;
  if (millisecond != progress_millisecond_) {
    progress_millisecond_ = millisecond;
    events_in_millisecond_ = 0;
  } else if (++events_in_millisecond_ == options_.events_per_millisecond_max + 1) {
    fail("NO-SPIN",
         fmt::format("{} events within one millisecond of virtual time\n{}", events_in_millisecond_, describe_waits()));
  }
}

// ---- shards ----

void World::enlist(Shard& shard) { CHECK(shards_.emplace(shard.id().value(), &shard).second); }

void World::dismiss(Shard& shard) { CHECK_EQ(shards_.erase(shard.id().value()), std::size_t{1}); }

Shard* World::shard(ShardId id) {
  const auto found = shards_.find(id.value());
  return found == shards_.end() ? nullptr : found->second;
}

void World::complete(ShardId id, OpNumber number, std::int64_t result) {
  if (Shard* target = shard(id); target != nullptr) {
    target->complete(number, result);
  }
}

// ---- what came out ----

namespace {

// Checkers that find that something does not get on.
bool is_of_what_hangs(std::string_view checker) {
  return checker.ends_with("-LIVE") || checker == "NO-STUCK" || checker == "NO-SPIN" || checker == "MEMBERS";
}

}  // namespace

void World::fail(std::string_view checker, std::string_view message) {
  if (findings_.empty()) {  // what follows a finding is often its consequence
    std::string text(message);
    if (shown_at_ != events_run_ && is_of_what_hangs(checker)) {
      text += "\n" + describe_waits();
    }
    if (last_events() != nullptr) [[unlikely]] {
      last_events()->close(*this);
    }
    findings_.push_back({std::string(checker), std::move(text), now_});
    if (shown_at_ == events_run_) {
      findings_.back().hung = shown_;
    }
    trace_.note(fmt::format("{}: {}", checker, message));
    if (story() != nullptr) [[unlikely]] {
      story()->finding(findings_.back());
      story()->look_at_waits();
    }
  }
  stop();
}

void World::fault_fired(std::string_view kind, std::uint64_t target) {
  ++faults_[std::string(kind)];
  trace_.record(Record::kFault, mix_text(kind), target);
  if (trace_.wants_text()) {
    trace_.note(fmt::format("fault: {}", kind));
  }
  if (story() != nullptr) [[unlikely]] {
    story()->fault(kind, target);
  }
  checkers_->on_fault(kind, target);
}

namespace {

std::vector<fiber::FiberWait> all_waits(const std::vector<std::unique_ptr<Machine>>& machines) {
  std::vector<fiber::FiberWait> waits;
  for (const std::unique_ptr<Machine>& machine : machines) {
    for (const std::unique_ptr<Shard>& shard : machine->shards()) {
      fiber::collect_waits(shard->scheduler(), shard->name(), shard->clock_now(), waits);
    }
  }
  return waits;
}

}  // namespace

std::string World::describe_waits() {
  const std::vector<fiber::FiberWait> waits = all_waits(machines_);
  const std::vector<std::size_t> deadlocked = fiber::find_deadlock(waits);
  note_graph(waits, deadlocked, nullptr);
  return fiber::describe_waits(waits, deadlocked) + describe_stacks(waits, deadlocked, nullptr);
}

namespace {

// The deadlocked; where there are none, who waits for somebody, and for whom; where there are none either, whoever
// waits for anything.
absl::btree_set<std::string> who_hangs(const std::vector<fiber::FiberWait>& waits,
                                       const std::vector<std::size_t>& deadlocked) {
  absl::btree_set<std::size_t> chosen(deadlocked.begin(), deadlocked.end());
  const auto providers = fiber::find_providers(waits);
  for (std::size_t i = 0; deadlocked.empty() && i < waits.size(); ++i) {
    for (const std::vector<std::size_t>& of_key : providers[i]) {
      chosen.insert(of_key.begin(), of_key.end());
      if (!of_key.empty()) {
        chosen.insert(i);
      }
    }
  }
  const bool nobody = chosen.empty();
  for (std::size_t i = 0; nobody && i < waits.size(); ++i) {
    if (waits[i].waiting && !waits[i].idle()) {
      chosen.insert(i);
    }
  }
  absl::btree_set<std::string> names;
  for (const std::size_t one : chosen) {
    names.insert(waits[one].place + " " + waits[one].path);
  }
  return names;
}

}  // namespace

void World::note_graph(const std::vector<fiber::FiberWait>& waits, const std::vector<std::size_t>& deadlocked,
                       const fiber::Fiber* also) {
  const absl::btree_set<std::string> names = who_hangs(waits, deadlocked);
  shown_.clear();
  shown_at_ = events_run_;
  for (const std::unique_ptr<Machine>& machine : machines_) {
    for (const std::unique_ptr<Shard>& shard : machine->shards()) {
      shard->scheduler().for_each_fiber([&](const fiber::Fiber& fiber) {
        if (&fiber == also || names.contains(shard->name() + " " + fiber.path())) {
          shown_.push_back({shard->id(), fiber.lineage(), shard->name(), fiber.path()});
        }
      });
    }
  }
}

std::string World::describe_stacks(const std::vector<fiber::FiberWait>& waits,
                                   const std::vector<std::size_t>& deadlocked, const fiber::Fiber* also) const {
  if (fiber::Fiber::current_or_null() != nullptr) {
    return "  (no stacks: a fiber runs)\n";
  }
  std::vector<inspect::FiberStack> stacks;
  for (const std::unique_ptr<Machine>& machine : machines_) {
    for (const std::unique_ptr<Shard>& shard : machine->shards()) {
      inspect::collect_stacks(shard->scheduler(), shard->name(), stacks);
    }
  }
  if (!deadlocked.empty()) {
    std::erase_if(stacks, [&](const inspect::FiberStack& stack) {
      return !(also != nullptr && stack.path == also->path()) &&
             std::none_of(deadlocked.begin(), deadlocked.end(),
                          [&](std::size_t i) { return waits[i].place == stack.place && waits[i].path == stack.path; });
    });
  }
  return "  stacks:\n" + inspect::describe_stacks(stacks);
}

// Also where every deadline is far away, and whatever would come of it (rule S3).
void World::look_for_deadlock() {
  next_look_for_deadlock_ = now_ + kBetweenLooksForDeadlock;
  const std::vector<fiber::FiberWait> waits = all_waits(machines_);
  const std::vector<std::size_t> deadlocked = fiber::find_deadlock(waits);
  if (!stopped_ && !deadlocked.empty()) {
    // Of those in a circle: others wait for one of them, as whoever joins their scope does.
    const fiber::FiberWait& first = waits[fiber::find_cycle(waits, deadlocked).front()];
    note_graph(waits, deadlocked, nullptr);
    fail("NO-STUCK",
         fmt::format("fibers wait for each other: {} {} waits for {}\n{}", first.place, first.path,
                     fiber::describe_wait(first),
                     fiber::describe_waits(waits, deadlocked) + describe_stacks(waits, deadlocked, nullptr)));
  }
}

namespace {

// Its last signal came before it waited, and nobody says that he will give another.
bool wake_up_was_lost(const std::vector<fiber::FiberWait>& waits, std::string_view place, std::string_view path) {
  const auto it = std::find_if(waits.begin(), waits.end(), [&](const fiber::FiberWait& wait) {
    return wait.place == place && wait.path == path && wait.waiting;
  });
  if (it == waits.end() || !it->missed_a_signal) {
    return false;
  }
  const auto providers = fiber::find_providers(waits)[static_cast<std::size_t>(it - waits.begin())];
  return std::all_of(providers.begin(), providers.end(), [](const auto& of_key) { return of_key.empty(); });
}

}  // namespace

void World::judge_expiry(Shard& shard, const fiber::Fiber& fiber, const WaitKey& key, Expiry meaning) {
  if (meaning == Expiry::kNormal) {
    return;
  }
  const std::vector<fiber::FiberWait> waits = all_waits(machines_);
  const std::vector<std::size_t> deadlocked = fiber::find_deadlock(waits);
  std::string verdict;
  if (!deadlocked.empty()) {
    verdict = "fibers wait for each other";
  } else if (meaning == Expiry::kNever) {
    verdict = "a wait expired that only a bug lets expire";
  } else if (calm()) {
    verdict = "a wait for a peer expired though all faults had ended";
  } else {
    return;
  }
  if (deadlocked.empty() && wake_up_was_lost(waits, shard.name(), fiber.path())) {
    verdict += ", and the last signal of what it waits for came when nobody waited: a lost wake-up";
  }
  note_graph(waits, deadlocked, &fiber);
  fail("NO-STUCK",
       fmt::format("{}: {} {} waits for {}\n{}", verdict, shard.name(), fiber.path(), fiber::describe_key(key),
                   fiber::describe_waits(waits, deadlocked) + describe_stacks(waits, deadlocked, &fiber)));
}

}  // namespace chronik::sim
