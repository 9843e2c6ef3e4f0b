#include "sim/run.h"

#include <fmt/core.h>

#include <memory>

#include "sim/checkers.h"
#include "sim/knobs.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/points.h"
#include "sim/shard.h"
#include "sim/story.h"
#include "sim/tripwire.h"

namespace chronik::sim {

namespace {

// Log lines of all programs, with the world's time and who wrote them; those that matter go into the story, too.
class PrintedLog final : public LogSink {
 public:
  explicit PrintedLog(const RunSettings& settings)
      : prints_(settings.show_log), prints_from_(settings.log_level), story_(settings.story) {
    set_level(story_ == nullptr ? prints_from_ : prints_ ? std::min(prints_from_, kToldFrom) : kToldFrom);
  }
  void show(World& world) { world_ = &world; }
  void write(LogLevel level, std::string_view line) override {
    static constexpr const char* kNames[] = {"trace", "debug", "info ", "warn ", "error"};
    if (story_ != nullptr && level >= kToldFrom) {
      story_->tell(StoryKind::kLog, std::string(line));
    }
    if (!prints_ || level < prints_from_) {
      return;
    }
    Shard* shard = world_->shard(current_shard());
    fmt::print("{} {} {} {}\n", world_->now().to_string(), kNames[static_cast<std::size_t>(level)],
               shard == nullptr ? "world" : shard->name(), line);
  }

 private:
  static constexpr LogLevel kToldFrom = LogLevel::kInfo;
  World* world_ = nullptr;
  bool prints_;
  LogLevel prints_from_;
  Story* story_;
};

void run_parts(World& world, const Scenario& scenario, const Plan& plan, Nemesis& nemesis, ScenarioState& state,
               VirtualTime until) {
  const VirtualTime healed = VirtualTime::zero() + plan.lasts;
  const VirtualTime end = healed + plan.calm;
  world.run_until(std::min(healed, until));
  if (world.stopped() || until <= healed) {
    return;
  }
  nemesis.heal();
  // Half of the quiet part is what coming right may take; in the other half nothing may go wrong any more.
  world.expect_calm_from(healed + plan.calm / 2);
  world.run_until(std::min(end, until));
  if (world.stopped() || until <= end) {
    return;
  }
  world.checkers().at_end();
  if (world.findings().empty()) {
    scenario.at_end(world, state);
  }
  if (world.findings().empty() && !world.turnstile_orders().circle().empty()) {
    world.fail("LOCK-ORDER", "turnstiles are taken in a circle, which deadlocks sooner or later: " +
                                 world.turnstile_orders().circle());
  }
}

}  // namespace

std::string replay_line(std::string_view scenario, std::uint64_t seed) {
  return fmt::format("chronik-sim replay --scenario {} --seed {}", scenario, seed);
}

RunResult run_plan(const Scenario& scenario, const Plan& plan, StackArena& stacks, const RunSettings& settings) {
  const Tripwire tripwire;
  PrintedLog log(settings);
  WorldOptions options;
  options.seed = plan.seed;
  options.schedule = plan.schedule;
  options.replay_line = replay_line(plan.scenario, plan.seed);
  options.log = settings.show_log || settings.story != nullptr ? &log : nullptr;
  options.replay = plan.replays ? &plan.choices : nullptr;
  options.record = settings.record;
  options.story = settings.story;
  options.last_events = settings.last_events;
  options.choices = settings.choices;
  options.stop = settings.stop;
  RunResult result;
  // The state outlives the world: programs refer to it until they are unwound.
  std::unique_ptr<ScenarioState> state;
  World world(options, stacks);
  log.show(world);
  if (settings.story != nullptr) {
    settings.story->open(world);
  }
  if (settings.trace != nullptr) {
    world.trace().write_text_to(settings.trace, settings.trace_from, settings.trace_to, world.clock_hand());
  }
  world.network().knobs() = network_knobs(plan.knobs);
  Nemesis nemesis(world);
  state = scenario.build(world, plan, nemesis);
  nemesis.arm(plan.faults);
  run_parts(world, scenario, plan, nemesis, *state, settings.until);
  tell_of_no_stop(world);
  if (settings.until != VirtualTime::never()) {
    result.waits = world.describe_waits();
  }
  if (settings.history) {
    result.history = state->history_text();
  }
  result.ended = world.now();
  if (settings.story != nullptr) {
    if (world.findings().empty()) {
      settings.story->look_at_waits();
    }
    settings.story->close();
  }
  world.end_all();  // also shows what lives longer than it should
  world.trace().record(Record::kDraws, world.decisions().drawn());
  result.findings = world.findings();
  result.events = world.events();
  result.faults = world.faults();
  result.coverage = world.points()->coverage();
  result.hash = world.trace().hash();
  result.records = world.trace().records();
  result.checkpoints = world.trace().checkpoints();
  return result;
}

// ---- twins ----

namespace {

// The text of records (from, to] of a run.
std::vector<std::string> record_lines(const Scenario& scenario, const Plan& plan, StackArena& stacks,
                                      std::uint64_t from) {
  std::vector<std::string> lines;
  std::FILE* file = std::tmpfile();
  if (file == nullptr) {
    return lines;
  }
  run_plan(scenario, plan, stacks, {.trace = file, .trace_from = from, .trace_to = from + Trace::kCheckpointEvery});
  std::rewind(file);
  char line[4096];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    lines.emplace_back(line);
  }
  std::fclose(file);
  return lines;
}

}  // namespace

std::string compare_twin(const Scenario& scenario, const Plan& plan, const RunResult& first, StackArena& stacks) {
  StackArena other_stacks;
  other_stacks.fill_with(0xa5);
  const RunResult second = run_plan(scenario, plan, other_stacks, {});
  if (first.hash == second.hash && first.records == second.records) {
    return {};
  }
  std::uint64_t from = 0;
  while (from < first.checkpoints.size() && from < second.checkpoints.size() &&
         first.checkpoints[from] == second.checkpoints[from]) {
    ++from;
  }
  from *= Trace::kCheckpointEvery;
  const std::vector<std::string> a = record_lines(scenario, plan, stacks, from);
  const std::vector<std::string> b = record_lines(scenario, plan, other_stacks, from);
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string one = i < a.size() ? a[i] : "(the end)\n";
    const std::string two = i < b.size() ? b[i] : "(the end)\n";
    if (one != two) {
      return fmt::format("two runs of one plan part after record {}:\n  {}  {}", from, one, two);
    }
  }
  return fmt::format("two runs of one plan part after record {}; run again, they agree there", from);
}

}  // namespace chronik::sim
