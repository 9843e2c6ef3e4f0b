#include "core/fiber/wait_report.h"

#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <algorithm>
#include <iterator>

namespace chronik::fiber {

namespace {

constexpr std::size_t kKeysShown = 8;
constexpr std::size_t kNamesShown = 8;
constexpr std::size_t kProvidersShown = 4;
constexpr std::size_t kSinksShown = 8;

std::string name_of(const FiberWait& wait) { return wait.place + " " + wait.path; }

// Whether a and b of a key are ends of a connection, or a topic: numbers that say nothing to people.
bool begins_with_hashes(WaitKind kind) {
  switch (kind) {
    case WaitKind::kNetworkRead:
    case WaitKind::kNetworkWrite:
    case WaitKind::kConnect:
    case WaitKind::kAccept:
    case WaitKind::kRequest: return true;
    default: return false;
  }
}

std::string names_of(std::span<const FiberWait> waits, std::span<const std::size_t> places) {
  std::string text;
  for (std::size_t i = 0; i < places.size() && i < kNamesShown; ++i) {
    text += (i == 0 ? "" : ", ") + name_of(waits[places[i]]);
  }
  return places.size() > kNamesShown ? text + fmt::format(" and {} more", places.size() - kNamesShown) : text;
}

std::string describe_cycle(std::span<const FiberWait> waits, std::span<const std::size_t> deadlocked) {
  const std::vector<std::size_t> cycle = find_cycle(waits, deadlocked);
  std::string text = "  deadlock: ";
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    const FiberWait& before = waits[cycle[(i + cycle.size() - 1) % cycle.size()]];
    const FiberWait& one = waits[cycle[i]];
    const bool holds = before.keys.front().kind == WaitKind::kTurnstile;
    text += fmt::format("{} {} {} and waits for {}{}", name_of(one), holds ? "holds" : "is to provide",
                        describe_wait(before), describe_wait(one), i + 1 == cycle.size() ? "\n" : "; ");
  }
  return text;
}

// Of the deadlocked those that wait for themselves in the end; the others are behind them. `providers`: of all waits.
absl::btree_set<std::size_t> in_circles(std::span<const std::size_t> deadlocked,
                                        const std::vector<std::vector<std::vector<std::size_t>>>& providers) {
  absl::btree_set<std::size_t> found;
  for (const std::size_t one : deadlocked) {
    absl::btree_set<std::size_t> reached;
    std::vector<std::size_t> left{one};
    while (!left.empty() && !reached.contains(one)) {
      const std::size_t at = left.back();
      left.pop_back();
      for (const std::vector<std::size_t>& of_key : providers[at]) {
        std::copy_if(of_key.begin(), of_key.end(), std::back_inserter(left),
                     [&reached](std::size_t next) { return reached.insert(next).second; });
      }
    }
    if (reached.contains(one)) {
      found.insert(one);
    }
  }
  return found;
}

std::string describe_behind(std::size_t behind) {
  return behind == 0 ? ""
                     : fmt::format(
                           "  {} more can never go on either, though in no circle: marked BEHIND, and behind "
                           "one that is DEADLOCKED\n",
                           behind);
}

// Turnstiles that it holds, each with its name where somebody waits for it and so has told it; "": none.
std::string describe_held(std::span<const FiberWait> waits, const FiberWait& holder) {
  std::string text;
  for (const WaitKey& key : holder.provides) {
    if (key.kind != WaitKind::kTurnstile) {
      continue;
    }
    const auto waiter = std::find_if(waits.begin(), waits.end(), [&](const FiberWait& wait) {
      return wait.waiting && wait.shard == holder.shard && wait.keys.front() == key;
    });
    text += (text.empty() ? "" : ", ") + (waiter == waits.end() ? describe_key(key) : describe_wait(*waiter));
  }
  return text;
}

std::string describe_sinks(std::span<const FiberWait> waits) {
  std::string text;
  const std::vector<WaitSink> sinks = find_sinks(waits);
  for (std::size_t i = 0; i < sinks.size() && i < kSinksShown; ++i) {
    const FiberWait& who = waits[sinks[i].who];
    const std::string held = describe_held(waits, who);
    const std::string ends =
        (who.waiting ? fmt::format("has waited {} ms for {}", who.waited.milliseconds(), describe_wait(who)) : "runs") +
        (held.empty() ? "" : " and holds " + held);
    text += fmt::format("  {} for {}, which {}: {}\n",
                        sinks[i].behind.size() == 1 ? "1 waits" : fmt::format("{} wait", sinks[i].behind.size()),
                        name_of(who), ends, names_of(waits, sinks[i].behind));
  }
  return text;
}

std::string describe_deadline(const FiberWait& wait) {
  static constexpr const char* kMeanings[] = {"normal", "peer", "never"};
  return wait.left == Duration::infinite() ? ", for ever"
                                           : fmt::format(", {} ms left, {}", wait.left.milliseconds(),
                                                         kMeanings[static_cast<std::size_t>(wait.meaning)]);
}

std::string describe_one(std::span<const FiberWait> waits, const FiberWait& wait,
                         const std::vector<std::vector<std::size_t>>& providers) {
  const std::string held = describe_held(waits, wait);
  const std::string holds = held.empty() ? "" : ", holds " + held;
  if (!wait.waiting) {
    return " runs" + holds;
  }
  std::string text;
  bool provided = false;
  for (std::size_t k = 0; k < wait.keys.size() && k < kKeysShown; ++k) {
    text += (k == 0 ? " waits for " : " or ") + (k == 0 ? describe_wait(wait) : describe_key(wait.keys[k]));
    for (std::size_t n = 0; n < providers[k].size() && n < kProvidersShown; ++n) {
      text += fmt::format(" (of {})", name_of(waits[providers[k][n]]));
      provided = true;
    }
    if (providers[k].size() > kProvidersShown) {
      text += fmt::format(" (of {} more)", providers[k].size() - kProvidersShown);
    }
  }
  if (wait.keys.size() > kKeysShown) {
    text += fmt::format(" or {} more", wait.keys.size() - kKeysShown);
  }
  text += describe_deadline(wait);
  if (wait.waited > Duration::milliseconds(1)) {
    text += fmt::format(", since {} ms", wait.waited.milliseconds());
  }
  text += holds;
  return wait.missed_a_signal && !provided ? text + ", signalled last when nobody waited, and nobody provides it"
                                           : text;
}

}  // namespace

std::string describe_key(const WaitKey& key) {
  std::string text = wait_kind_name(key.kind);
  const bool hashes = begins_with_hashes(key.kind);
  for (const std::uint64_t number : {hashes ? 0 : key.a, hashes ? 0 : key.b, key.c}) {
    if (number != 0) {
      text += fmt::format(" {}", number);
    }
  }
  return text;
}

std::string describe_wait(const FiberWait& wait) {
  const std::string key = describe_key(wait.keys.front());
  return wait.detail.empty() ? key : fmt::format("{} ({})", key, wait.detail);
}

std::string describe_waits(std::span<const FiberWait> waits, std::span<const std::size_t> deadlocked) {
  const auto providers = find_providers(waits);
  const absl::btree_set<std::size_t> circles = in_circles(deadlocked, providers);
  const absl::btree_set<std::size_t> stuck(deadlocked.begin(), deadlocked.end());
  std::string text =
      stuck.empty() ? "" : describe_cycle(waits, deadlocked) + describe_behind(stuck.size() - circles.size());
  text += describe_sinks(waits);
  std::vector<std::size_t> idle;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    if (waits[i].idle() && describe_held(waits, waits[i]).empty()) {
      idle.push_back(i);
      continue;
    }
    const char* mark = circles.contains(i) ? "DEADLOCKED" : stuck.contains(i) ? "BEHIND" : "";
    text += fmt::format("  {:10} {}{}\n", mark, name_of(waits[i]), describe_one(waits, waits[i], providers[i]));
  }
  return idle.empty() ? text : text + fmt::format("  {} without work: {}\n", idle.size(), names_of(waits, idle));
}

}  // namespace chronik::fiber
