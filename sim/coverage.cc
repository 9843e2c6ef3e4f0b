#include "sim/coverage.h"

#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/check.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/errors.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

// What the broker's code can answer a client or a follower. tests/architecture/points_test.py holds both lists against
// the code.
constexpr ErrorCode kAnswered[] = {
    ErrorCode::kUnknownServerError,
    ErrorCode::kOffsetOutOfRange,
    ErrorCode::kCorruptMessage,
    ErrorCode::kUnknownTopicOrPartition,
    ErrorCode::kLeaderNotAvailable,
    ErrorCode::kNotLeaderOrFollower,
    ErrorCode::kRequestTimedOut,
    ErrorCode::kMessageTooLarge,
    ErrorCode::kCoordinatorLoadInProgress,
    ErrorCode::kCoordinatorNotAvailable,
    ErrorCode::kNotCoordinator,
    ErrorCode::kOffsetMetadataTooLarge,
    ErrorCode::kIllegalGeneration,
    ErrorCode::kInconsistentGroupProtocol,
    ErrorCode::kInvalidGroupId,
    ErrorCode::kUnknownMemberId,
    ErrorCode::kInvalidSessionTimeout,
    ErrorCode::kRebalanceInProgress,
    ErrorCode::kNonEmptyGroup,
    ErrorCode::kGroupIdNotFound,
    ErrorCode::kMemberIdRequired,
    ErrorCode::kGroupMaxSizeReached,
    ErrorCode::kFencedInstanceId,
    ErrorCode::kGroupSubscribedToTopic,
    ErrorCode::kInvalidTopicException,
    ErrorCode::kNotEnoughReplicas,
    ErrorCode::kNotEnoughReplicasAfterAppend,
    ErrorCode::kInvalidRequiredAcks,
    ErrorCode::kInvalidTimestamp,
    ErrorCode::kUnsupportedVersion,
    ErrorCode::kTopicAlreadyExists,
    ErrorCode::kInvalidPartitions,
    ErrorCode::kInvalidReplicationFactor,
    ErrorCode::kInvalidReplicaAssignment,
    ErrorCode::kInvalidConfig,
    ErrorCode::kNotController,
    ErrorCode::kInvalidRequest,
    ErrorCode::kPolicyViolation,
    ErrorCode::kOutOfOrderSequenceNumber,
    ErrorCode::kInvalidProducerEpoch,
    ErrorCode::kInvalidTxnState,
    ErrorCode::kKafkaStorageError,
    ErrorCode::kFetchSessionIdNotFound,
    ErrorCode::kFetchSessionTopicIdError,
    ErrorCode::kInconsistentTopicId,
    ErrorCode::kInvalidFetchSessionEpoch,
    ErrorCode::kTopicDeletionDisabled,
    ErrorCode::kFencedLeaderEpoch,
    ErrorCode::kUnknownLeaderEpoch,
    ErrorCode::kUnsupportedCompressionType,
    ErrorCode::kStaleBrokerEpoch,
    ErrorCode::kOffsetNotAvailable,
    ErrorCode::kPreferredLeaderNotAvailable,
    ErrorCode::kEligibleLeadersNotAvailable,
    ErrorCode::kElectionNotNeeded,
    ErrorCode::kNoReassignmentInProgress,
    ErrorCode::kInvalidRecord,
    ErrorCode::kThrottlingQuotaExceeded,
    ErrorCode::kUnknownTopicId,
    ErrorCode::kMismatchedEndpointType,
    ErrorCode::kUnsupportedEndpointType,
};

// Results of commands that nodes propose for themselves: no answer carries them. For tests/architecture/points_test.py.
[[maybe_unused]] constexpr ErrorCode kInternal[] = {
    ErrorCode::kOperationNotAttempted, ErrorCode::kInvalidUpdateVersion, ErrorCode::kDuplicateBrokerRegistration,
    ErrorCode::kBrokerIdNotRegistered, ErrorCode::kIneligibleReplica,    ErrorCode::kInvalidRegistration,
};

std::string answer_name(std::int16_t api, std::int16_t error) {
  return fmt::format("{} {}", protocol::api_name(static_cast<protocol::ApiKey>(api)),
                     protocol::error_name(static_cast<ErrorCode>(error)));
}

std::string befallen(const PointCounts& counts) {
  std::string text;
  for (const auto& [count, what] : {std::pair(counts.delayed, "delayed"), std::pair(counts.yielded, "yielded"),
                                    std::pair(counts.failed, "failed"), std::pair(counts.killed, "killed")}) {
    if (count > 0) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
    }
  }
  return text;
}

// Names over lines of at most 120 columns.
std::string listed(std::string_view title, const std::vector<std::string>& names) {
  constexpr std::size_t kColumns = 120;
  std::string text = fmt::format("  {} ({}):", title, names.size());
  std::size_t column = text.size();
  for (const std::string& name : names) {
    if (column + name.size() + 2 > kColumns) {
      text += "\n   ";
      column = 4;
    }
    text += fmt::format(" {};", name);
    column += name.size() + 2;
  }
  return text + (names.empty() ? " none\n" : "\n");
}

}  // namespace

void PointCounts::add(const PointCounts& other) {
  passed += other.passed;
  delayed += other.delayed;
  yielded += other.yielded;
  failed += other.failed;
  killed += other.killed;
}

void Coverage::add(const Coverage& other) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    points[i].add(other.points[i]);
  }
  for (const auto& [answer, count] : other.answers) {
    answers[answer] += count;
  }
}

// ---- as text ----

nlohmann::ordered_json coverage_json(const Coverage& coverage) {
  nlohmann::ordered_json points = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < kPoints.size(); ++i) {
    const PointCounts& one = coverage.points[i];
    points[std::string(kPoints[i].name)] = {{"passed", one.passed},
                                            {"delayed", one.delayed},
                                            {"yielded", one.yielded},
                                            {"failed", one.failed},
                                            {"killed", one.killed}};
  }
  nlohmann::ordered_json errors = nlohmann::ordered_json::object();
  for (const auto& [answer, count] : coverage.answers) {
    errors[answer_name(answer.first, answer.second)] = {
        {"api", answer.first}, {"code", answer.second}, {"count", count}};
  }
  return {{"points", points}, {"errors", errors}};
}

StatusOr<Coverage> parse_coverage(const nlohmann::json& json) {
  Coverage coverage;
  for (const auto& [name, counts] : json.at("points").items()) {
    const std::size_t point = find_point(name);
    if (point == kPoints.size()) {
      return absl::InvalidArgumentError(fmt::format("no point is called {}: a report of another version", name));
    }
    const auto count = [&counts = counts](const char* what) { return counts.at(what).get<std::uint64_t>(); };
    coverage.points[point] = {.passed = count("passed"),
                              .delayed = count("delayed"),
                              .yielded = count("yielded"),
                              .failed = count("failed"),
                              .killed = count("killed")};
  }
  for (const auto& [name, answer] : json.at("errors").items()) {
    coverage.answers[{answer.at("api").get<std::int16_t>(), answer.at("code").get<std::int16_t>()}] =
        answer.at("count").get<std::uint64_t>();
  }
  return coverage;
}

// ---- tables ----

NeverReached never_reached(const std::vector<CoverageRow>& rows) {
  Coverage all;
  absl::btree_set<std::string> fired;
  NeverReached never;
  for (const CoverageRow& row : rows) {
    all.add(*row.coverage);
  }
  for (std::size_t i = 0; i < kPoints.size(); ++i) {
    const PointCounts& one = all.points[i];
    const bool may_be_held = kPoints[i].kind != PointKind::kPass;
    if (one.passed == 0) {
      never.points.emplace_back(kPoints[i].name);
    } else if (may_be_held && one.delayed + one.yielded + one.failed == 0) {
      never.held.emplace_back(kPoints[i].name);
    }
  }
  for (const CoverageRow& row : rows) {
    for (const auto& [kind, count] : *row.faults) {
      if (count == 0) {
        never.faults.push_back(fmt::format("{} of {}", kind, row.scenario));
      }
    }
  }
  absl::btree_set<std::int16_t> answered;
  for (const auto& [answer, count] : all.answers) {
    answered.insert(answer.second);
  }
  for (const ErrorCode code : kAnswered) {
    if (!answered.contains(static_cast<std::int16_t>(code))) {
      never.errors.emplace_back(protocol::error_name(code));
    }
  }
  return never;
}

std::string coverage_text(const std::vector<CoverageRow>& rows) {
  std::string text = "coverage\n";
  for (const CoverageRow& row : rows) {
    const Coverage& coverage = *row.coverage;
    const auto passed = std::count_if(coverage.points.begin(), coverage.points.end(),
                                      [](const PointCounts& one) { return one.passed > 0; });
    const auto fired =
        std::count_if(row.faults->begin(), row.faults->end(), [](const auto& one) { return one.second > 0; });
    PointCounts sum;
    std::vector<std::string> struck;
    for (std::size_t i = 0; i < kPoints.size(); ++i) {
      sum.add(coverage.points[i]);
      if (const std::string what = befallen(coverage.points[i]); !what.empty()) {
        struck.push_back(fmt::format("{} {}", kPoints[i].name, what));
      }
    }
    text += fmt::format("{}: {} of {} points passed; {} of {} faults; {} errors of APIs\n", row.scenario, passed,
                        kPoints.size(), fired, row.faults->size(), coverage.answers.size());
    if (!struck.empty()) {
      text += listed("struck at points", struck);
    }
    std::vector<std::string> errors;
    for (const auto& [answer, count] : coverage.answers) {
      errors.push_back(fmt::format("{} {}", answer_name(answer.first, answer.second), count));
    }
    if (!errors.empty()) {
      text += listed("errors", errors);
    }
  }
  const NeverReached never = never_reached(rows);
  text += "never reached:\n";
  text += listed("points", never.points);
  text += listed("points where nobody was held up", never.held);
  text += listed("faults that scenarios announce", never.faults);
  return text + listed("errors that the broker has", never.errors);
}

}  // namespace chronik::sim
