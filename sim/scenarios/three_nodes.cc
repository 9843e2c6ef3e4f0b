// Three nodes that agree on their metadata, and clients that make and delete topics through any of them, under all that
// the network, deaths, suspensions and clocks can do. Partitions live on one node each.
//
// Judged: nodes whose images are of the same index have the same image (META-AGREE); a topic whose creation was
// acknowledged is there in the end, one whose deletion was acknowledged is not (META-DURABLE); a node starts from
// whatever a death left (NODE-START) and does not end by itself (NODE-FATAL); once all is healed, every node serves,
// all have the same image, and every client gets something done (META-LIVE). Makers have topics of their own; up to
// three contenders make and delete the same ones, and what they are told can have been (META-LIN).
#include <fmt/core.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/client/client.h"
#include "core/fiber/wait.h"
#include "sim/knobs.h"
#include "sim/scenarios/contenders.h"
#include "sim/scenarios/group.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::size_t kDoneHealed = 10;
constexpr std::size_t kNamesInUse = 4;  // of one maker, in use at a time

struct MakersState final : GroupState {
  struct Topic {
    std::optional<bool> there;  // null: not known
  };
  struct Maker {
    std::size_t done_healed = 0;  // since all was healed
    std::int64_t pause_ms = 500;
    std::map<std::string, Topic> topics;
    std::array<std::size_t, kNamesInUse> lives{};
  };
  std::map<std::string, Maker> makers;
  Contention contention;
};

// ---- the clients ----

class MakerRun {
 public:
  MakerRun(ProcessContext& process, MakersState& state)
      : process_(process), state_(state), maker_(state.makers[process.machine.name()]) {}

  void run() {
    while (has_work()) {
      StatusOr<std::unique_ptr<client::Client>> client = connect_to_any(process_, state_);
      while (client.ok() && !(*client)->broken() && has_work() && turn(**client)) {
        sleep_between(process_, 1, maker_.pause_ms);
      }
      sleep_between(process_, 20, 300);
    }
  }

 private:
  bool healed() const { return state_.world->now() >= state_.healed; }
  bool has_work() const { return !healed() || maker_.done_healed < kDoneHealed; }

  // False: this node is of no use now; another may be.
  bool turn(client::Client& client) {
    // What was asked for and not answered may still be done, at any time: that name is not used again.
    const std::size_t number = process_.ports.random.next() % kNamesInUse;
    const std::string name = fmt::format("{}-{}.{}", process_.machine.name(), number, maker_.lives[number]);
    const bool creates = process_.ports.random.next() % 3 != 0;
    MakersState::Topic& topic = maker_.topics[name];
    const std::optional<bool> before = std::exchange(topic.there, std::nullopt);
    const std::optional<ErrorCode> error = creates ? create_topic(client, name) : delete_topic(client, name);
    const ErrorCode refusal = creates ? ErrorCode::kTopicAlreadyExists : ErrorCode::kUnknownTopicOrPartition;
    if (error != ErrorCode::kNone && error != refusal) {
      ++maker_.lives[number];
      return false;
    }
    // A creation that was done, or refused because it is there, leaves it there; and so the other way round.
    if (before.has_value() && *before == (*error == ErrorCode::kNone ? creates : !creates)) {
      state_.world->fail("META-DURABLE", fmt::format("{} of {} is answered {}, and the topic was {} before",
                                                     creates ? "creation" : "deletion", name,
                                                     protocol::error_name(*error), *before ? "there" : "not there"));
    }
    topic.there = creates;
    if (healed()) {
      ++maker_.done_healed;
    }
    return true;
  }

  ProcessContext& process_;
  MakersState& state_;
  MakersState::Maker& maker_;
};

// ---- the scenario ----

class ThreeNodes final : public Scenario {
 public:
  const char* name() const override { return "three-nodes"; }
  const char* description() const override {
    return "three nodes that agree on topics, under network faults, deaths, suspensions and clocks";
  }
  std::vector<std::string> announced_faults() const override { return group_fault_names(); }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    Plan plan = draw_group_plan(*this, seed, kGroupNodes, draws);
    std::vector<std::string> names;
    for (const PlanMachine& machine : plan.machines) {
      names.push_back(machine.name);
    }
    const std::int64_t makers = draws.between(1, 3);
    for (std::int64_t i = 1; i <= makers; ++i) {
      names.push_back(fmt::format("maker-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "maker", draws));
      PlanOperation& operation = plan.operations.emplace_back();
      operation.id = plan.operations.size();
      operation.machine = names.back();
      operation.verb = "make";
      operation.numbers["pause_ms"] = draws.magnitude(10, 500);
    }
    Draws of_contenders = draws.child("contenders", 0);
    const std::int64_t pause_ms = of_contenders.magnitude(10, 500);
    for (std::int64_t i = of_contenders.between(0, 3); i > 0; --i) {
      names.push_back(fmt::format("contender-{}", i));
      plan.machines.push_back(draw_machine(names.back(), "contender", of_contenders));
      plan.machines.back().numbers["pause_ms"] = pause_ms;
    }
    draw_group_faults(plan, draws, names);
    return plan;
  }
  std::vector<std::string> promises() const override { return with_group_promises({"META-DURABLE", "META-LIN"}); }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<MakersState>();
    MakersState* state = owned.get();
    begin_group(world, plan, nemesis, *state);
    for (const PlanOperation& operation : plan.operations) {
      state->makers[operation.machine].pause_ms = operation.number("pause_ms");
    }
    for (const PlanMachine& planned : plan.machines) {
      if (planned.role == "node") {
        add_group_node(world, planned, plan, nemesis, *state);
      } else if (planned.role == "contender") {
        state->contention.pause_ms = planned.numbers.at("pause_ms");
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          run_contender(process, *state, state->contention);
        });
      } else {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          MakerRun(process, *state).run();
        });
      }
    }
    start_all_machines(world, plan);
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    const auto& state = static_cast<MakersState&>(of);
    if (!judge_images(world, state)) {
      return;
    }
    for (const auto& [name, maker] : state.makers) {
      if (maker.done_healed < kDoneHealed) {
        return world.fail("META-LIVE", fmt::format("{} got {} of {} done after all was healed\n{}", name,
                                                   maker.done_healed, kDoneHealed, world.describe_waits()));
      }
    }
    judge_contention(world, state.contention, *state.serving.begin()->second->metadata().image());
    for (const auto& [name, node] : state.serving) {
      judge_topics(world, state, name, *node->metadata().image());
    }
  }

 private:
  static void judge_topics(World& world, const MakersState& state, const std::string& node,
                           const cluster::Image& image) {
    for (const auto& [maker, made] : state.makers) {
      for (const auto& [topic, known] : made.topics) {
        const bool there = image.find_topic(topic) != nullptr;
        if (known.there.has_value() && *known.there != there) {
          world.fail("META-DURABLE", fmt::format("on {} topic {} is {}there, and the last answer said otherwise", node,
                                                 topic, there ? "" : "not "));
        }
      }
    }
  }
};

}  // namespace

const Scenario* three_nodes_scenario() {
  static const ThreeNodes scenario;
  return &scenario;
}

}  // namespace chronik::sim
