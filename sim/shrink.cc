#include "sim/shrink.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "sim/worker.h"

namespace chronik::sim {

namespace {

// What came of a candidate.
struct Outcome {
  std::string checker;  // empty: nothing was found
  std::string message;
  std::string plan;  // with its choices, where they were to be recorded
};

// Runs candidates, as many at a time as there are workers.
class Trials {
 public:
  Trials(const Scenario& scenario, std::uint32_t jobs) : scenarios_{&scenario} {
    for (std::uint32_t i = 0; i < jobs; ++i) {
      workers_.push_back(std::make_unique<Worker>(scenarios_));
    }
  }

  std::size_t at_a_time() const { return workers_.size(); }
  std::uint64_t runs() const { return runs_; }

  // At most at_a_time() of them. limit: seconds, after which one that goes on is a HANG.
  std::vector<Outcome> run(const std::vector<Plan>& candidates, bool record, double limit) {
    std::vector<Outcome> outcomes;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      workers_[i]->send({.seed = candidates[i].seed, .plan = candidates[i].to_text(), .record = record});
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      outcomes.push_back(outcome_of(workers_[i], limit));
    }
    runs_ += candidates.size();
    return outcomes;
  }

 private:
  Outcome outcome_of(std::unique_ptr<Worker>& worker, double limit) {
    std::optional<std::string> result;
    while (!result.has_value() && !worker->ended() && real_seconds() - worker->began() < limit) {
      pollfd polled{worker->result_fd(), POLLIN, 0};
      if (poll(&polled, 1, 100) > 0) {
        result = worker->take_result();
      }
    }
    if (result.has_value()) {
      const nlohmann::json json = nlohmann::json::parse(*result);
      Outcome outcome{.plan = json.at("plan").get<std::string>()};
      for (const nlohmann::json& finding : json.at("findings")) {
        outcome.checker = finding.at("checker").get<std::string>();
        outcome.message = finding.at("message").get<std::string>();
      }
      return outcome;
    }
    Outcome outcome{.checker = worker->ended() ? "CRASH" : "HANG"};
    if (worker->ended()) {
      outcome.message = worker->obituary();
    } else {
      outcome.message = fmt::format("no end after {:.0f} s of real time", limit);
      worker->kill_now();
    }
    worker = std::make_unique<Worker>(scenarios_);
    return outcome;
  }

  const std::vector<const Scenario*> scenarios_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::uint64_t runs_ = 0;
};

// ---- what can be taken away ----

// A list of parts that a plan has.
struct Part {
  const char* name;
  std::size_t (*count)(const Plan& plan);
  void (*erase)(Plan& plan, std::size_t from, std::size_t to);
};

template <typename List>
void erase_from(List& list, std::size_t from, std::size_t to) {
  const auto at = [&list](std::size_t i) { return std::next(list.begin(), static_cast<std::ptrdiff_t>(i)); };
  list.erase(at(from), at(to));
}

// A node stays, and so does the last of each role: a scenario judges the whole by what it has one of each for.
bool may_go(const Plan& plan, std::size_t machine) {
  const PlanMachine& one = plan.machines[machine];
  const auto disk = one.numbers.find("disk");
  return (disk == one.numbers.end() || disk->second == 0) &&
         std::count_if(plan.machines.begin(), plan.machines.end(),
                       [&one](const PlanMachine& other) { return other.role == one.role; }) > 1;
}

// With all that is said of them.
void erase_machines(Plan& plan, std::size_t from, std::size_t to) {
  for (std::size_t i = to; i-- > from;) {
    if (may_go(plan, i)) {
      const std::string name = plan.machines[i].name;
      std::erase_if(plan.operations, [&](const PlanOperation& operation) { return operation.machine == name; });
      std::erase_if(plan.faults, [&](const PlanFault& fault) { return fault.target == name || fault.other == name; });
      erase_from(plan.machines, i, i + 1);
    }
  }
}

constexpr Part kFaults{"faults", [](const Plan& plan) { return plan.faults.size(); },
                       [](Plan& plan, std::size_t from, std::size_t to) { erase_from(plan.faults, from, to); }};
constexpr Part kOperations{"operations", [](const Plan& plan) { return plan.operations.size(); },
                           [](Plan& plan, std::size_t from, std::size_t to) { erase_from(plan.operations, from, to); }};
constexpr Part kMachines{"machines", [](const Plan& plan) { return plan.machines.size(); }, erase_machines};
// The network's alone: what a scenario has drawn for itself belongs together.
constexpr Part kKnobs{"knobs", [](const Plan& plan) { return plan.knobs.size(); },
                      [](Plan& plan, std::size_t from, std::size_t to) {
                        std::size_t place = 0;
                        std::erase_if(plan.knobs, [&](const auto& knob) {
                          const bool chosen = place >= from && place < to;
                          ++place;
                          return chosen && knob.first.starts_with("network.");
                        });
                      }};
constexpr Part kChoices{"choices", [](const Plan& plan) { return plan.choices.size(); },
                        [](Plan& plan, std::size_t from, std::size_t to) { erase_from(plan.choices, from, to); }};

// ---- the search ----

constexpr double kLeastLimit = 10;  // seconds for one run, whose original took less
constexpr double kLongerThanFirst = 10;

class Shrinker {
 public:
  Shrinker(const Scenario& scenario, const Plan& plan, const ShrinkOptions& options)
      : options_(options), began_(real_seconds()), trials_(scenario, std::max(options.jobs, 1U)), best_(plan) {}

  StatusOr<Shrunk> run() {
    const Outcome first = trials_.run({best_}, false, options_.seconds).front();
    if (first.checker.empty()) {
      return absl::FailedPreconditionError("nothing is found with this plan: there is nothing to shrink");
    }
    wanted_ = signature_of(first.checker, first.message);
    found_ = first;
    limit_ = std::max(kLeastLimit, (real_seconds() - began_) * kLongerThanFirst);
    shrink_plan();
    shrink_choices();
    show_progress("done", true);
    return Shrunk{.plan = std::move(best_),
                  .checker = found_.checker,
                  .message = found_.message,
                  .runs = trials_.runs(),
                  .seconds = real_seconds() - began_,
                  .cut_short = out_of_time()};
  }

 private:
  bool out_of_time() const { return real_seconds() - began_ >= options_.seconds; }

  // Takes the first of the candidates that fails as the plan did; its place.
  std::optional<std::size_t> take_first(std::vector<Plan> candidates, bool record = false) {
    std::vector<Outcome> outcomes = trials_.run(candidates, record, limit_);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (signature_of(outcomes[i].checker, outcomes[i].message) == wanted_) {
        best_ = std::move(candidates[i]);
        found_ = std::move(outcomes[i]);
        return i;
      }
    }
    return std::nullopt;
  }
  bool take(Plan candidate) { return !out_of_time() && take_first({std::move(candidate)}).has_value(); }

  void reduce(const Part& part) {
    for (std::size_t chunk = std::max<std::size_t>(part.count(best_), 1);; chunk = (chunk + 1) / 2) {
      for (std::size_t from = 0; from < part.count(best_) && !out_of_time();) {
        show_progress(part.name, false);
        from = reduce_from(part, chunk, from);
      }
      if (chunk == 1) {
        return;
      }
    }
  }

  // Tries to take away each of the next few chunks, and one of them. Where to go on.
  std::size_t reduce_from(const Part& part, std::size_t chunk, std::size_t from) {
    std::vector<Plan> candidates;
    std::vector<std::size_t> places;
    const std::size_t count = part.count(best_);
    for (; from < count && candidates.size() < trials_.at_a_time(); from += chunk) {
      Plan candidate = best_;
      part.erase(candidate, from, std::min(from + chunk, count));
      if (part.count(candidate) < count) {
        candidates.push_back(std::move(candidate));
        places.push_back(from);
      }
    }
    const std::optional<std::size_t> taken = take_first(std::move(candidates));
    return taken.has_value() ? places[*taken] : from;
  }

  // Half as long, and half as long again. Not the calm part: within it a sound program comes right, which is what a
  // plan that is kept has to show one day.
  void shorten() {
    for (;;) {
      Plan candidate = best_;
      candidate.lasts = best_.lasts / 2;
      if (candidate.lasts < Duration::milliseconds(1) || !take(std::move(candidate))) {
        return;
      }
    }
  }

  void shrink_plan() {
    if (best_.schedule != ScheduleKind::kFifo && !best_.replays) {
      Plan candidate = best_;
      candidate.schedule = ScheduleKind::kFifo;
      take(std::move(candidate));
    }
    for (bool smaller = true; smaller && !out_of_time();) {
      const Plan before = best_;
      for (const Part* part : {&kFaults, &kOperations, &kMachines, &kKnobs}) {
        reduce(*part);
      }
      shorten();
      smaller = best_ != before;
    }
  }

  void shrink_choices() {
    if (best_.schedule == ScheduleKind::kFifo && !best_.replays) {
      return;
    }
    if (!best_.replays) {
      if (out_of_time() || !take_first({best_}, true).has_value()) {
        return;
      }
      StatusOr<Plan> recorded = Plan::parse(found_.plan);
      CHECK_OK(recorded.status());
      if (!take(*std::move(recorded))) {
        return;  // by the time, or for want of something that a plan does not say
      }
    }
    reduce(kChoices);
  }

  void show_progress(const char* what, bool last) {
    if (!options_.progress || (!last && real_seconds() < next_progress_)) {
      return;
    }
    next_progress_ = real_seconds() + 0.2;
    fmt::print(stderr, "\r\033[K{}: {}; {} runs, {:.0f} s{}", what, size_of(best_).to_string(), trials_.runs(),
               real_seconds() - began_, last ? "\n" : "");
    std::fflush(stderr);
  }

  ShrinkOptions options_;
  double began_;
  double next_progress_ = 0;
  double limit_ = 0;
  Trials trials_;
  Plan best_;
  std::string wanted_;
  Outcome found_;
};

}  // namespace

std::string PlanSize::to_string() const {
  return fmt::format("{} machines, {} operations, {} faults, {} knobs, {} choices", machines, operations, faults, knobs,
                     choices);
}

PlanSize size_of(const Plan& plan) {
  return {.machines = plan.machines.size(),
          .operations = plan.operations.size(),
          .faults = plan.faults.size(),
          .knobs = plan.knobs.size(),
          .choices = plan.choices.size()};
}

StatusOr<Shrunk> shrink(const Scenario& scenario, const Plan& plan, const ShrinkOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  return Shrinker(scenario, plan, options).run();
}

}  // namespace chronik::sim
