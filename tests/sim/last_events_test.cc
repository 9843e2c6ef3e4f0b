// What a report of a hang says of the fibers in its graph, and which findings show a graph.
#include "sim/last_events.h"

#include <algorithm>
#include <regex>
#include <string>
#include <vector>

#include "core/fiber/wait.h"
#include "sim/scenario.h"
#include "tests/sim/sim_support.h"

namespace chronik::sim::last_events_test {
namespace {

constexpr std::string_view kBegins = "  the last that befell ";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

struct Hang {
  RunResult result;
  std::vector<std::string> events;  // as its message tells them
};

Hang hang_of(const char* name, std::uint64_t seed) {
  const Scenario& scenario = *find_scenario(name);
  const Plan plan = scenario.generate(seed);
  StackArena stacks;
  Hang hang{.result = run_plan(scenario, plan, stacks, {}), .events = {}};
  add_last_events(scenario, plan, stacks, hang.result);
  const std::string& message = hang.result.findings.at(0).message;
  const std::size_t begin = message.find(kBegins);
  hang.events = begin == std::string::npos ? std::vector<std::string>() : lines_of(message.substr(begin));
  if (!hang.events.empty()) {
    hang.events.erase(hang.events.begin());
  }
  return hang;
}

bool any_matches(const std::vector<std::string>& lines, const char* words) {
  return std::any_of(lines.begin(), lines.end(),
                     [words](const std::string& line) { return std::regex_search(line, std::regex(words)); });
}

TEST(LastEvents, ADeadlockTellsHowItsFibersCameIntoIt) {
  const Hang hang = hang_of("canary", 1);
  ASSERT_GT(hang.result.findings.at(0).hung.size(), 1U);
  EXPECT_TRUE(any_matches(hang.events, "transfer-28 asks for turnstile 2 \\(account\\)"))
      << ::testing::PrintToString(hang.events);
  EXPECT_TRUE(any_matches(hang.events, "transfer-29 asks for turnstile 1 \\(account\\)"));
  EXPECT_TRUE(any_matches(hang.events, "transfer-28 runs, and waits for turnstile 2 \\(account\\)"));
  EXPECT_TRUE(any_matches(hang.events, "transfer-29 begins"));
  EXPECT_TRUE(any_matches(hang.events, "transfer-28: holds account 1 for operation 28"));
  // In the order of time, and of nobody else but the machine.
  EXPECT_TRUE(std::is_sorted(hang.events.begin(), hang.events.end(),
                             [](const std::string& a, const std::string& b) { return std::stod(a) < std::stod(b); }));
  for (const std::string& line : hang.events) {
    EXPECT_TRUE(std::any_of(hang.result.findings.at(0).hung.begin(), hang.result.findings.at(0).hung.end(),
                            [&](const HungFiber& one) { return line.find(one.path) != std::string::npos; }) ||
                line.find("bank: ") != std::string::npos)
        << line;
  }
}

TEST(LastEvents, AreBoundedAndTheSameEachTime) {
  const Hang once = hang_of("frozen-hung-sync", 1);
  const Hang again = hang_of("frozen-hung-sync", 1);
  EXPECT_EQ(once.events.size(), kLastEvents);
  EXPECT_EQ(once.events, again.events);
  EXPECT_TRUE(any_matches(once.events, "metadata-\\d+ runs, and waits for turnstile 1 \\(raft\\)"))
      << ::testing::PrintToString(once.events);
}

TEST(LastEvents, WhatDidNotGetOnShowsWhoWaitsForWhom) {
  const auto message_of = [](const char* checker) {
    SmallWorld small;
    small
        .machine("node",
                 [](ProcessContext&) {
                   fiber::Event event;
                   static_cast<void>(event.wait({WaitKind::kEvent, 7, 0, 0}, fiber::for_ever()));
                 })
        .start();
    small.world.run_for(Duration::seconds(1));
    small.world.fail(checker, "not done");
    return small.message();
  };
  for (const char* checker : {"META-LIVE", "NODE-LIVE", "REPLICA-LIVE", "MEMBERS", "NO-STUCK"}) {
    EXPECT_NE(message_of(checker).find("not done\n"), std::string::npos) << checker;
    EXPECT_NE(message_of(checker).find("node#1.0 main-0 waits for event 7"), std::string::npos) << checker;
  }
  EXPECT_EQ(message_of("ACK-DURABLE"), "not done");
}

}  // namespace
}  // namespace chronik::sim::last_events_test
