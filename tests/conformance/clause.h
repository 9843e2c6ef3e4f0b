// Clauses: single promises of the ports, each written once and judged in every world (rule S16).
//
// A clause observes one thing and says whether it was so. Always: it must be so, in both worlds. Never: it must not, in
// either. Allowed: the real world may, so the simulated one must within some seeds, lest it be kinder than the machine.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/world.h"

namespace chronik::conformance {

enum class Mark : std::uint8_t { kAlways, kAllowed, kNever };

struct Clause {
  const char* name;  // what is observed, as a sentence_in_this_form
  Mark mark;
  bool (*observe)(ConformanceWorld& world);
  std::optional<Ability> needs = std::nullopt;
};

// Every part of the suite, each in its own file.
std::vector<Clause> disk_clauses();
std::vector<Clause> store_clauses();
std::vector<Clause> network_clauses();
std::vector<Clause> clock_clauses();
std::vector<Clause> random_clauses();
std::vector<Clause> mailbox_clauses();
std::vector<Clause> process_clauses();
std::vector<Clause> echo_clauses();

// A fresh world; a simulated one differs from seed to seed.
using MakeWorld = std::function<std::unique_ptr<ConformanceWorld>(std::uint64_t seed)>;

// Judges a clause: Always and Never in each of `seeds` worlds; Allowed until it is observed, which only a simulated
// world must reach. Fails the current test where the clause does not hold.
void judge(const Clause& clause, const MakeWorld& make_world, std::uint64_t seeds);

// For INSTANTIATE_TEST_SUITE_P.
inline std::string clause_name(const testing::TestParamInfo<Clause>& info) {
  static constexpr const char* kMarks[] = {"always_", "allowed_", "never_"};
  return std::string(kMarks[static_cast<std::size_t>(info.param.mark)]) + info.param.name;
}

// Deadlines for bodies: one that must not pass, one that is meant to.
inline Deadline soon() { return fiber::within(Duration::seconds(10), Expiry::kPeer); }
inline Deadline shortly() { return fiber::within(Duration::milliseconds(20), Expiry::kNormal); }

}  // namespace chronik::conformance
