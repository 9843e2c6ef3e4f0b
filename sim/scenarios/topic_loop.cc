// Topics that are created and deleted in a loop, under names that come again, on a node that dies; beside them the
// ledger's topic, which must not notice.
//
// Judged besides: an answer agrees with what this client alone did to the name before (META-LIN); a topic that was made
// anew holds nothing of its former life (OFFSET-UNIQUE); in the end no directory of a deleted topic is left (BOUNDED).
#include <fmt/core.h>

#include "core/fiber/wait.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_walk.h"
#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/scenarios/bounds_checker.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int16_t kCreateVersion = 5;
constexpr std::int16_t kDeleteVersion = 5;
constexpr std::int32_t kTimeoutMs = 10'000;
constexpr std::size_t kNames = 3;

// One client's names; it alone touches them.
class Looper {
 public:
  Looper(ProcessContext& process, OneNodeState& state) : process_(process), state_(state) {}

  void run() {
    while (state_.world.now() < state_.healed) {
      StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process_);
      while (client.ok() && !(*client)->broken() && state_.world.now() < state_.healed) {
        turn(**client);
        sleep_between(process_, 1, 300);
      }
      if (client.ok()) {
        state_.judge_answer((*client)->violation(), "an answer to a looper");
      }
      sleep_between(process_, 20, 300);
    }
  }

 private:
  enum class Is : std::uint8_t { kAbsent, kThere, kUnknown };
  struct Name {
    Is is = Is::kAbsent;
    std::uint64_t life = 0;
    std::int64_t end = -1;  // behind what was acknowledged in this life; -1: not known
  };

  std::string topic_of(std::size_t name) const { return fmt::format("{}-{}", process_.machine.name(), name); }

  void turn(client::Client& client) {
    const std::size_t name = process_.ports.random.next() % kNames;
    switch (process_.ports.random.next() % 3) {
      case 0: create(client, name); break;
      case 1: remove(client, name); break;
      default: write_and_read(client, name);
    }
  }

  // What an answer says of the name, against what is known of it.
  void judge(std::size_t name, ErrorCode error, ErrorCode refusal, Is refused_where, Is afterwards, const char* what) {
    Name& known = names_[name];
    const bool done = error == ErrorCode::kNone;
    if (!done && error != refusal) {
      known.is = Is::kUnknown;  // refused for want of something else; perhaps carried out
      state_.judge_error(error, what);
      return;
    }
    if ((done && known.is == refused_where) || (!done && known.is == afterwards_other(refused_where))) {
      state_.world.fail("META-LIN",
                        fmt::format("{} of {} is answered {}, and the topic was {} before", what, topic_of(name),
                                    protocol::error_name(error), known.is == Is::kThere ? "there" : "not there"));
    }
    known.is = done ? afterwards : refused_where;
    if (done) {
      ++known.life;
      known.end = 0;
    }
  }
  static Is afterwards_other(Is is) { return is == Is::kThere ? Is::kAbsent : Is::kThere; }

  void create(client::Client& client, std::size_t name) {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = kTimeoutMs;
    request.topics.push_back(
        {.name = topic_of(name), .num_partitions = 1, .replication_factor = 1, .assignments = {}, .configs = {}});
    const auto got = client.call<protocol::CreateTopicsResponse>(request, kCreateVersion, node_patience());
    state_.judge_answer(got.status(), "create topics");
    if (!got.ok() || got->topics.size() != 1) {
      names_[name] = {.is = Is::kUnknown, .life = names_[name].life + 1, .end = -1};
      return;
    }
    judge(name, got->topics[0].error_code, ErrorCode::kTopicAlreadyExists, Is::kThere, Is::kThere, "creation");
  }

  void remove(client::Client& client, std::size_t name) {
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = kTimeoutMs;
    request.topic_names.push_back(topic_of(name));
    const auto got = client.call<protocol::DeleteTopicsResponse>(request, kDeleteVersion, node_patience());
    state_.judge_answer(got.status(), "delete topics");
    if (!got.ok() || got->responses.size() != 1) {
      names_[name] = {.is = Is::kUnknown, .life = names_[name].life + 1, .end = -1};
      return;
    }
    judge(name, got->responses[0].error_code, ErrorCode::kUnknownTopicOrPartition, Is::kAbsent, Is::kAbsent,
          "deletion");
  }

  // One record of this life at the end, which is where it must land.
  void write_and_read(client::Client& client, std::size_t name) {
    Name& known = names_[name];
    if (known.is != Is::kThere || known.end < 0) {
      return;
    }
    const std::string value = fmt::format("{} life {} record {}", topic_of(name), known.life, known.end);
    protocol::RecordBatchBuilder builder;
    builder.append({.timestamp = process_.ports.clock.wall(), .key = {}, .value = as_bytes(value), .headers = {}});
    const auto wrote = client.produce(topic_of(name), PartitionId(0), builder.build({}), -1, node_patience());
    state_.judge_answer(wrote.status(), "produce");
    if (!wrote.ok() || wrote->error_code != ErrorCode::kNone) {
      if (wrote.ok()) {
        state_.judge_error(wrote->error_code, "produce");
      }
      known.end = -1;
      return;
    }
    if (wrote->base_offset.value() != known.end) {
      state_.world.fail("OFFSET-UNIQUE",
                        fmt::format("{} in its life {}: a record is at {} where {} comes next", topic_of(name),
                                    known.life, wrote->base_offset.value(), known.end));
    }
    ++known.end;
  }

  ProcessContext& process_;
  OneNodeState& state_;
  Name names_[kNames];
};

class TopicLoop final : public OneNode {
 public:
  const char* name() const override { return "topic-loop"; }
  const char* description() const override { return "one node, topics that come and go, and deaths"; }
  std::vector<std::string> announced_faults() const override { return death_fault_names(); }
  std::vector<std::string> promises() const override {
    std::vector<std::string> names = OneNode::promises();
    names.insert(names.begin(), {"META-LIN"});
    return names;
  }

 protected:
  OneNodeRules rules() const override { return {.logs_may_be_refused = true}; }

  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override {
    const std::int64_t loopers = draws.between(1, 3);
    for (std::int64_t i = 1; i <= loopers; ++i) {
      plan.machines.push_back(draw_machine(fmt::format("looper-{}", i), "looper", draws));
    }
    Draws deaths = draws.child("deaths", 0);
    const std::int64_t at_any_time = deaths.below(3) == 0 ? 0 : deaths.between(1, 8);
    for (std::int64_t i = 0; i < at_any_time; ++i) {
      add_fault(plan, deaths, deaths.below(3) == 0 ? "kill" : "power", names.front());
    }
    draw_strikes(plan, deaths, names.front(), deaths.between(0, 6), all_disk_steps(), deadly_effects());
  }

  void prepare(World& world, const Plan& /*plan*/, Nemesis& /*nemesis*/, OneNodeState& state) const override {
    for (const std::unique_ptr<Machine>& machine : world.machines()) {
      if (machine->name().starts_with("looper-")) {
        machine->install([&state](ProcessContext& process) { Looper(process, state).run(); });
      }
    }
  }

  void at_end(World& world, ScenarioState& of) const override {
    OneNode::at_end(world, of);
    const auto& state = static_cast<OneNodeState&>(of);
    if (state.node == nullptr || !world.findings().empty()) {
      return;
    }
    if (const std::string left = directories_left(*state.machine, *state.node); !left.empty()) {
      world.fail("BOUNDED", left);
    }
  }
};

}  // namespace

const Scenario* topic_loop_scenario() {
  static const TopicLoop scenario;
  return &scenario;
}

}  // namespace chronik::sim
