// What the key-value store promises, and one property that both stores are held against: any sequence of calls,
// reopening included, is answered as an ordered map would answer it.
#include <rapidcheck.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/conformance/clause.h"

namespace chronik::conformance {

namespace {

using Entries = std::map<std::string, std::string>;
const std::string kEnd(4, '\xff');

StoreBatch put(std::string_view key, std::string_view value) {
  StoreBatch batch;
  batch.put(key, value);
  return batch;
}
Entries all(KeyValueStore& store) {
  const auto snapshot = store.snapshot(soon());
  CHECK_OK(snapshot.status());
  const auto entries = (*snapshot)->scan("", kEnd, 100'000, soon());
  CHECK_OK(entries.status());
  return Entries(entries->begin(), entries->end());
}

template <typename Check>
bool in_one_life_of_a_store(ConformanceWorld& world, Check check, Death death = Death::kExit) {
  bool observed = false;
  const RunEnd end =
      world.run([&](Ports& ports, fiber::FiberScope&) { observed = check(ports.store); }, death, Duration::seconds(20));
  EXPECT_TRUE(end.finished);
  return end.finished && observed;
}
template <typename Prepare>
void live_with_store(ConformanceWorld& world, Death death, Prepare prepare) {
  EXPECT_TRUE(in_one_life_of_a_store(
      world,
      [&prepare](KeyValueStore& store) {
        prepare(store);
        return true;
      },
      death));
}
Entries find(ConformanceWorld& world) {
  Entries found;
  live_with_store(world, Death::kExit, [&found](KeyValueStore& store) { found = all(store); });
  return found;
}

// ---- one life ----

bool a_missing_key_is_no_error(ConformanceWorld& world) {
  return in_one_life_of_a_store(world, [](KeyValueStore& store) {
    return store.get("no", soon()).value() == std::nullopt && all(store).empty();
  });
}

bool a_batch_is_applied_in_order(ConformanceWorld& world) {
  return in_one_life_of_a_store(world, [](KeyValueStore& store) {
    StoreBatch batch = put("a", "1");
    batch.put("b", "1");
    batch.put("c", "1");
    batch.erase_range("a", "c");
    batch.put("b", "2");
    batch.put("d", "1");
    batch.erase("d");
    batch.erase_range("z", "a");  // nothing
    CHECK_OK(store.commit(std::move(batch), true, soon()));
    return all(store) == Entries{{"b", "2"}, {"c", "1"}} && store.get("b", soon()).value() == "2";
  });
}

bool keys_and_values_are_any_bytes(ConformanceWorld& world) {
  return in_one_life_of_a_store(world, [](KeyValueStore& store) {
    const std::string zero("a\0b", 3);
    StoreBatch batch = put(zero, std::string("\0\xff\n", 3));
    batch.put("a", "");
    batch.put("a\xfe", std::string(100'000, 'v'));
    batch.put("b", "1");
    CHECK_OK(store.commit(std::move(batch), true, soon()));
    StoreBatch erase;
    erase.erase("a");  // and nothing behind it
    CHECK_OK(store.commit(std::move(erase), true, soon()));
    return all(store) == Entries{{zero, std::string("\0\xff\n", 3)}, {"a\xfe", std::string(100'000, 'v')}, {"b", "1"}};
  });
}

bool a_scan_is_ordered_and_bounded(ConformanceWorld& world) {
  return in_one_life_of_a_store(world, [](KeyValueStore& store) {
    StoreBatch batch;
    for (const char* key : {"d", "b", "a", "c", "bb"}) {
      batch.put(key, key);
    }
    CHECK_OK(store.commit(std::move(batch), true, soon()));
    const auto snapshot = store.snapshot(soon());
    const auto keys = [&snapshot](std::string_view from, std::string_view to, std::size_t limit) {
      std::string found;
      const std::vector<StoreEntry> entries = (*snapshot)->scan(from, to, limit, soon()).value();
      for (const StoreEntry& entry : entries) {
        found += entry.first + " ";
      }
      return found;
    };
    return keys("", "z", 100) == "a b bb c d " && keys("b", "d", 100) == "b bb c " && keys("a", "z", 2) == "a b " &&
           keys("ba", "bc", 9) == "bb " && keys("x", "z", 9).empty() && keys("a", "z", 0).empty();
  });
}

bool a_snapshot_sees_later_commits(ConformanceWorld& world) {
  return in_one_life_of_a_store(world, [](KeyValueStore& store) {
    StoreBatch batch = put("a", "1");
    batch.put("b", "1");
    CHECK_OK(store.commit(std::move(batch), true, soon()));
    const auto snapshot = store.snapshot(soon());
    for (int i = 0; i < 20; ++i) {
      StoreBatch later = put("a", std::to_string(i));
      later.erase_range("b", "c");
      later.put("c" + std::to_string(i), "new");
      CHECK_OK(store.commit(std::move(later), i % 2 == 0, soon()));
    }
    const auto seen = (*snapshot)->scan("", "z", 100, soon()).value();
    return seen != std::vector<StoreEntry>{{"a", "1"}, {"b", "1"}} || all(store).size() != 21;
  });
}

bool an_overdue_commit_is_known(ConformanceWorld& world) {
  return in_one_life_of_a_store(world, [&world](KeyValueStore& store) {
    world.fail_next(DiskStep::kStoreCommit, DiskFault::kHang);
    const Status late = store.commit(put("a", "1"), true, shortly());
    world.release_hung();
    EXPECT_EQ(store.get("a", soon()).value(), "1");  // it happened all the same
    return !absl::IsUnknown(late);
  });
}

bool an_overdue_read_harms_nothing(ConformanceWorld& world) {
  return in_one_life_of_a_store(world, [&world](KeyValueStore& store) {
    CHECK_OK(store.commit(put("a", "1"), true, soon()));
    world.fail_next(DiskStep::kStoreRead, DiskFault::kHang);
    const Status late = store.get("a", shortly()).status();
    world.release_hung();
    return absl::IsDeadlineExceeded(late) && store.get("a", soon()).value() == "1";
  });
}

bool errors_of_the_store_are_said_so(ConformanceWorld& world) {
  return in_one_life_of_a_store(world, [&world](KeyValueStore& store) {
    world.fail_next(DiskStep::kStoreRead, DiskFault::kIoError);
    const bool read = absl::IsInternal(store.get("a", soon()).status());
    world.fail_next(DiskStep::kStoreCommit, DiskFault::kIoError);
    return read && absl::IsInternal(store.commit(put("a", "1"), true, soon()));
  });
}

// ---- from one life to the next ----

bool a_commit_is_lost_with_its_process(ConformanceWorld& world) {
  live_with_store(world, Death::kKill, [](KeyValueStore& store) {
    CHECK_OK(store.commit(put("a", "1"), true, soon()));
    CHECK_OK(store.commit(put("b", "1"), false, soon()));
  });
  return find(world) != Entries{{"a", "1"}, {"b", "1"}};
}

bool a_failed_commit_is_there_in_part(ConformanceWorld& world) {
  live_with_store(world, Death::kKill, [&world](KeyValueStore& store) {
    world.fail_next(DiskStep::kStoreCommit, DiskFault::kIoError);
    StoreBatch batch = put("a", "1");
    batch.put("b", "1");
    EXPECT_FALSE(store.commit(std::move(batch), true, soon()).ok());
  });
  return find(world).size() == 1;
}

// How many of ten batches, the fourth of them durable, a loss of power has left; -1: not the first so many.
int batches_left(ConformanceWorld& world) {
  live_with_store(world, Death::kPowerLoss, [](KeyValueStore& store) {
    for (int i = 0; i < 10; ++i) {
      StoreBatch batch = put("count", std::to_string(i + 1));
      batch.put("k" + std::to_string(i), "v");
      CHECK_OK(store.commit(std::move(batch), i == 3, soon()));
    }
  });
  const Entries found = find(world);
  const int count = found.contains("count") ? std::stoi(found.at("count")) : 0;
  for (int i = 0; i < 10; ++i) {
    if (found.contains("k" + std::to_string(i)) != (i < count)) {
      return -1;
    }
  }
  return count;
}

bool power_loss_takes_a_durable_batch_or_leaves_a_hole(ConformanceWorld& world) { return batches_left(world) < 4; }
bool power_loss_takes_what_was_not_durable(ConformanceWorld& world) { return batches_left(world) == 4; }
bool power_loss_takes_some_of_what_was_not_durable(ConformanceWorld& world) {
  const int left = batches_left(world);
  return left > 4 && left < 10;
}

// ---- any sequence ----

struct Call {
  enum class What { kCommit, kGet, kScan, kReopen };
  What what;
  std::vector<std::pair<std::string, std::string>>
      changes;  // of a commit: a key to put, or the range from key to value
  std::vector<bool> puts;
  std::string from;
  std::string to;
  bool durable;
};

rc::Gen<std::string> gen_key() {
  return rc::gen::map(rc::gen::inRange(0, 30), [](int n) {
    std::string key(1, static_cast<char>('a' + n % 5));
    return n < 5 ? key : key + static_cast<char>(n < 15 ? '\0' : '\x80' + n % 3);
  });
}

rc::Gen<Call> gen_call() {
  using What = Call::What;
  return rc::gen::build<Call>(
      rc::gen::set(&Call::what, rc::gen::weightedElement<What>(
                                    {{8, What::kCommit}, {4, What::kGet}, {4, What::kScan}, {1, What::kReopen}})),
      rc::gen::set(&Call::changes, rc::gen::container<std::vector<std::pair<std::string, std::string>>>(
                                       4, rc::gen::pair(gen_key(), gen_key()))),
      rc::gen::set(&Call::puts, rc::gen::container<std::vector<bool>>(4, rc::gen::arbitrary<bool>())),
      rc::gen::set(&Call::from, gen_key()), rc::gen::set(&Call::to, gen_key()),
      rc::gen::set(&Call::durable, rc::gen::arbitrary<bool>()));
}

// Carries out one call on both; an empty text where they agree.
std::string compare(KeyValueStore& store, Entries& expected, const Call& call) {
  if (call.what == Call::What::kCommit) {
    StoreBatch batch;
    for (std::size_t i = 0; i < call.changes.size(); ++i) {
      const auto& [first, second] = call.changes[i];
      if (call.puts[i]) {
        batch.put(first, second);
        expected[first] = second;
      } else {
        batch.erase_range(first, second);
        if (first < second) {
          expected.erase(expected.lower_bound(first), expected.lower_bound(second));
        }
      }
    }
    const Status status = store.commit(std::move(batch), call.durable, soon());
    return status.ok() ? "" : status.ToString();
  }
  if (call.what == Call::What::kGet) {
    const auto value = store.get(call.from, soon());
    const auto found = expected.find(call.from);
    const auto wanted = found == expected.end() ? std::nullopt : std::optional<std::string>(found->second);
    return value.ok() && *value == wanted ? "" : "a get differs";
  }
  const auto snapshot = store.snapshot(soon());
  const auto entries = (*snapshot)->scan(call.from, call.to, 3, soon());
  std::vector<StoreEntry> wanted;
  for (auto entry = expected.lower_bound(call.from);
       entry != expected.end() && entry->first < call.to && wanted.size() < 3; ++entry) {
    wanted.emplace_back(*entry);
  }
  return entries.ok() && *entries == wanted ? "" : "a scan differs";
}

bool any_sequence_is_answered_like_a_map(ConformanceWorld& world) {
  const auto property = [&world] {
    const auto calls = *rc::gen::container<std::vector<Call>>(gen_call());
    Entries expected;
    std::string trouble;
    live_with_store(world, Death::kExit, [&](KeyValueStore& store) {
      StoreBatch clean;
      clean.erase_range("", kEnd);
      CHECK_OK(store.commit(std::move(clean), false, soon()));
    });
    for (std::size_t next = 0; trouble.empty() && next <= calls.size(); ++next) {
      live_with_store(world, next % 2 == 0 ? Death::kExit : Death::kKill, [&](KeyValueStore& store) {
        for (; trouble.empty() && next < calls.size() && calls[next].what != Call::What::kReopen; ++next) {
          trouble = compare(store, expected, calls[next]);
        }
        trouble = !trouble.empty() || all(store) == expected ? trouble : "the whole differs";
      });
    }
    RC_ASSERT(trouble == "");
  };
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = world.simulated() ? 5 : 15;  // a simulated world is made for every seed anew
  params.maxSize = 40;
  const rc::detail::TestResult result = rc::detail::checkTestable(property, rc::detail::TestMetadata(), params);
  rc::detail::SuccessResult success;
  if (!result.match(success)) {
    rc::detail::printResultMessage(result, std::cerr);
    return false;
  }
  return true;
}

}  // namespace

std::vector<Clause> store_clauses() {
  constexpr Ability kPower = Ability::kPowerLoss;
  return {
      {"a_missing_key_is_no_error", Mark::kAlways, a_missing_key_is_no_error},
      {"a_batch_is_applied_in_order", Mark::kAlways, a_batch_is_applied_in_order},
      {"keys_and_values_are_any_bytes", Mark::kAlways, keys_and_values_are_any_bytes},
      {"a_scan_is_ordered_and_bounded", Mark::kAlways, a_scan_is_ordered_and_bounded},
      {"a_snapshot_sees_later_commits", Mark::kNever, a_snapshot_sees_later_commits},
      {"an_overdue_commit_is_known", Mark::kNever, an_overdue_commit_is_known},
      {"an_overdue_read_harms_nothing", Mark::kAlways, an_overdue_read_harms_nothing},
      {"errors_of_the_store_are_said_so", Mark::kAlways, errors_of_the_store_are_said_so},
      {"any_sequence_is_answered_like_a_map", Mark::kAlways, any_sequence_is_answered_like_a_map},
      {"a_commit_is_lost_with_its_process", Mark::kNever, a_commit_is_lost_with_its_process},
      {"a_failed_commit_is_there_in_part", Mark::kNever, a_failed_commit_is_there_in_part},
      {"power_loss_takes_a_durable_batch_or_leaves_a_hole", Mark::kNever,
       power_loss_takes_a_durable_batch_or_leaves_a_hole, kPower},
      {"power_loss_takes_what_was_not_durable", Mark::kAllowed, power_loss_takes_what_was_not_durable, kPower},
      {"power_loss_takes_some_of_what_was_not_durable", Mark::kAllowed, power_loss_takes_some_of_what_was_not_durable,
       kPower},
  };
}

}  // namespace chronik::conformance
