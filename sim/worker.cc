#include "sim/worker.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "core/base/check.h"
#include "sim/last_events.h"
#include "sim/run.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kLastWords = 6000;
constexpr std::uint64_t kEventsRunAgain = 1'000'000;  // a longer run shows by `replay` what befell who hangs

nlohmann::json as_json(const std::vector<Finding>& found) {
  nlohmann::json findings = nlohmann::json::array();
  for (const Finding& finding : found) {
    findings.push_back(
        {{"checker", finding.checker}, {"message", fmt::format("{}: {}", finding.at.to_string(), finding.message)}});
  }
  return findings;
}

nlohmann::json as_json(const absl::btree_map<std::string, std::uint64_t>& faults) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [kind, count] : faults) {
    json[kind] = count;
  }
  return json;
}

// All schedules of a seed's plan. Faults are those of one of them.
nlohmann::json search_order(const Scenario& scenario, const Order& order, StackArena& stacks) {
  const double began = real_seconds();
  SearchResult found = search_schedules(scenario, scenario.generate(order.seed), stacks, {.bound = order.bound});
  if (found.failing.has_value()) {
    add_last_events(scenario, *found.failing, stacks, found.run);
  }
  return {{"virtual", static_cast<double>(found.run.ended.nanoseconds()) / 1e9},
          {"wall", real_seconds() - began},
          {"events", found.events},
          {"hash", found.run.hash},
          {"faults", as_json(found.run.faults)},
          {"coverage", coverage_json(found.coverage)},
          {"findings", as_json(found.run.findings)},
          {"schedules", found.schedules},
          {"whole", found.whole},
          {"cut", found.cut_short},
          {"plan", found.failing.has_value() ? found.failing->to_text() : std::string()}};
}

nlohmann::json run_order(const Scenario& scenario, const Order& order, StackArena& stacks) {
  const double began = real_seconds();
  Plan plan = order.plan.empty() ? scenario.generate(order.seed) : Plan::parse(order.plan).value();
  choose_schedule(order.schedule, plan);
  Deviations choices;
  RunResult result = run_plan(scenario, plan, stacks, {.record = order.record ? &choices : nullptr});
  if (order.plan.empty() && result.events < kEventsRunAgain) {
    add_last_events(scenario, plan, stacks, result);
  }
  nlohmann::json findings = as_json(result.findings);
  if (order.twin && result.findings.empty()) {
    const std::string difference = compare_twin(scenario, plan, result, stacks);
    if (!difference.empty()) {
      findings.push_back({{"checker", "DETERMINISM"}, {"message", difference}});
    }
  }
  std::string recorded;
  if (order.record) {
    plan.choices = std::move(choices);
    plan.replays = true;
    recorded = plan.to_text();
  }
  return {{"virtual", static_cast<double>(result.ended.nanoseconds()) / 1e9},
          {"wall", real_seconds() - began},
          {"events", result.events},
          {"hash", result.hash},
          {"faults", as_json(result.faults)},
          {"coverage", coverage_json(result.coverage)},
          {"findings", findings},
          {"plan", recorded}};
}

[[noreturn]] void work(const std::vector<const Scenario*>& scenarios, int orders, int results) {
  StackArena stacks;
  std::FILE* in = fdopen(orders, "r");
  CHECK(in != nullptr);
  char line[128];
  while (std::fgets(line, sizeof line, in) != nullptr) {
    std::istringstream words(line);
    Order order;
    std::size_t plan_bytes = 0;
    unsigned schedule = 0;
    words >> order.scenario >> order.seed >> order.twin >> order.record >> schedule >> order.bound >> plan_bytes;
    CHECK(!words.fail());
    order.schedule = static_cast<ScheduleChoice>(schedule);
    order.plan.resize(plan_bytes);
    CHECK_EQ(std::fread(order.plan.data(), 1, plan_bytes, in), plan_bytes);
    const Scenario& scenario = *scenarios.at(order.scenario);
    const nlohmann::json result = order.schedule == ScheduleChoice::kExhaustive ? search_order(scenario, order, stacks)
                                                                                : run_order(scenario, order, stacks);
    const std::string text = result.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t wrote = write(results, text.data() + at, text.size() - at);
      if (wrote <= 0) {
        _exit(1);
      }
      at += static_cast<std::size_t>(wrote);
    }
  }
  _exit(0);
}

double seconds_of(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// 0: the process is gone.
double processor_seconds_of(pid_t pid) {
  clockid_t clock{};
  timespec spent{};
  const bool known = clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &spent) == 0;
  return known ? seconds_of(spent) : 0;
}

}  // namespace

double real_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return seconds_of(now);
}

Worker::Worker(const std::vector<const Scenario*>& scenarios) {
  int orders[2];
  int results[2];
  CHECK_EQ(pipe(orders), 0);
  CHECK_EQ(pipe(results), 0);
  errors_ = std::tmpfile();
  CHECK(errors_ != nullptr);
  std::fflush(nullptr);
  pid_ = fork();
  CHECK_GE(pid_, 0);
  if (pid_ == 0) {
    signal(SIGINT, SIG_IGN);  // it ends with its parent, and what it runs is finished first
    close(orders[1]);
    close(results[0]);
    dup2(fileno(errors_), STDERR_FILENO);
    work(scenarios, orders[0], results[1]);
  }
  close(orders[0]);
  close(results[1]);
  orders_ = orders[1];
  results_ = results[0];
}

Worker::~Worker() {
  close(orders_);
  if (!ended_) {
    kill_now();
  }
  waitpid(pid_, nullptr, 0);
  close(results_);
  std::fclose(errors_);
}

void Worker::send(const Order& order) {
  CHECK(!order_.has_value());
  order_ = order;
  began_ = real_seconds();
  spent_before_ = processor_seconds_of(pid_);
  const std::string text =
      fmt::format("{} {} {} {} {} {} {}\n{}", order.scenario, order.seed, order.twin ? 1 : 0, order.record ? 1 : 0,
                  static_cast<unsigned>(order.schedule), order.bound, order.plan.size(), order.plan);
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t wrote = write(orders_, text.data() + at, text.size() - at);
    if (wrote <= 0) {
      return;  // a worker that has died shows at its results
    }
    at += static_cast<std::size_t>(wrote);
  }
}

std::optional<std::string> Worker::take_result() {
  char buffer[65536];
  const ssize_t got = read(results_, buffer, sizeof buffer);
  if (got <= 0) {
    ended_ = true;
    return std::nullopt;
  }
  unread_.append(buffer, static_cast<std::size_t>(got));
  const std::size_t end = unread_.find('\n');
  if (end == std::string::npos) {
    return std::nullopt;
  }
  std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  order_.reset();
  return line;
}

bool Worker::overdue(double seconds) const {
  constexpr double kBlocked = 10;
  return processor_seconds_of(pid_) - spent_before_ > seconds || real_seconds() - began_ > seconds * kBlocked;
}

void Worker::kill_now() { kill(pid_, SIGKILL); }

std::string Worker::obituary() {
  int status = 0;
  std::string text = "the worker is gone";
  if (waitpid(pid_, &status, 0) == pid_) {
    text = WIFSIGNALED(status) ? fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)))
                               : fmt::format("exited with status {}", WEXITSTATUS(status));
  }
  std::fseek(errors_, 0, SEEK_END);
  const long size = std::ftell(errors_);
  const long from = std::max(0L, size - static_cast<long>(kLastWords));
  std::fseek(errors_, from, SEEK_SET);
  std::string last(static_cast<std::size_t>(size - from), '\0');
  last.resize(std::fread(last.data(), 1, last.size(), errors_));
  return last.empty() ? text : fmt::format("{}\n{}", text, last);
}

}  // namespace chronik::sim
