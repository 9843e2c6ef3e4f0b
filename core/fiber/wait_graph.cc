#include "core/fiber/wait_graph.h"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <utility>

#include "core/fiber/scheduler.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait.h"

namespace chronik::fiber {

namespace {

// Numbers of turnstiles, events and the like are unique on their shard; what both ends of a connection know,
// everywhere.
using ScopedKey = std::pair<ShardId, WaitKey>;

ScopedKey scoped(ShardId shard, const WaitKey& key) {
  return {key.kind == WaitKind::kRequest ? ShardId::none() : shard, key};
}

using Providers = absl::btree_map<ScopedKey, std::vector<std::size_t>>;

Providers providers_of(std::span<const FiberWait> waits) {
  Providers providers;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    for (const WaitKey& key : waits[i].provides) {
      providers[scoped(waits[i].shard, key)].push_back(i);
    }
    providers[scoped(waits[i].shard, {WaitKind::kScope, waits[i].scope, 0, 0})].push_back(i);
  }
  return providers;
}

}  // namespace

void collect_waits(const Scheduler& scheduler, std::string_view place, std::vector<FiberWait>& into) {
  scheduler.for_each_fiber([&](const Fiber& fiber) {
    FiberWait& added = into.emplace_back();
    added.place = place;
    added.shard = fiber.context->shard;
    added.path = fiber.path();
    added.scope = fiber.scope().number();
    fiber.provides().for_each([&added](const Provides& provides) { added.provides.push_back(provides.key()); });
    const Waiter* waiter = fiber.waiter();
    if (waiter == nullptr || waiter->fired()) {
      return;
    }
    added.waiting = true;
    added.meaning = waiter->meaning();
    added.left =
        waiter->deadline() == MonotonicTime::never() ? Duration::infinite() : waiter->deadline() - scheduler.now();
    added.wakes_itself = waiter->meaning() == Expiry::kNormal && waiter->deadline() != MonotonicTime::never();
    if (waiter->alternatives() != nullptr && !waiter->alternatives()->empty()) {
      added.keys = *waiter->alternatives();
    } else {
      added.keys.push_back(waiter->key());
    }
  });
}

std::vector<std::size_t> find_deadlock(std::span<const FiberWait> waits) {
  const Providers providers = providers_of(waits);
  // Whoever may run on: at first all that do not wait, wake by themselves, or wait for the outside world; then all who
  // wait for one of them. What is left waits for itself.
  std::vector<bool> alive(waits.size());
  std::vector<std::vector<std::size_t>> waited_for_by(waits.size());
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    bool lives = !waits[i].waiting || waits[i].wakes_itself;
    for (const WaitKey& key : waits[i].keys) {
      const auto provided = providers.find(scoped(waits[i].shard, key));
      if (provided == providers.end()) {
        lives = true;
        continue;
      }
      for (const std::size_t provider : provided->second) {
        waited_for_by[provider].push_back(i);
      }
    }
    if (lives) {
      alive[i] = true;
      found.push_back(i);
    }
  }
  while (!found.empty()) {
    const std::size_t provider = found.back();
    found.pop_back();
    for (const std::size_t waiter : waited_for_by[provider]) {
      if (!alive[waiter]) {
        alive[waiter] = true;
        found.push_back(waiter);
      }
    }
  }
  for (std::size_t i = 0; i < waits.size(); ++i) {
    if (!alive[i]) {
      found.push_back(i);
    }
  }
  return found;
}

std::string describe_key(const WaitKey& key) {
  std::string text = wait_kind_name(key.kind);
  for (const std::uint64_t number : {key.a, key.b, key.c}) {
    if (number != 0) {
      text += fmt::format(" {}", number);
    }
  }
  return text;
}

std::string describe_waits(std::span<const FiberWait> waits, std::span<const std::size_t> deadlocked) {
  const Providers providers = providers_of(waits);
  const absl::btree_set<std::size_t> stuck(deadlocked.begin(), deadlocked.end());
  std::string text;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const FiberWait& wait = waits[i];
    text += fmt::format("  {} {} {}", stuck.contains(i) ? "DEADLOCKED" : "          ", wait.place, wait.path);
    if (!wait.waiting) {
      text += " runs\n";
      continue;
    }
    for (std::size_t k = 0; k < wait.keys.size() && k < 8; ++k) {
      text += fmt::format("{}{}", k == 0 ? " waits for " : " or ", describe_key(wait.keys[k]));
      const auto provided = providers.find(scoped(wait.shard, wait.keys[k]));
      if (provided != providers.end()) {
        for (const std::size_t provider : provided->second) {
          text += fmt::format(" (of {} {})", waits[provider].place, waits[provider].path);
        }
      }
    }
    if (wait.keys.size() > 8) {
      text += fmt::format(" or {} more", wait.keys.size() - 8);
    }
    static constexpr const char* kMeanings[] = {"normal", "peer", "never"};
    text += wait.left == Duration::infinite() ? ", for ever\n"
                                              : fmt::format(", {} ms left, {}\n", wait.left.milliseconds(),
                                                            kMeanings[static_cast<std::size_t>(wait.meaning)]);
  }
  return text;
}

}  // namespace chronik::fiber
