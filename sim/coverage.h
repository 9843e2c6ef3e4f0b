// What runs have reached: points of core's code, faults, and the errors that answers carried; and what they never did.
#pragma once

#include <absl/container/btree_map.h>

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/base/sim_point.h"
#include "core/base/status.h"

namespace chronik::sim {

// What befell who passed one point.
struct PointCounts {
  std::uint64_t passed = 0;
  std::uint64_t delayed = 0;
  std::uint64_t yielded = 0;
  std::uint64_t failed = 0;
  std::uint64_t killed = 0;
  void add(const PointCounts& other);
};

struct Coverage {
  std::array<PointCounts, kPoints.size()> points = {};
  absl::btree_map<std::pair<std::int16_t, std::int16_t>, std::uint64_t> answers;  // (API, error), none left out
  void add(const Coverage& other);
};

// Every point by its name, every error by those of its API and its own.
nlohmann::ordered_json coverage_json(const Coverage& coverage);
// Back again; throws as the library does where a key is missing. kInvalidArgument: a point that this program lacks.
StatusOr<Coverage> parse_coverage(const nlohmann::json& json);

// ---- tables ----

// One scenario of a report.
struct CoverageRow {
  std::string scenario;
  const Coverage* coverage = nullptr;
  const absl::btree_map<std::string, std::uint64_t>* faults = nullptr;  // also those that never fired
};

// Of all rows together.
struct NeverReached {
  std::vector<std::string> points;  // never passed
  std::vector<std::string> held;    // passed, and none was ever held up or made to fail there that may be
  std::vector<std::string> faults;
  std::vector<std::string> errors;  // of those that the broker has
};
NeverReached never_reached(const std::vector<CoverageRow>& rows);

std::string coverage_text(const std::vector<CoverageRow>& rows);

}  // namespace chronik::sim
