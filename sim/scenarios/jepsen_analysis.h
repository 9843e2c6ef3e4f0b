// What is wrong with a history, by the names that Jepsen's Kafka workload gives it: checker JEPSEN. A pure function.
//
// Per key, the order of the log is taken from the offsets that acknowledgements and polls tell of. Of transactions,
// which Jepsen's checker looks at besides, there are none here. It differs from that checker in this: places are
// compared by offset and not by value, so that a value that is there twice is a duplicate and nothing else; each
// acknowledged send counts by itself, whatever became of the rest of its operation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/scenarios/jepsen_history.h"

namespace chronik::sim::jepsen {

// An acknowledged value below the highest offset polled that no poll brought.
inline constexpr std::string_view kLostWrite = "lost-write";
// Several values at one offset.
inline constexpr std::string_view kInconsistentOffsets = "inconsistent-offsets";
// One value at several offsets.
inline constexpr std::string_view kDuplicate = "duplicate";
// A value is polled whose send has failed for certain.
inline constexpr std::string_view kAbortedRead = "G1a";
// A value is polled that nobody sent to that key: Jepsen's checker refuses such a history.
inline constexpr std::string_view kNeverSent = "never-sent";
// What a process polls next of a key is not behind what it polled before; or leaves something out that is there. The
// same within one operation.
inline constexpr std::string_view kNonmonotonicPoll = "nonmonotonic-poll";
inline constexpr std::string_view kIntNonmonotonicPoll = "int-nonmonotonic-poll";
inline constexpr std::string_view kPollSkip = "poll-skip";
inline constexpr std::string_view kIntPollSkip = "int-poll-skip";
// What a process sends next to a key is not behind what it sent before. The same within one operation.
inline constexpr std::string_view kNonmonotonicSend = "nonmonotonic-send";
inline constexpr std::string_view kIntNonmonotonicSend = "int-nonmonotonic-send";
// An acknowledged value that no poll brought, wherever it is; lost ones are among them.
inline constexpr std::string_view kUnseen = "unseen";

struct Anomaly {
  std::string_view name;
  std::string says;  // begins with the name
};

// Those that say most first: in the order above.
std::vector<Anomaly> analyze(const History& history);

// For people: the first of them, then how many there are of each, then some of each. Not empty.
std::string report_of(const std::vector<Anomaly>& anomalies);

}  // namespace chronik::sim::jepsen
