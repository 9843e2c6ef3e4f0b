#include "sim/runner.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/run.h"
#include "sim/worker.h"

namespace chronik::sim {

namespace {

constexpr double kSecondsBetweenLines = 60;

volatile std::sig_atomic_t asked_to_end = 0;

class Runner {
 public:
  explicit Runner(const RunnerOptions& options)
      : options_(options),
        began_(real_seconds()),
        next_progress_(options.progress == RunnerProgress::kLines ? began_ + kSecondsBetweenLines : 0) {
    for (const Scenario* scenario : options.scenarios) {
      report_.scenarios.push_back({});
      report_.scenarios.back().name = scenario->name();
    }
    total_ = options.seeds * options.scenarios.size();
  }

  RunnerReport run() {
    signal(SIGPIPE, SIG_IGN);
    struct sigaction action {};
    action.sa_handler = [](int /*number*/) { asked_to_end = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    CHECK_EQ(sigaction(SIGINT, &action, nullptr), 0);
    for (std::uint32_t i = 0; i < options_.jobs && i < total_; ++i) {
      workers_.push_back(std::make_unique<Worker>(options_.scenarios));
      give_work(*workers_.back());
    }
    while (busy() > 0) {
      wait_a_little();
      show_progress(false);
    }
    workers_.clear();
    for (std::size_t i = 0; i < report_.scenarios.size(); ++i) {
      judge_announced_faults(report_.scenarios[i], *options_.scenarios[i], options_.first_seed);
    }
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
    const bool late =
        options_.time_limit_seconds > 0 && real_seconds() - began_ > static_cast<double>(options_.time_limit_seconds);
    if (late || asked_to_end != 0) {
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
                 workers_[i]->overdue(static_cast<double>(options_.seed_limit_seconds))) {
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
        add_failure(report, order->seed, overdue ? kSeedHung : kSeedDied,
                    overdue ? fmt::format("no end within {} s of processor time, in {:.0f} s of the real clock",
                                          options_.seed_limit_seconds, real_seconds() - worker->began())
                            : worker->obituary());
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
    report.fingerprint += result.at("hash").get<std::uint64_t>();
    report.virtual_seconds += result.at("virtual").get<double>();
    report.wall_seconds += result.at("wall").get<double>();
    report.events += result.at("events").get<std::uint64_t>();
    for (const auto& [kind, n] : result.at("faults").items()) {
      report.faults[kind] += n.get<std::uint64_t>();
    }
    report.coverage.add(parse_coverage(result.at("coverage")).value());  // this program wrote it
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
    const std::string found = fmt::format("found {}: {}", failure.checker, failure.replay);
    if (sim::add_failure(report, std::move(failure)) && options_.progress != RunnerProgress::kNone) {
      fmt::print(stderr, "{}{}\n", options_.progress == RunnerProgress::kBar ? "\r\033[K" : "", found);
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

  void show_progress(bool last) {
    const bool bar = options_.progress == RunnerProgress::kBar;
    if (options_.progress == RunnerProgress::kNone || (!(last && bar) && real_seconds() < next_progress_)) {
      return;
    }
    next_progress_ = real_seconds() + (bar ? 0.2 : kSecondsBetweenLines);
    const double elapsed = real_seconds() - began_;
    const std::string said = fmt::format("{}/{} seeds, {:.1f}/s, {:.0f} s, {} failed", finished_, total_,
                                         static_cast<double>(finished_) / std::max(elapsed, 1e-3), elapsed, failures_);
    if (bar) {
      constexpr std::uint64_t kWidth = 30;
      const std::uint64_t full = total_ == 0 ? kWidth : finished_ * kWidth / total_;
      fmt::print(stderr, "\r[{}{}] {} {}", std::string(full, '#'), std::string(kWidth - full, '.'), said,
                 last ? "\n" : "");
    } else {
      fmt::print(stderr, "{}\n", said);
    }
    std::fflush(stderr);
  }

  const RunnerOptions& options_;
  double began_;
  double next_progress_;
  RunnerReport report_;
  std::vector<std::unique_ptr<Worker>> workers_;
  const Worker* overdue_ = nullptr;
  std::uint64_t total_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t finished_ = 0;
  std::uint64_t failures_ = 0;
};

}  // namespace

RunnerReport run_seeds(const RunnerOptions& options) { return Runner(options).run(); }

}  // namespace chronik::sim
