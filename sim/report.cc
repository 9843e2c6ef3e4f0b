#include "sim/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/finding.h"
#include "sim/run.h"
#include "sim/scenario.h"

namespace chronik::sim {

namespace {

using ReportJson = nlohmann::ordered_json;

std::vector<CoverageRow> coverage_rows(const RunnerReport& report) {
  std::vector<CoverageRow> rows;
  for (const ScenarioReport& scenario : report.scenarios) {
    rows.push_back({.scenario = scenario.name, .coverage = &scenario.coverage, .faults = &scenario.faults});
  }
  return rows;
}

StatusOr<std::uint64_t> parse_fingerprint(const std::string& text) {
  std::uint64_t fingerprint = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, fingerprint, 16);
  if (error != std::errc() || stopped != end) {
    return absl::InvalidArgumentError(fmt::format("fingerprint: '{}': must be a hexadecimal number", text));
  }
  return fingerprint;
}

StatusOr<ScenarioReport> scenario_of(const nlohmann::json& json) {
  ScenarioReport report;
  report.name = json.at("name").get<std::string>();
  report.seeds = json.at("seeds").get<std::uint64_t>();
  report.virtual_seconds = json.at("virtual_seconds").get<double>();
  report.wall_seconds = json.at("wall_seconds").get<double>();
  report.events = json.at("events").get<std::uint64_t>();
  report.twins = json.at("twins").get<std::uint64_t>();
  ASSIGN_OR_RETURN(report.fingerprint, parse_fingerprint(json.at("fingerprint").get<std::string>()));
  report.schedules = json.at("schedules").get<std::uint64_t>();
  report.whole = json.at("whole").get<std::uint64_t>();
  report.cut = json.at("cut").get<std::uint64_t>();
  for (const auto& [kind, count] : json.at("faults").items()) {
    report.faults[kind] = count.get<std::uint64_t>();
  }
  ASSIGN_OR_RETURN(report.coverage, parse_coverage(json.at("coverage")));
  for (const nlohmann::json& one : json.at("failures")) {
    report.failures.push_back({.seed = one.at("seed").get<std::uint64_t>(),
                               .count = one.at("count").get<std::uint64_t>(),
                               .checker = one.at("checker").get<std::string>(),
                               .message = one.at("message").get<std::string>(),
                               .replay = one.at("replay").get<std::string>(),
                               .plan = one.at("plan").get<std::string>()});
  }
  return report;
}

// Whether a fault ever fires is a question to all seeds together.
constexpr const char* kNotFired = "FAULT-NOT-FIRED";

void add_report(const ScenarioReport& from, ScenarioReport& into) {
  into.seeds += from.seeds;
  into.virtual_seconds += from.virtual_seconds;
  into.wall_seconds += from.wall_seconds;
  into.events += from.events;
  into.twins += from.twins;
  into.fingerprint += from.fingerprint;
  into.schedules += from.schedules;
  into.whole += from.whole;
  into.cut += from.cut;
  for (const auto& [kind, count] : from.faults) {
    into.faults[kind] += count;
  }
  into.coverage.add(from.coverage);
  for (const Failure& failure : from.failures) {
    if (failure.checker != kNotFired) {
      add_failure(into, failure);
    }
  }
}

}  // namespace

std::uint64_t RunnerReport::failed() const {
  std::uint64_t n = 0;
  for (const ScenarioReport& scenario : scenarios) {
    n += scenario.failed();
  }
  return n;
}

std::uint64_t ScenarioReport::failed() const {
  std::uint64_t n = 0;
  for (const Failure& failure : failures) {
    n += failure.count;
  }
  return n;
}

bool add_failure(ScenarioReport& report, Failure failure) {
  const std::string signature = signature_of(failure.checker, failure.message);
  const auto known = std::find_if(report.failures.begin(), report.failures.end(), [&](const Failure& one) {
    return signature_of(one.checker, one.message) == signature;
  });
  if (known == report.failures.end()) {
    report.failures.push_back(std::move(failure));
    return true;
  }
  if (failure.count += known->count; failure.seed < known->seed) {
    *known = std::move(failure);
  } else {
    known->count = failure.count;
  }
  return false;
}

namespace {

// A seed that died or hung cannot say what it has seen.
std::uint64_t seeds_that_told(const ScenarioReport& report) {
  std::uint64_t told = report.seeds;
  for (const Failure& failure : report.failures) {
    told -= failure.checker == kSeedDied || failure.checker == kSeedHung ? failure.count : 0;
  }
  return told;
}

}  // namespace

void judge_announced_faults(ScenarioReport& report, const Scenario& scenario, std::uint64_t first_seed) {
  const std::uint64_t seeds = seeds_that_told(report);
  for (const std::string& kind : scenario.announced_faults()) {
    const std::uint64_t fired = report.faults.try_emplace(kind, 0).first->second;
    if (fired == 0 && seeds >= kSeedsThatFireEverything) {
      add_failure(report, {.seed = first_seed,
                           .checker = kNotFired,
                           .message = fmt::format("the scenario announces \"{}\", and in {} seeds it never happened",
                                                  kind, seeds),
                           .replay = replay_line(report.name, first_seed)});
    }
  }
}

std::string report_json(const RunnerReport& report) {
  ReportJson scenarios = ReportJson::array();
  for (const ScenarioReport& scenario : report.scenarios) {
    ReportJson faults = ReportJson::object();
    for (const auto& [kind, count] : scenario.faults) {
      faults[kind] = count;
    }
    ReportJson failures = ReportJson::array();
    for (const Failure& failure : scenario.failures) {
      failures.push_back({{"seed", failure.seed},
                          {"count", failure.count},
                          {"checker", failure.checker},
                          {"message", failure.message},
                          {"replay", failure.replay},
                          {"plan", failure.plan}});
    }
    scenarios.push_back({{"name", scenario.name},
                         {"seeds", scenario.seeds},
                         {"virtual_seconds", scenario.virtual_seconds},
                         {"wall_seconds", scenario.wall_seconds},
                         {"events", scenario.events},
                         {"twins", scenario.twins},
                         {"fingerprint", fmt::format("{:016x}", scenario.fingerprint)},
                         {"schedules", scenario.schedules},
                         {"whole", scenario.whole},
                         {"cut", scenario.cut},
                         {"faults", faults},
                         {"coverage", coverage_json(scenario.coverage)},
                         {"failures", failures}});
  }
  const NeverReached never = never_reached(coverage_rows(report));
  const ReportJson whole = {
      {"failed", report.failed()},
      {"elapsed_seconds", report.elapsed_seconds},
      {"cut_short", report.cut_short},
      {"scenarios", scenarios},
      {"never_reached",
       {{"points", never.points}, {"held", never.held}, {"faults", never.faults}, {"errors", never.errors}}}};
  return whole.dump(2, ' ', false, ReportJson::error_handler_t::replace) + "\n";
}

std::string report_coverage(const RunnerReport& report) { return coverage_text(coverage_rows(report)); }

std::string report_text(const RunnerReport& report) {
  std::string text;
  for (const ScenarioReport& scenario : report.scenarios) {
    const double wall = scenario.wall_seconds > 0 ? scenario.wall_seconds : 1e-9;
    text += fmt::format(
        "{}: {} seeds ({} run twice), {:.0f} s of virtual time in {:.1f} s ({:.0f} times real time), "
        "{} events ({:.0f}/s), {:.1f} seeds/s a worker, fingerprint {:016x}, {} failed\n",
        scenario.name, scenario.seeds, scenario.twins, scenario.virtual_seconds, scenario.wall_seconds,
        scenario.virtual_seconds / wall, scenario.events, static_cast<double>(scenario.events) / wall,
        static_cast<double>(scenario.seeds) / wall, scenario.fingerprint, scenario.failed());
    if (scenario.schedules > 0) {
      text += fmt::format("  {} schedules; of {} seeds all that there are, {} searches cut short\n", scenario.schedules,
                          scenario.whole, scenario.cut);
    }
    text += "  faults:";
    for (const auto& [kind, count] : scenario.faults) {
      text += fmt::format(" {} {};", kind, count);
    }
    text += scenario.faults.empty() ? " none\n" : "\n";
    for (const Failure& failure : scenario.failures) {
      text += fmt::format(
          "  FAILED seed {}: {}\n    {}\n{}    replay: {}\n", failure.seed, failure.checker, failure.message,
          failure.count == 1 ? "" : fmt::format("    {} more seeds failed alike\n", failure.count - 1), failure.replay);
      if (!failure.plan.empty()) {
        text += fmt::format("    or of this plan, with --plan FILE:\n{}", failure.plan);
      }
    }
  }
  std::uint64_t seeds = 0;
  double virtual_seconds = 0;
  for (const ScenarioReport& scenario : report.scenarios) {
    seeds += scenario.seeds;
    virtual_seconds += scenario.virtual_seconds;
  }
  text += fmt::format("{} failed of {} seeds, {:.1f} h of virtual time in {:.1f} s{}\n", report.failed(), seeds,
                      virtual_seconds / 3600, report.elapsed_seconds, report.cut_short ? ", cut short" : "");
  return text;
}

StatusOr<RunnerReport> parse_report(const std::string& text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    RunnerReport report{.scenarios = {},
                        .elapsed_seconds = json.at("elapsed_seconds").get<double>(),
                        .cut_short = json.at("cut_short").get<bool>()};
    for (const nlohmann::json& scenario : json.at("scenarios")) {
      ASSIGN_OR_RETURN(report.scenarios.emplace_back(), scenario_of(scenario));
      if (find_scenario(report.scenarios.back().name) == nullptr) {
        return absl::InvalidArgumentError(
            fmt::format("no scenario is called {}; chronik-sim list names them", report.scenarios.back().name));
      }
    }
    return report;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(fmt::format("not a report of chronik-sim run --json: {}", error.what()));
  }
}

RunnerReport merge_reports(const std::vector<RunnerReport>& reports) {
  RunnerReport merged;
  for (const RunnerReport& report : reports) {
    merged.elapsed_seconds = std::max(merged.elapsed_seconds, report.elapsed_seconds);
    merged.cut_short = merged.cut_short || report.cut_short;
    for (const ScenarioReport& scenario : report.scenarios) {
      const auto same = [&scenario](const ScenarioReport& one) { return one.name == scenario.name; };
      auto found = std::find_if(merged.scenarios.begin(), merged.scenarios.end(), same);
      if (found == merged.scenarios.end()) {
        merged.scenarios.emplace_back().name = scenario.name;
        found = merged.scenarios.end() - 1;
      }
      add_report(scenario, *found);
    }
  }
  for (ScenarioReport& report : merged.scenarios) {
    const Scenario* scenario = find_scenario(report.name);
    CHECK(scenario != nullptr);
    judge_announced_faults(report, *scenario, 1);
  }
  return merged;
}

}  // namespace chronik::sim
