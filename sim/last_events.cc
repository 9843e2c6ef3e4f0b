#include "sim/last_events.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/fiber/scheduler.h"
#include "core/fiber/wait.h"
#include "core/fiber/wait_graph.h"
#include "core/fiber/wait_report.h"
#include "sim/machine.h"
#include "sim/shard.h"
#include "sim/story.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kStoryEvents = 20'000;

// "waits for turnstile 2 (account)"
std::string state_of(const fiber::Fiber& fiber) {
  if (fiber.state() == fiber::Fiber::State::kRunning) {
    return "has not stopped yet";
  }
  const fiber::Waiter* waiter = fiber.waiter();
  if (waiter == nullptr || waiter->fired()) {
    return "is ready";
  }
  fiber::FiberWait wait;
  wait.keys = {waiter->alternatives() != nullptr && !waiter->alternatives()->empty() ? waiter->alternatives()->front()
                                                                                     : waiter->key()};
  if (waiter->detail() != nullptr) {
    wait.detail = waiter->detail()->describe_wait();
  }
  return "waits for " + fiber::describe_wait(wait);
}

const char* end_in_words(StoryEnd end) {
  switch (end) {
    case StoryEnd::kUnderWay: return ", which has not ended";
    case StoryEnd::kFailed: return ", which failed";
    case StoryEnd::kLost: return ", which was lost";
    case StoryEnd::kInstant:
    case StoryEnd::kDone: return "";
  }
  return "";
}

}  // namespace

LastEvents::LastEvents(const std::vector<HungFiber>& watched, const Story& story) : story_(story) {
  for (const HungFiber& one : watched) {
    watched_[{one.shard, one.lineage}] = one.place + " " + one.path;
    const std::string machine = one.place.substr(0, one.place.find('#'));
    machines_.insert(machine);
    names_.insert(machine + " " + one.path);
  }
}

const std::string* LastEvents::find(Shard& shard, const fiber::Fiber& fiber) const {
  const auto found = watched_.find({shard.id(), fiber.lineage()});
  return found == watched_.end() ? nullptr : &found->second;
}

void LastEvents::add(Shard& shard, std::string text) {
  if (closed_) {
    return;
  }
  if (events_.size() == kLastEvents) {
    events_.pop_front();
  }
  events_.push_back({shard.world().now(), story_.told(), std::move(text)});
}

void LastEvents::on_resume(Shard& shard, const fiber::Fiber& fiber) {
  if (!closed_ && find(shard, fiber) != nullptr) {
    ++ran_[fiber.lineage()];
  }
}

void LastEvents::on_entering(Shard& shard, const fiber::Fiber& fiber, const WaitKey& turnstile, const char* name) {
  if (const std::string* who = find(shard, fiber); who != nullptr) {
    add(shard, fmt::format("{} asks for {} ({})", *who, fiber::describe_key(turnstile), name));
  }
}

void LastEvents::on_expiry(Shard& shard, const fiber::Fiber& fiber, const WaitKey& key) {
  if (const std::string* who = find(shard, fiber); who != nullptr) {
    add(shard, key.kind == WaitKind::kSleep
                   ? *who + " has slept"
                   : fmt::format("{} has waited for {} to the end of its time", *who, fiber::describe_key(key)));
  }
}

void LastEvents::on_turn_end(Shard& shard) {
  if (ran_.empty()) {
    return;
  }
  shard.scheduler().for_each_fiber([&](const fiber::Fiber& fiber) {
    if (const auto ran = ran_.find(fiber.lineage()); ran != ran_.end()) {
      const bool first = fiber.resumes() == ran->second;
      add(shard, fmt::format("{} {}, and {}", *find(shard, fiber), first ? "begins" : "runs", state_of(fiber)));
      ran_.erase(ran);
    }
  });
  for (const auto& [lineage, times] : std::exchange(ran_, {})) {
    add(shard, fmt::format("{} runs, and ends", watched_.at({shard.id(), lineage})));
  }
}

void LastEvents::close(World& world) {
  if (Shard* shard = world.shard(current_shard()); shard != nullptr) {
    on_turn_end(*shard);
  }
  closed_ = true;
  ran_.clear();
}

std::string LastEvents::to_text() const {
  std::vector<Event> all;
  for (const StoryEvent& event : story_.events()) {
    if (event.machine < 0 || event.kind == StoryKind::kFinding) {
      continue;
    }
    const std::string& machine = story_.machines()[static_cast<std::size_t>(event.machine)].name;
    const bool of_the_machine =
        machines_.contains(machine) && (event.kind == StoryKind::kFault || event.kind == StoryKind::kLife);
    const bool of_a_fiber = !event.fiber.empty() && names_.contains(machine + " " + event.fiber);
    if (of_a_fiber || of_the_machine) {
      all.push_back({event.at, event.order,
                     fmt::format("{}{}{}: {}{}", machine, of_a_fiber ? " " : "", of_a_fiber ? event.fiber : "",
                                 event.text, end_in_words(event.end))});
    }
  }
  all.insert(all.end(), events_.begin(), events_.end());  // behind what was told before them
  std::stable_sort(all.begin(), all.end(),
                   [](const Event& a, const Event& b) { return std::pair(a.at, a.order) < std::pair(b.at, b.order); });
  all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(std::min(all.size(), kLastEvents)));
  std::string text;
  for (const Event& event : all) {
    text += fmt::format("  {} {}\n", event.at.to_string(), event.text);
  }
  return text;
}

void add_last_events(const Scenario& scenario, const Plan& plan, StackArena& stacks, RunResult& result) {
  if (result.findings.empty() || result.findings.front().hung.empty()) {
    return;
  }
  Finding& finding = result.findings.front();
  Story story(kStoryEvents);
  LastEvents last(finding.hung, story);
  const RunResult again = run_plan(scenario, plan, stacks, {.story = &story, .last_events = &last});
  finding.message += finding.message.ends_with('\n') ? "" : "\n";
  finding.message +=
      again.hash == result.hash
          ? fmt::format("  the last that befell {} of these fibers:\n{}", finding.hung.size(), last.to_text())
          : "  (run again it is another run, so what befell these fibers is not known)\n";
}

}  // namespace chronik::sim
