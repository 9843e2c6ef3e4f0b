#include "sim/runner.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/run.h"
#include "sim/worker.h"

namespace chronik::sim {

namespace {

class Runner {
 public:
  explicit Runner(const RunnerOptions& options) : options_(options), began_(real_seconds()) {
    for (const Scenario* scenario : options.scenarios) {
      report_.scenarios.push_back({});
      report_.scenarios.back().name = scenario->name();
    }
    total_ = options.seeds * options.scenarios.size();
  }

  RunnerReport run() {
    signal(SIGPIPE, SIG_IGN);
    for (std::uint32_t i = 0; i < options_.jobs && i < total_; ++i) {
      workers_.push_back(std::make_unique<Worker>(options_.scenarios));
      give_work(*workers_.back());
    }
    while (busy() > 0) {
      wait_a_little();
      show_progress(false);
    }
    workers_.clear();
    judge_faults();
    report_.elapsed_seconds = real_seconds() - began_;
    show_progress(true);
    return std::move(report_);
  }

 private:
  std::size_t busy() const {
    std::size_t n = 0;
    for (const std::unique_ptr<Worker>& worker : workers_) {
      n += static_cast<std::size_t>(worker->order().has_value());
    }
    return n;
  }

  // All scenarios advance together, so that a time limit cuts each a little and none wholly.
  void give_work(Worker& worker) {
    if (next_ == total_) {
      return;
    }
    if (options_.time_limit_seconds > 0 && real_seconds() - began_ > static_cast<double>(options_.time_limit_seconds)) {
      report_.cut_short = true;
      return;
    }
    const std::uint64_t round = next_ / options_.scenarios.size();
    const std::size_t scenario = static_cast<std::size_t>(next_ % options_.scenarios.size());
    ++next_;
    worker.send({.scenario = scenario,
                 .seed = options_.first_seed + round,
                 .twin = options_.twin_every > 0 && round % options_.twin_every == 0,
                 .schedule = options_.schedule,
                 .bound = options_.bound});
  }

  void wait_a_little() {
    std::vector<pollfd> polled;
    for (const std::unique_ptr<Worker>& worker : workers_) {
      polled.push_back({worker->result_fd(), POLLIN, 0});
    }
    poll(polled.data(), polled.size(), 100);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (polled[i].revents != 0) {
        take_from(workers_[i]);
      } else if (workers_[i]->order().has_value() &&
                 real_seconds() - workers_[i]->began() > static_cast<double>(options_.seed_limit_seconds)) {
        overdue_ = workers_[i].get();
        workers_[i]->kill_now();
      }
    }
  }

  void take_from(std::unique_ptr<Worker>& worker) {
    const std::optional<Order> order = worker->order();
    const std::optional<std::string> result = worker->take_result();
    if (result.has_value()) {
      count(*order, nlohmann::json::parse(*result));
      give_work(*worker);
    } else if (worker->ended()) {
      if (order.has_value()) {
        ScenarioReport& report = report_.scenarios[order->scenario];
        ++report.seeds;
        ++finished_;
        report.wall_seconds += real_seconds() - worker->began();
        const bool overdue = std::exchange(overdue_, nullptr) == worker.get();
        add_failure(
            report, order->seed, overdue ? "HANG" : "CRASH",
            overdue ? fmt::format("no end after {} s of real time", options_.seed_limit_seconds) : worker->obituary());
      }
      worker = std::make_unique<Worker>(options_.scenarios);
      give_work(*worker);
    }
  }

  void count(const Order& order, const nlohmann::json& result) {
    ScenarioReport& report = report_.scenarios[order.scenario];
    ++report.seeds;
    ++finished_;
    if (options_.schedule == ScheduleChoice::kExhaustive) {
      report.schedules += result.at("schedules").get<std::uint64_t>();
      report.whole += result.at("whole").get<bool>() ? 1U : 0U;
      report.cut += result.at("cut").get<bool>() ? 1U : 0U;
    } else {
      report.twins += order.twin ? 1 : 0;
    }
    report.virtual_seconds += result.at("virtual").get<double>();
    report.wall_seconds += result.at("wall").get<double>();
    report.events += result.at("events").get<std::uint64_t>();
    for (const auto& [kind, n] : result.at("faults").items()) {
      report.faults[kind] += n.get<std::uint64_t>();
    }
    report.coverage.add(decode_coverage(result.at("coverage")));
    for (const nlohmann::json& finding : result.at("findings")) {
      add_failure(report, order.seed, finding.at("checker").get<std::string>(),
                  finding.at("message").get<std::string>(), result.at("plan").get<std::string>());
    }
  }

  void add_failure(ScenarioReport& report, std::uint64_t seed, std::string checker, std::string message,
                   std::string plan = {}) {
    ++failures_;
    Failure failure{.seed = seed,
                    .checker = std::move(checker),
                    .message = std::move(message),
                    .replay = replay_line(report.name, seed) + said_schedule(),
                    .plan = std::move(plan)};
    const std::string signature = signature_of(failure.checker, failure.message);
    const auto known = std::find_if(report.failures.begin(), report.failures.end(), [&](const Failure& one) {
      return signature_of(one.checker, one.message) == signature;
    });
    if (known == report.failures.end()) {
      report.failures.push_back(std::move(failure));
    } else if (failure.count += known->count; failure.seed < known->seed) {
      *known = std::move(failure);
    } else {
      known->count = failure.count;
    }
  }

  std::string said_schedule() const {
    if (options_.schedule == ScheduleChoice::kAsPlanned) {
      return {};
    }
    const std::string bound =
        options_.schedule == ScheduleChoice::kExhaustive ? fmt::format(" --bound {}", options_.bound) : "";
    return fmt::format(" --schedule {}{}", schedule_choice_name(options_.schedule), bound);
  }

  void judge_faults() {
    for (std::size_t i = 0; i < report_.scenarios.size(); ++i) {
      ScenarioReport& report = report_.scenarios[i];
      for (const std::string& kind : options_.scenarios[i]->announced_faults()) {
        const auto [place, never] = report.faults.try_emplace(kind, 0);
        if (never && report.seeds >= kSeedsThatFireEverything) {
          add_failure(
              report, options_.first_seed, "FAULT-NOT-FIRED",
              fmt::format("the scenario announces \"{}\", and in {} seeds it never happened", kind, report.seeds));
        }
      }
    }
  }

  void show_progress(bool last) {
    if (!options_.progress || (!last && real_seconds() < next_progress_)) {
      return;
    }
    next_progress_ = real_seconds() + 0.2;
    constexpr std::uint64_t kWidth = 30;
    const std::uint64_t full = total_ == 0 ? kWidth : finished_ * kWidth / total_;
    fmt::print(stderr, "\r[{}{}] {}/{} seeds, {:.0f} s, {} failed ", std::string(full, '#'),
               std::string(kWidth - full, '.'), finished_, total_, real_seconds() - began_, failures_);
    if (last) {
      fmt::print(stderr, "\n");
    }
    std::fflush(stderr);
  }

  const RunnerOptions& options_;
  double began_;
  double next_progress_ = 0;
  RunnerReport report_;
  std::vector<std::unique_ptr<Worker>> workers_;
  const Worker* overdue_ = nullptr;
  std::uint64_t total_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t finished_ = 0;
  std::uint64_t failures_ = 0;
};

std::vector<CoverageRow> coverage_rows(const RunnerReport& report) {
  std::vector<CoverageRow> rows;
  for (const ScenarioReport& scenario : report.scenarios) {
    rows.push_back({.scenario = scenario.name, .coverage = &scenario.coverage, .faults = &scenario.faults});
  }
  return rows;
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

RunnerReport run_seeds(const RunnerOptions& options) { return Runner(options).run(); }

std::string report_json(const RunnerReport& report) {
  nlohmann::ordered_json scenarios = nlohmann::ordered_json::array();
  for (const ScenarioReport& scenario : report.scenarios) {
    nlohmann::ordered_json faults = nlohmann::ordered_json::object();
    for (const auto& [kind, count] : scenario.faults) {
      faults[kind] = count;
    }
    nlohmann::ordered_json failures = nlohmann::ordered_json::array();
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
                         {"schedules", scenario.schedules},
                         {"whole", scenario.whole},
                         {"faults", faults},
                         {"coverage", coverage_json(scenario.coverage)},
                         {"failures", failures}});
  }
  const NeverReached never = never_reached(coverage_rows(report));
  const nlohmann::ordered_json whole = {
      {"failed", report.failed()},
      {"scenarios", scenarios},
      {"never_reached",
       {{"points", never.points}, {"held", never.held}, {"faults", never.faults}, {"errors", never.errors}}}};
  return whole.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string report_coverage(const RunnerReport& report) { return coverage_text(coverage_rows(report)); }

std::string report_text(const RunnerReport& report) {
  std::string text;
  for (const ScenarioReport& scenario : report.scenarios) {
    const double wall = scenario.wall_seconds > 0 ? scenario.wall_seconds : 1e-9;
    text += fmt::format(
        "{}: {} seeds ({} run twice), {:.0f} s of virtual time in {:.1f} s ({:.0f} times real time), "
        "{} events ({:.0f}/s), {:.1f} seeds/s a worker, {} failed\n",
        scenario.name, scenario.seeds, scenario.twins, scenario.virtual_seconds, scenario.wall_seconds,
        scenario.virtual_seconds / wall, scenario.events, static_cast<double>(scenario.events) / wall,
        static_cast<double>(scenario.seeds) / wall, scenario.failed());
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
  text += fmt::format("{} failed, {:.1f} s{}\n", report.failed(), report.elapsed_seconds,
                      report.cut_short ? ", cut short by the time limit" : "");
  return text;
}

}  // namespace chronik::sim
