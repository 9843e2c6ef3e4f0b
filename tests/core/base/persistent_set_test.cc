#include "core/base/persistent_set.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

namespace chronik {
namespace {

struct Entry {
  int key = 0;
  int value = 0;
  friend bool operator==(const Entry&, const Entry&) = default;
};
struct EntryKey {
  int operator()(const Entry& entry) const { return entry.key; }
};
using Set = PersistentSet<Entry, EntryKey>;

std::map<int, int> contents(const Set& set) {
  std::map<int, int> found;
  set.for_each([&found](const Entry& entry) { found[entry.key] = entry.value; });
  return found;
}

// Applies one random step to a set and its model. Small keys, so that steps meet.
void step(Set& set, std::map<int, int>& model, int key, int value) {
  if (value % 3 == 0 && model.contains(key)) {
    set = set.without(key);
    model.erase(key);
  } else {
    set = set.with({key, value});
    model[key] = value;
  }
}

RC_GTEST_PROP(PersistentSet, BehavesLikeAMapAndStaysBalanced,
              (const std::vector<std::pair<std::uint8_t, std::uint8_t>>& steps)) {
  Set set;
  std::map<int, int> model;
  for (const auto& [key, value] : steps) {
    const Set before = set;
    const std::map<int, int> model_before = model;
    step(set, model, key % 32, value);
    RC_ASSERT(set.well_formed());
    RC_ASSERT(contents(set) == model);
    RC_ASSERT(set.size() == model.size());
    RC_ASSERT(contents(before) == model_before);
    for (int probe = 0; probe < 32; ++probe) {
      const Entry* found = set.find(probe);
      RC_ASSERT((found != nullptr) == model.contains(probe));
    }
    std::set<int> from;
    set.for_each_from(key % 32, [&from](const Entry& entry) { return from.insert(entry.key), true; });
    RC_ASSERT(from.size() == static_cast<std::size_t>(std::distance(model.lower_bound(key % 32), model.end())));
  }
}

RC_GTEST_PROP(PersistentSet, DifferencesAreExactlyWhatDiffers,
              (const std::vector<std::pair<std::uint8_t, std::uint8_t>>& common,
               const std::vector<std::pair<std::uint8_t, std::uint8_t>>& later)) {
  Set before;
  std::map<int, int> model_before;
  for (const auto& [key, value] : common) {
    step(before, model_before, key, value);
  }
  Set after = before;
  std::map<int, int> model_after = model_before;
  for (const auto& [key, value] : later) {
    step(after, model_after, key, value);
  }
  std::map<int, int> patched = model_before;
  int last = -1;
  Set::differences(before, after, [&](const Entry* was, const Entry* is) {
    RC_ASSERT(was != nullptr || is != nullptr);
    const int key = was != nullptr ? was->key : is->key;
    RC_ASSERT(last < key);
    last = key;
    RC_ASSERT((was != nullptr) == model_before.contains(key));
    RC_ASSERT((is != nullptr) == model_after.contains(key));
    const bool same = was != nullptr && is != nullptr && *was == *is;  // RC_ASSERT evaluates all of its expression
    RC_ASSERT(!same);
    if (is != nullptr) {
      patched[key] = is->value;
    } else {
      patched.erase(key);
    }
  });
  RC_ASSERT(patched == model_after);
  RC_ASSERT((before == after) == (model_before == model_after));
}

Set numbers(int n) {
  std::vector<Entry> entries;
  for (int i = 0; i < n; ++i) {
    entries.push_back({i, i});
  }
  return Set::from_sorted(std::move(entries));
}

TEST(PersistentSet, OneBuiltFromSortedElementsIsBalanced) {
  for (int n = 0; n < 70; ++n) {
    const Set set = numbers(n);
    EXPECT_TRUE(set.well_formed()) << n;
    EXPECT_EQ(set.size(), static_cast<std::size_t>(n));
  }
}

TEST(PersistentSet, ChangingEachElementSharesWhatStays) {
  const Set before = numbers(1000);
  const Set same = before.with_each([](const Entry&) { return std::optional<Entry>(); });
  EXPECT_EQ(before.find(500), same.find(500)) << "the very same node";
  const Set after = before.with_each([](const Entry& entry) {
    return entry.key == 0 ? std::optional<Entry>({0, -1}) : std::nullopt;
  });
  EXPECT_EQ(after.find(0)->value, -1);
  EXPECT_EQ(after.find(999), before.find(999)) << "the very same node";
  EXPECT_TRUE(after.well_formed());
}

TEST(PersistentSet, ADifferenceLooksAtFewElementsWhereMostIsShared) {
  const Set before = numbers(100'000);
  const Set after = before.with({50'000, -1}).with({200'000, 0}).without(7);
  int seen = 0;
  Set::differences(before, after, [&seen](const Entry*, const Entry*) { ++seen; });
  EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace chronik
