#include "sim/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace chronik::sim {

namespace {

constexpr std::string_view kFirstLine = "chronik-plan 1";
constexpr std::string_view kSchedules[] = {"fifo", "random", "pct"};

using Words = std::vector<std::string_view>;

Words split_fields(std::string_view line) {
  Words words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) {
      words.push_back(line.substr(0, end));
    }
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

template <typename T>
bool read_number(std::string_view text, T& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size();
}

// "a=1 b=2" from words[first] on.
bool read_numbers(const Words& words, std::size_t first, Numbers& into) {
  for (std::size_t i = first; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    std::int64_t value = 0;
    if (equals == std::string_view::npos || equals == 0 || !read_number(words[i].substr(equals + 1), value) ||
        !into.emplace(words[i].substr(0, equals), value).second) {
      return false;
    }
  }
  return true;
}

std::string numbers_text(const Numbers& numbers) {
  std::string text;
  for (const auto& [name, value] : numbers) {
    text += fmt::format(" {}={}", name, value);
  }
  return text;
}

bool read_schedule(std::string_view name, ScheduleKind& into) {
  const auto* found = std::find(std::begin(kSchedules), std::end(kSchedules), name);
  into = static_cast<ScheduleKind>(found - std::begin(kSchedules));
  return found != std::end(kSchedules);
}

bool read_duration(std::string_view text, Duration& into) {
  std::int64_t ns = 0;
  const bool read = read_number(text, ns) && ns >= 0;
  into = Duration::nanoseconds(ns);
  return read;
}

bool read_fault(const Words& words, Plan& plan) {
  PlanFault fault;
  std::int64_t at = 0;
  if (words.size() < 6 || !read_number(words[1], fault.id) || !read_number(words[2], at) || at < 0 ||
      !read_numbers(words, 6, fault.numbers)) {
    return false;
  }
  fault.at = VirtualTime::from_nanoseconds(at);
  fault.kind = words[3];
  fault.target = words[4];
  fault.other = words[5];
  plan.faults.push_back(std::move(fault));
  return true;
}

bool read_choice(const Words& words, Plan& plan) {
  ChoiceKey key;
  std::uint64_t point = 0;
  std::uint64_t chosen = 0;
  if (words.size() != 6 || !read_number(words[1], key.shard) || !read_number(words[2], point) || point > 4 ||
      !read_number(words[3], key.who) || !read_number(words[4], key.nth) || !read_number(words[5], chosen)) {
    return false;
  }
  key.point = static_cast<fiber::ChoicePoint>(point);
  return plan.choices.emplace(key, chosen).second;
}

bool read_line(const Words& words, Plan& plan) {
  const std::string_view what = words[0];
  const std::size_t n = words.size();
  if (what == "scenario" && n == 2) {
    plan.scenario = words[1];
    return true;
  }
  if (what == "seed" && n == 2) {
    return read_number(words[1], plan.seed);
  }
  if (what == "schedule" && n == 2) {
    return read_schedule(words[1], plan.schedule);
  }
  if (what == "replays" && n == 1) {
    return plan.replays = true;
  }
  if (what == "lasts" && n == 4 && words[2] == "calm") {
    return read_duration(words[1], plan.lasts) && read_duration(words[3], plan.calm);
  }
  if (what == "knob" && n == 3) {
    return read_number(words[2], plan.knobs[std::string(words[1])]);
  }
  if (what == "machine" && n >= 3) {
    PlanMachine& machine = plan.machines.emplace_back();
    machine.name = words[1];
    machine.role = words[2];
    return read_numbers(words, 3, machine.numbers);
  }
  if (what == "operation" && n >= 4) {
    PlanOperation& operation = plan.operations.emplace_back();
    operation.machine = words[2];
    operation.verb = words[3];
    return read_number(words[1], operation.id) && read_numbers(words, 4, operation.numbers);
  }
  if (what == "fault") {
    return read_fault(words, plan);
  }
  return what == "choose" && read_choice(words, plan);
}

}  // namespace

std::int64_t PlanOperation::number(std::string_view name) const {
  const auto found = numbers.find(name);
  CHECK(found != numbers.end());
  return found->second;
}

std::int64_t PlanFault::number(std::string_view name, std::int64_t otherwise) const {
  const auto found = numbers.find(name);
  return found == numbers.end() ? otherwise : found->second;
}

std::int64_t Plan::knob(std::string_view name, std::int64_t otherwise) const {
  const auto found = knobs.find(name);
  return found == knobs.end() ? otherwise : found->second;
}

std::string Plan::to_text() const {
  std::string text = fmt::format("{}\nscenario {}\nseed {}\nschedule {}\n{}lasts {} calm {}\n", kFirstLine, scenario,
                                 seed, kSchedules[static_cast<std::size_t>(schedule)], replays ? "replays\n" : "",
                                 lasts.nanoseconds(), calm.nanoseconds());
  const auto out = std::back_inserter(text);
  for (const auto& [name, value] : knobs) {
    fmt::format_to(out, "knob {} {}\n", name, value);
  }
  for (const PlanMachine& machine : machines) {
    fmt::format_to(out, "machine {} {}{}\n", machine.name, machine.role, numbers_text(machine.numbers));
  }
  for (const PlanOperation& operation : operations) {
    fmt::format_to(out, "operation {} {} {}{}\n", operation.id, operation.machine, operation.verb,
                   numbers_text(operation.numbers));
  }
  for (const PlanFault& fault : faults) {
    fmt::format_to(out, "fault {} {} {} {} {}{}\n", fault.id, fault.at.nanoseconds(), fault.kind, fault.target,
                   fault.other, numbers_text(fault.numbers));
  }
  for (const auto& [key, chosen] : choices) {
    fmt::format_to(out, "choose {} {} {} {} {}\n", key.shard, static_cast<unsigned>(key.point), key.who, key.nth,
                   chosen);
  }
  return text + "end\n";
}

StatusOr<Plan> Plan::parse(std::string_view text) {
  Plan plan;
  std::size_t number = 0;
  bool ended = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (++number == 1) {
      if (line != kFirstLine) {
        return absl::InvalidArgumentError(fmt::format("a plan begins with \"{}\"", kFirstLine));
      }
      continue;
    }
    if (line.starts_with('#')) {
      continue;
    }
    const Words words = split_fields(line);
    if (ended || words.empty()) {
      return absl::InvalidArgumentError(fmt::format("line {}: nothing, or something behind the end", number));
    }
    ended = words.size() == 1 && words[0] == "end";
    if (!ended && !read_line(words, plan)) {
      return absl::InvalidArgumentError(fmt::format("line {}: cannot be read: {}", number, line));
    }
  }
  if (!ended) {
    return absl::InvalidArgumentError("the plan has no end");
  }
  return plan;
}

}  // namespace chronik::sim
