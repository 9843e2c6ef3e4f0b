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
#include "sim/run.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kLastWords = 6000;

nlohmann::json run_order(const Scenario& scenario, const Order& order, StackArena& stacks) {
  const double began = real_seconds();
  Plan plan = order.plan.empty() ? scenario.generate(order.seed) : Plan::parse(order.plan).value();
  Deviations choices;
  const RunResult result = run_plan(scenario, plan, stacks, {.record = order.record ? &choices : nullptr});
  nlohmann::json findings = nlohmann::json::array();
  for (const Finding& finding : result.findings) {
    findings.push_back(
        {{"checker", finding.checker}, {"message", fmt::format("{}: {}", finding.at.to_string(), finding.message)}});
  }
  if (order.twin && result.findings.empty()) {
    const std::string difference = compare_twin(scenario, plan, result, stacks);
    if (!difference.empty()) {
      findings.push_back({{"checker", "DETERMINISM"}, {"message", difference}});
    }
  }
  nlohmann::json faults = nlohmann::json::object();
  for (const auto& [kind, count] : result.faults) {
    faults[kind] = count;
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
          {"faults", faults},
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
    words >> order.scenario >> order.seed >> order.twin >> order.record >> plan_bytes;
    CHECK(!words.fail());
    order.plan.resize(plan_bytes);
    CHECK_EQ(std::fread(order.plan.data(), 1, plan_bytes, in), plan_bytes);
    const std::string text = run_order(*scenarios.at(order.scenario), order, stacks)
                                 .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) +
                             "\n";
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

}  // namespace

double real_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
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
    signal(SIGINT, SIG_DFL);
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
  const std::string text = fmt::format("{} {} {} {} {}\n{}", order.scenario, order.seed, order.twin ? 1 : 0,
                                       order.record ? 1 : 0, order.plan.size(), order.plan);
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
