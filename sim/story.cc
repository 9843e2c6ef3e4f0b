#include "sim/story.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/mix.h"
#include "sim/machine.h"
#include "sim/plan.h"
#include "sim/story_frames.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kLandmarksMost = 1'000;
constexpr std::size_t kClientOperationsMost = 2'000;

std::string span_of(const PlanFault& fault) {
  return fmt::format(" for {} ms", Duration::nanoseconds(fault.number("for_ns", 1'000'000'000)).milliseconds());
}

bool lasts(const PlanFault& fault) {
  return fault.kind != "kill" && fault.kind != "power" && fault.kind != "step" && fault.kind != "reset" &&
         fault.kind != "point" && (fault.numbers.contains("for_ns") || fault.other != "-");
}

// What becomes of the target, as it goes on behind its name.
std::string befalls(const PlanFault& fault, std::string_view fired) {
  const std::string other = fault.other == "*" ? "everybody" : fault.other;
  if (fault.kind == "kill") {
    return "is killed (kill -9)";
  }
  if (fault.kind == "power") {
    return "loses its power";
  }
  if (fault.kind == "suspend") {
    return "is suspended" + span_of(fault);
  }
  if (fault.kind == "partition") {
    return fault.number("one_way", 0) != 0 ? fmt::format("is no longer heard by {}{}", other, span_of(fault))
                                           : fmt::format("is cut off from {}{}", other, span_of(fault));
  }
  if (fault.kind == "clog") {
    return fmt::format("is held up in all that it sends to {}{}", other, span_of(fault));
  }
  if (fault.kind == "slow" || fault.kind == "thin") {
    return fmt::format("has a {} link with {}{}", fault.kind, other, span_of(fault));
  }
  if (fault.kind == "step") {
    return fmt::format("has its wall clock stepped by {} ms", fault.number("by_ms", 1000));
  }
  return fmt::format("meets {}{}", fired, lasts(fault) ? span_of(fault) : "");
}

}  // namespace

const char* story_kind_name(StoryKind kind) {
  static constexpr const char* kNames[kStoryKinds] = {"finding", "life", "fault", "operation", "state",
                                                      "request", "peer", "raft",  "heartbeat", "connection",
                                                      "bytes",   "disk", "store", "progress",  "log"};
  return kNames[static_cast<std::size_t>(kind)];
}

// ---- keeping ----

std::size_t Story::class_of(StoryKind kind) {
  switch (kind) {
    case StoryKind::kFinding:
    case StoryKind::kLife:
    case StoryKind::kFault:
    case StoryKind::kState: return 0;
    case StoryKind::kOperation: return 1;
    default: return 2;
  }
}

StoryEvent& Story::add(StoryKind kind, std::string text) {
  if (world_ == nullptr) {
    return unheard_ = StoryEvent{};
  }
  const std::size_t of = class_of(kind);
  Kept& kept = kept_[of];
  const std::size_t most = of == 0 ? kLandmarksMost : of == 1 ? kClientOperationsMost : events_most_;
  if (kept.events.size() >= most) {
    kept.events.pop_front();
    ++kept.dropped;
    ++forgotten_;
  }
  StoryEvent& event = kept.events.emplace_back();
  event.id = (kept.dropped + kept.events.size()) * kClasses + of;
  event.order = ++told_;
  event.kind = kind;
  event.at = event.until = world_->now();
  event.text = std::move(text);
  return event;
}

StoryEvent* Story::find(StoryId id) {
  Kept& kept = kept_[id % kClasses];
  const std::uint64_t nth = id / kClasses;  // from 1
  return world_ == nullptr || nth <= kept.dropped ? nullptr : &kept.events[nth - kept.dropped - 1];
}

void Story::come_from_ambient(StoryEvent& event) const {
  if (world_ == nullptr) {
    return;
  }
  if (Shard* shard = world_->shard(current_shard()); shard != nullptr) {
    event.machine = static_cast<std::int32_t>(shard->machine().index());
  }
  if (const fiber::Fiber* fiber = fiber::Fiber::current_or_null(); fiber != nullptr) {
    event.fiber = fiber->path();
  }
}

// ---- telling ----

StoryEvent& Story::tell(StoryKind kind, std::string text) {
  StoryEvent& event = add(kind, std::move(text));
  come_from_ambient(event);
  return event;
}

StoryEvent& Story::tell_of(const Machine& machine, StoryKind kind, std::string text) {
  StoryEvent& event = add(kind, std::move(text));
  event.machine = static_cast<std::int32_t>(machine.index());
  return event;
}

StoryEvent& Story::begin(StoryKind kind, std::string text) {
  StoryEvent& event = tell(kind, std::move(text));
  event.end = StoryEnd::kUnderWay;
  return event;
}

void Story::end(StoryId id, StoryEnd how, std::string_view detail) {
  StoryEvent* event = id == 0 ? nullptr : find(id);
  if (event != nullptr && event->end == StoryEnd::kUnderWay) {
    event->end = how;
    event->until = world_->now();
    event->detail = detail;
  }
}

void Story::hold(StoryId id) {
  StoryEvent* event = id == 0 ? nullptr : find(id);
  if (event != nullptr && event->end == StoryEnd::kUnderWay) {
    event->held = std::min(event->held, world_->now());
  }
}

void Story::fault(std::string_view kind, std::uint64_t target) {
  const auto named = [this](auto fits) {
    const auto& all = world_->machines();
    const auto found = std::find_if(all.begin(), all.end(), fits);
    return found == all.end() ? std::int32_t{-1} : static_cast<std::int32_t>(found - all.begin());
  };
  StoryEvent& event = add(StoryKind::kFault, std::string(kind));
  if (world_ == nullptr) {
    return;
  }
  event.machine = named([target](const auto& machine) { return mix_text(machine->name()) == target; });
  if (striking_ != nullptr) {
    event.text = befalls(*striking_, kind);
    event.detail = fmt::format("fault {} of the plan: {}", striking_->id, striking_->kind);
    event.machine = named([this](const auto& machine) { return machine->name() == striking_->target; });
    event.to = named([this](const auto& machine) { return machine->name() == striking_->other; });
    if (lasts(*striking_)) {
      event.until = world_->now() + Duration::nanoseconds(striking_->number("for_ns", 1'000'000'000));
      event.end = StoryEnd::kDone;
    }
  } else if (event.machine >= 0) {
    event.text = fmt::format("meets {}", kind);
  } else if (current_shard() != ShardId::none()) {
    event.text = fmt::format("meets {}", kind);
    come_from_ambient(event);
  }
}

void Story::healed() {
  add(StoryKind::kState, "all faults are healed");
  if (world_ != nullptr) {
    healed_ = world_->now();
  }
}

void Story::finding(const Finding& finding) {
  StoryEvent& event = tell(StoryKind::kFinding, fmt::format("{}: {}", finding.checker,
                                                            finding.message.substr(0, finding.message.find('\n'))));
  event.detail = finding.message;
}

void Story::look_at_waits() {
  if (world_ == nullptr) {
    return;
  }
  waits_ = {.at = world_->now()};
  for (const std::unique_ptr<Machine>& machine : world_->machines()) {
    for (const std::unique_ptr<Shard>& shard : machine->shards()) {
      fiber::collect_waits(shard->scheduler(), shard->name(), shard->clock_now(), waits_.waits);
      if (fiber::Fiber::current_or_null() == nullptr) {
        inspect::collect_stacks(shard->scheduler(), shard->name(), waits_.stacks);
      }
    }
  }
  waits_.providers = fiber::find_providers(waits_.waits);
  waits_.deadlocked = fiber::find_deadlock(waits_.waits);
}

// ---- the whole ----

void Story::close() {
  ended_ = world_->now();
  for (const std::unique_ptr<Machine>& machine : world_->machines()) {
    machines_.push_back({.name = machine->name(), .node = machine->options().disk != nullptr});
  }
  world_ = nullptr;
}

std::vector<StoryEvent> Story::events() const {
  std::vector<StoryEvent> all;
  for (const Kept& kept : kept_) {
    all.insert(all.end(), kept.events.begin(), kept.events.end());
  }
  std::sort(all.begin(), all.end(), [](const StoryEvent& a, const StoryEvent& b) {
    return std::pair(a.at, a.order) < std::pair(b.at, b.order);
  });
  for (StoryEvent& event : all) {
    if (event.end == StoryEnd::kUnderWay) {
      event.until = ended_;
    }
    if (event.kind == StoryKind::kFault && healed_.has_value() && event.at <= *healed_) {
      event.until = std::min(event.until, *healed_);
    }
    event.until = std::min(event.until, ended_);
    describe_frame(event);
  }
  return all;
}

}  // namespace chronik::sim
