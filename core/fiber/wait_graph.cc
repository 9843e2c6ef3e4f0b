#include "core/fiber/wait_graph.h"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <algorithm>
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
    if (waits[i].scope != 0) {
      providers[scoped(waits[i].shard, {WaitKind::kScope, waits[i].scope, 0, 0})].push_back(i);
    }
  }
  return providers;
}

std::vector<std::size_t> providers_of_key(const Providers& providers, ShardId shard, const WaitKey& key) {
  std::vector<std::size_t> found;
  for (const WaitKey& form : {key, WaitKey{key.kind, kAnyNumber, 0, 0}}) {
    if (const auto at = providers.find(scoped(shard, form)); at != providers.end()) {
      found.insert(found.end(), at->second.begin(), at->second.end());
    }
  }
  return found;
}

FiberWait wait_of(const Fiber& fiber, MonotonicTime now) {
  FiberWait wait;
  wait.path = fiber.path();
  wait.scope = fiber.scope().number();
  fiber.provides().for_each([&wait](const Provides& provides) { wait.provides.push_back(provides.key()); });
  const Waiter* waiter = fiber.waiter();
  if (waiter == nullptr || waiter->fired()) {
    return wait;
  }
  wait.waiting = true;
  wait.meaning = waiter->meaning();
  wait.waited = now - waiter->since();
  wait.left = waiter->deadline() == MonotonicTime::never() ? Duration::infinite() : waiter->deadline() - now;
  wait.wakes_itself = waiter->meaning() == Expiry::kNormal && waiter->deadline() != MonotonicTime::never();
  wait.missed_a_signal = waiter->missed_a_signal();
  if (waiter->detail() != nullptr) {
    wait.detail = waiter->detail()->describe_wait();
  }
  if (waiter->alternatives() != nullptr && !waiter->alternatives()->empty()) {
    wait.keys = *waiter->alternatives();
  } else {
    wait.keys.push_back(waiter->key());
  }
  return wait;
}

// All from which a step along `edges` leads to `start`, without it; in order.
std::vector<std::size_t> reach(std::size_t start, const std::vector<std::vector<std::size_t>>& edges) {
  absl::btree_set<std::size_t> reached{start};
  std::vector<std::size_t> found{start};
  while (!found.empty()) {
    const std::size_t at = found.back();
    found.pop_back();
    for (const std::size_t next : edges[at]) {
      if (reached.insert(next).second) {
        found.push_back(next);
      }
    }
  }
  reached.erase(start);
  return {reached.begin(), reached.end()};
}

}  // namespace

void collect_waits(const Scheduler& scheduler, std::string_view place, MonotonicTime now,
                   std::vector<FiberWait>& into) {
  const std::size_t first = into.size();
  scheduler.for_each_fiber([&](const Fiber& fiber) { into.push_back(wait_of(fiber, now)); });
  scheduler.wait_sources().for_each([&](const WaitSource& source) { source.add_wait(now, into); });
  for (std::size_t i = first; i < into.size(); ++i) {
    into[i].place = place;
    into[i].shard = scheduler.context().shard;
  }
}

std::vector<std::vector<std::vector<std::size_t>>> find_providers(std::span<const FiberWait> waits) {
  const Providers providers = providers_of(waits);
  std::vector<std::vector<std::vector<std::size_t>>> found(waits.size());
  for (std::size_t i = 0; i < waits.size(); ++i) {
    for (const WaitKey& key : waits[i].keys) {
      found[i].push_back(providers_of_key(providers, waits[i].shard, key));
    }
  }
  return found;
}

std::vector<std::size_t> find_deadlock(std::span<const FiberWait> waits) {
  const auto providers = find_providers(waits);
  // Whoever may run on: at first all that do not wait, wake by themselves, or wait for the outside world; then all who
  // wait for one of them. What is left waits for itself.
  std::vector<bool> alive(waits.size());
  std::vector<std::vector<std::size_t>> waited_for_by(waits.size());
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    bool lives = !waits[i].waiting || waits[i].wakes_itself;
    for (const std::vector<std::size_t>& of_key : providers[i]) {
      lives = lives || of_key.empty();
      for (const std::size_t provider : of_key) {
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

std::vector<std::size_t> find_cycle(std::span<const FiberWait> waits, std::span<const std::size_t> deadlocked) {
  const auto providers = find_providers(waits);
  // Every provider of a member is a member, so that the first of each leads round sooner or later.
  std::vector<std::size_t> way{deadlocked.front()};
  for (;;) {
    const std::size_t next = providers[way.back()].front().front();
    const auto seen = std::find(way.begin(), way.end(), next);
    if (seen != way.end()) {
      way.erase(way.begin(), seen);
      return way;
    }
    way.push_back(next);
  }
}

std::vector<WaitSink> find_sinks(std::span<const FiberWait> waits) {
  const auto providers = find_providers(waits);
  std::vector<std::vector<std::size_t>> waited_for_by(waits.size());
  std::vector<bool> ends(waits.size(), true);
  for (std::size_t i = 0; i < waits.size(); ++i) {
    // Who joins a scope is behind everybody in it, and says nothing.
    const bool joins = waits[i].waiting && waits[i].keys.front().kind == WaitKind::kScope;
    ends[i] = !joins;
    for (const std::vector<std::size_t>& of_key : providers[i]) {
      for (std::size_t p = 0; p < of_key.size() && !joins; ++p) {
        waited_for_by[of_key[p]].push_back(i);
        ends[i] = false;
      }
    }
  }
  std::vector<WaitSink> sinks;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    if (ends[i] && !waited_for_by[i].empty()) {
      sinks.push_back({.who = i, .behind = reach(i, waited_for_by)});
    }
  }
  std::stable_sort(sinks.begin(), sinks.end(),
                   [](const WaitSink& a, const WaitSink& b) { return a.behind.size() > b.behind.size(); });
  return sinks;
}

}  // namespace chronik::fiber
