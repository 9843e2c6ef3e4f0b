#include "sim/store.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/device_world.h"

namespace chronik::sim::store_test {
namespace {

using World = DeviceWorld<SimulatedStore>;
using Entries = std::map<std::string, std::string>;

StoreBatch put(std::string_view key, std::string_view value) {
  StoreBatch batch;
  batch.put(key, value);
  return batch;
}
Entries all(KeyValueStore& store) {
  const auto snapshot = store.snapshot(soon());
  CHECK(snapshot.ok());
  const auto entries = (*snapshot)->scan("", "\xff", 1'000, soon());
  CHECK(entries.ok());
  return Entries(entries->begin(), entries->end());
}
Entries find(World& world) {
  Entries found;
  world.live(Death::kExit, [&](KeyValueStore& store, fiber::FiberScope&) { found = all(store); });
  return found;
}

TEST(SimulatedStore, ABatchIsAppliedInOrderAndAsAWhole) {
  World world{StoreKnobs{}};
  EXPECT_TRUE(world.live(Death::kExit, [](KeyValueStore& store, fiber::FiberScope&) {
    StoreBatch batch = put("a", "1");
    batch.put("b", "1");
    batch.put("c", "1");
    batch.erase_range("a", "c");
    batch.put("b", "2");
    batch.erase("nothing");
    EXPECT_TRUE(store.commit(std::move(batch), false, soon()).ok());
    EXPECT_EQ(store.get("a", soon()).value(), std::nullopt);
    EXPECT_EQ(store.get("b", soon()).value(), "2");
    EXPECT_EQ(all(store), (Entries{{"b", "2"}, {"c", "1"}}));
  }));
}

TEST(SimulatedStore, ASnapshotStaysAsItWas) {
  World world{StoreKnobs{}};
  EXPECT_TRUE(world.live(Death::kExit, [](KeyValueStore& store, fiber::FiberScope&) {
    EXPECT_TRUE(store.commit(put("a", "1"), true, soon()).ok());
    EXPECT_TRUE(store.commit(put("b", "1"), true, soon()).ok());
    auto snapshot = store.snapshot(soon());
    for (int i = 0; i < 10; ++i) {
      StoreBatch batch = put("a", std::to_string(i));
      batch.erase("b");
      batch.put("c" + std::to_string(i), "new");
      EXPECT_TRUE(store.commit(std::move(batch), i % 2 == 0, soon()).ok());
    }
    EXPECT_EQ((*snapshot)->scan("", "z", 10, soon()).value(), (std::vector<StoreEntry>{{"a", "1"}, {"b", "1"}}));
    EXPECT_EQ((*snapshot)->scan("a", "b", 10, soon())->size(), 1u);
    EXPECT_EQ((*snapshot)->scan("", "z", 1, soon())->size(), 1u);
    EXPECT_EQ(all(store).size(), 11u);
  }));
}

TEST(SimulatedStore, ALossOfPowerLeavesAPrefixThatHasEveryDurableBatch) {
  std::set<std::size_t> lengths;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    World world(StoreKnobs{}, seed);
    world.live(Death::kPowerLoss, [](KeyValueStore& store, fiber::FiberScope&) {
      for (int i = 0; i < 8; ++i) {
        StoreBatch batch = put("k" + std::to_string(i), "v");
        batch.put("last", std::to_string(i));
        EXPECT_TRUE(store.commit(std::move(batch), i == 2, soon()).ok());
      }
    });
    const Entries found = find(world);
    const std::size_t length = found.size() - 1;
    EXPECT_GE(length, 3u);
    EXPECT_EQ(found.at("last"), std::to_string(length - 1));
    for (std::size_t i = 0; i < length; ++i) {
      EXPECT_TRUE(found.contains("k" + std::to_string(i)));
    }
    lengths.insert(length);
  }
  EXPECT_EQ(lengths, (std::set<std::size_t>{3, 4, 5, 6, 7, 8}));
}

TEST(SimulatedStore, AKilledProcessKeepsEveryCommit) {
  World world{StoreKnobs{}};
  world.live(Death::kProcessKill, [](KeyValueStore& store, fiber::FiberScope&) {
    EXPECT_TRUE(store.commit(put("a", "1"), false, soon()).ok());
  });
  EXPECT_EQ(find(world), (Entries{{"a", "1"}}));
}

TEST(SimulatedStore, AFailedCommitMayHaveHappenedAndIsNotDurable) {
  std::set<std::string> killed;
  std::set<std::string> lost;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (const Death how : {Death::kProcessKill, Death::kPowerLoss}) {
      World world(StoreKnobs{}, seed);
      world.device.strike({.step = StoreStep::kCommit, .effect = DiskEffect::kIoError});
      world.live(how, [](KeyValueStore& store, fiber::FiberScope&) {
        EXPECT_TRUE(absl::IsInternal(store.commit(put("a", "1"), true, soon())));
      });
      const Entries found = find(world);
      (how == Death::kPowerLoss ? lost : killed).insert(found.contains("a") ? "there" : "gone");
      if (found.contains("a") && how == Death::kProcessKill) {  // read back, and not durable all the same
        EXPECT_EQ(world.device.model().durable(), 0u);
      }
    }
  }
  EXPECT_EQ(killed.size(), 2u);
  EXPECT_EQ(lost.size(), 2u);
}

TEST(SimulatedStore, AnOverdueCommitIsUnknownAndStillHappens) {
  World world{StoreKnobs{}};
  world.device.strike({.step = StoreStep::kCommit, .effect = DiskEffect::kHang});
  EXPECT_TRUE(world.live(Death::kExit, [&](KeyValueStore& store, fiber::FiberScope&) {
    const Deadline short_one = fiber::within(Duration::milliseconds(10), Expiry::kNormal);
    EXPECT_TRUE(absl::IsUnknown(store.commit(put("a", "1"), true, short_one)));
    EXPECT_EQ(world.device.model().head(), 0u);
    world.device.release_hung();
    EXPECT_EQ(store.get("a", soon()).value(), "1");
  }));
  EXPECT_EQ(world.works.fired["store-hang"], 1);
}

TEST(SimulatedStore, ACommitAtADeathIsThereAsAWholeOrNotAtAll) {
  for (const DiskEffect effect :
       {DiskEffect::kKillBefore, DiskEffect::kKillDuring, DiskEffect::kKillAfter, DiskEffect::kPowerLossBefore,
        DiskEffect::kPowerLossDuring, DiskEffect::kPowerLossAfter}) {
    std::set<std::size_t> sizes;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      World world(StoreKnobs{}, seed);
      world.device.strike({.step = StoreStep::kCommit, .effect = effect, .nth = 2});
      EXPECT_FALSE(world.live(Death::kExit, [](KeyValueStore& store, fiber::FiberScope&) {
        EXPECT_TRUE(store.commit(put("a", "1"), true, soon()).ok());
        StoreBatch batch = put("b", "1");
        batch.put("c", "1");
        EXPECT_FALSE(store.commit(std::move(batch), true, soon()).ok());
      }));
      sizes.insert(find(world).size());
    }
    const bool before = effect == DiskEffect::kKillBefore || effect == DiskEffect::kPowerLossBefore;
    const bool after = effect == DiskEffect::kKillAfter || effect == DiskEffect::kPowerLossAfter;
    const std::set<std::size_t> expected = before  ? std::set<std::size_t>{1}
                                           : after ? std::set<std::size_t>{3}
                                                   : std::set<std::size_t>{1, 3};
    EXPECT_EQ(sizes, expected) << disk_effect_name(effect);
  }
}

TEST(StoreModel, VersionsThatNobodyCanSeeAreDropped) {
  StoreModel model;
  for (int i = 0; i < 100; ++i) {
    model.make_durable(model.commit(put("a", std::to_string(i))));
  }
  EXPECT_LE(model.versions(), 2u);
  const BatchNumber held = model.head();
  model.hold(held);
  for (int i = 0; i < 100; ++i) {
    model.make_durable(model.commit(put("a", "x")));
  }
  EXPECT_LE(model.versions(), 3u);
  EXPECT_EQ(model.get("a", held), "99");
}

// Against every state that there was, one map per batch.
RC_GTEST_PROP(StoreModelProperty, EveryPrefixInUseReadsAsItWasCommitted, ()) {
  StoreModel model;
  std::vector<Entries> states{{}};
  std::vector<BatchNumber> held;
  const auto key = [] { return std::string(1, static_cast<char>('a' + *rc::gen::inRange(0, 6))); };
  const int steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    const int what = *rc::gen::weightedElement<int>({{6, 0}, {2, 1}, {2, 2}, {1, 3}, {1, 4}});
    if (what == 0) {
      StoreBatch batch;
      Entries next = states.back();
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
        const std::string from = key();
        if (*rc::gen::arbitrary<bool>()) {
          batch.put(from, std::to_string(step));
          next[from] = std::to_string(step);
        } else {
          const std::string to = key();
          batch.erase_range(from, to);
          if (from < to) {
            next.erase(next.lower_bound(from), next.lower_bound(to));
          }
        }
      }
      RC_ASSERT(model.commit(batch) == states.size());
      states.push_back(next);
    } else if (what == 1) {
      model.make_durable(model.head());
    } else if (what == 2) {
      held.push_back(model.head());
      model.hold(model.head());
    } else if (what == 3 && !held.empty()) {
      model.release(held.back());
      held.pop_back();
    } else if (what == 4) {
      StoreModel copy = model;
      copy.power_loss(Draws(*rc::gen::arbitrary<std::uint64_t>(), "test", 0));
      RC_ASSERT(copy.head() >= model.durable());
      RC_ASSERT(copy.head() <= model.head());
      const std::vector<StoreEntry> left = copy.scan("", "z", 1'000, copy.head());
      RC_ASSERT(Entries(left.begin(), left.end()) == states[copy.head()]);
    }
    std::vector<BatchNumber> in_use = held;
    in_use.push_back(model.head());
    in_use.push_back(model.durable());
    for (const BatchNumber at : in_use) {
      const std::vector<StoreEntry> seen = model.scan("", "z", 1'000, at);
      RC_ASSERT(Entries(seen.begin(), seen.end()) == states[at]);
    }
  }
}

}  // namespace
}  // namespace chronik::sim::store_test
