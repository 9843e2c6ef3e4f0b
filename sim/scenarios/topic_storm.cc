// Many topics at once on one to five nodes, some of them deleted again, and nodes that die or are stopped in the middle
// of it.
//
// Judged, besides what group.h says: a topic whose creation was acknowledged is there in the end, on every node, and
// one whose deletion was is not; each of its partitions is on the nodes that the image names, and on no other, and all
// replicas are in sync (META-DURABLE, REPLICA-LIVE); nothing is left on any disk of what was deleted (BOUNDED); every
// client gets all of its topics made (META-LIVE).
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/client/client.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "sim/disk_faults.h"
#include "sim/knobs.h"
#include "sim/scenarios/bounds_checker.h"
#include "sim/scenarios/group.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr std::int64_t kStormTopicsMost = 150;  // of a client
constexpr std::int64_t kLargeStorm = 3'000;     // topics of one client, in one seed of twenty-five
constexpr std::int64_t kLargeStormPartBytes = 16'384;
constexpr std::int16_t kStormVersion = 5;
constexpr std::int32_t kStormTimeoutMs = 10'000;

struct StormState final : GroupState {
  struct Client {
    std::int64_t topics = 0;
    std::int64_t at_once = 1;         // in one request
    std::int64_t partitions = 1;      // of a topic
    std::int64_t one_goes_in = 0;     // of so many topics, one is deleted again; 0: none
    std::set<std::string> there;      // whose creation was acknowledged
    std::set<std::string> not_there;  // whose deletion was
    bool done = false;
  };
  std::map<std::string, Client> clients;
  std::int16_t replicas = 1;
};

class StormClient {
 public:
  StormClient(ProcessContext& process, StormState& state)
      : process_(process), state_(state), mine_(state.clients.at(process.machine.name())) {}

  void run() {
    while (!mine_.done) {
      StatusOr<std::unique_ptr<client::Client>> client = connect_to_any(process_, state_);
      while (client.ok() && !(*client)->broken() && !mine_.done && turn(**client)) {
      }
      sleep_between(process_, 20, 300);
    }
  }

 private:
  std::string name_of(std::int64_t number) const { return fmt::format("{}.{}", process_.machine.name(), number); }
  bool goes(std::int64_t number) const { return mine_.one_goes_in != 0 && number % mine_.one_goes_in == 0; }

  // The next ones that are not known to be there, or those that shall go. False: this node is of no use now.
  bool turn(client::Client& client) {
    std::vector<std::string> wanted;
    for (std::int64_t i = 0; i < mine_.topics && wanted.size() < static_cast<std::size_t>(mine_.at_once); ++i) {
      if (!mine_.there.contains(name_of(i)) && !mine_.not_there.contains(name_of(i))) {
        wanted.push_back(name_of(i));
      }
    }
    if (!wanted.empty()) {
      return create(client, wanted);
    }
    for (std::int64_t i = 0; i < mine_.topics && wanted.size() < static_cast<std::size_t>(mine_.at_once); ++i) {
      if (goes(i) && mine_.there.contains(name_of(i))) {
        wanted.push_back(name_of(i));
      }
    }
    mine_.done = wanted.empty();
    return mine_.done || remove(client, wanted);
  }

  bool create(client::Client& client, const std::vector<std::string>& names) {
    protocol::CreateTopicsRequest request;
    request.timeout_ms = kStormTimeoutMs;
    for (const std::string& name : names) {
      request.topics.push_back({.name = name,
                                .num_partitions = static_cast<std::int32_t>(mine_.partitions),
                                .replication_factor = state_.replicas,
                                .assignments = {},
                                .configs = {}});
    }
    const auto got = client.call<protocol::CreateTopicsResponse>(request, kStormVersion, node_patience());
    bool all = got.ok() && got->topics.size() == names.size();
    for (std::size_t i = 0; all && i < names.size(); ++i) {
      const ErrorCode error = got->topics[i].error_code;
      // What an earlier attempt has made, of which nothing was heard, is there as well.
      if (error == ErrorCode::kNone || error == ErrorCode::kTopicAlreadyExists) {
        mine_.there.insert(got->topics[i].name);
      } else {
        all = false;
      }
    }
    return all;
  }

  bool remove(client::Client& client, const std::vector<std::string>& names) {
    protocol::DeleteTopicsRequest request;
    request.timeout_ms = kStormTimeoutMs;
    request.topic_names.assign(names.begin(), names.end());
    const auto got = client.call<protocol::DeleteTopicsResponse>(request, kStormVersion, node_patience());
    bool all = got.ok() && got->responses.size() == names.size();
    for (const std::string& name : names) {
      mine_.there.erase(name);  // perhaps; what is not acknowledged is asked for again
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      const ErrorCode error = all ? got->responses[i].error_code : ErrorCode::kRequestTimedOut;
      if (error == ErrorCode::kNone || error == ErrorCode::kUnknownTopicOrPartition) {
        mine_.not_there.insert(names[i]);
      } else {
        mine_.there.insert(names[i]);
        all = false;
      }
    }
    return all;
  }

  ProcessContext& process_;
  StormState& state_;
  StormState::Client& mine_;
};

// ---- the scenario ----

class TopicStorm final : public Scenario {
 public:
  const char* name() const override { return "topic-storm"; }
  const char* description() const override { return "many topics at once, and nodes that start anew in the middle"; }
  std::vector<std::string> announced_faults() const override {
    return {"process kill", "power loss", "orderly stop", "late start"};
  }
  std::vector<std::string> promises() const override {
    return with_group_promises({"META-DURABLE", "REPLICA-LIVE", "BOUNDED"});
  }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    const int nodes = draw_group_size(draws, 1, 5);
    Plan plan = draw_group_plan(*this, seed, nodes, draws);
    plan.lasts = Duration::seconds(15);
    plan.calm = Duration::seconds(80);
    plan.knobs["replicas"] = draws.between(1, std::min(nodes, 3));
    const std::int64_t clients = draws.between(1, 2);
    for (std::int64_t i = 1; i <= clients; ++i) {
      PlanMachine& client = plan.machines.emplace_back(draw_machine(fmt::format("client-{}", i), "client", draws));
      client.numbers["topics"] = draws.magnitude(10, kStormTopicsMost);
      client.numbers["at_once"] = draws.magnitude(1, 50);
      client.numbers["partitions"] = draws.between(1, 3);
      client.numbers["one_goes_in"] = draws.below(2) == 0 ? 0 : draws.between(1, 5);
    }
    for (std::int64_t i = draws.between(1, 4); i > 0; --i) {
      const std::string struck = group_node_name(static_cast<int>(draws.between(1, nodes)));
      const char* how = draws.below(3) == 0 ? "kill" : "power";
      PlanFault& death = add_fault(plan, draws, how, struck);
      // The storm is short: soon after its start.
      death.at = VirtualTime::zero() + Duration::nanoseconds(draws.magnitude(20'000'000, 14'000'000'000));
    }
    if (draws.below(2) == 0) {
      draw_slow_starts(plan, draws.child("starts", 0));
    }
    if (draws.below(2) == 0) {
      draw_stops(plan, draws.child("stops", 0));
    }
    if (draws.below(25) == 0) {
      for (PlanMachine& client : plan.machines) {
        if (client.name == "client-1") {
          client.numbers["topics"] = kLargeStorm;
          client.numbers["at_once"] = draws.between(20, 100);
          client.numbers["partitions"] = 1;
        }
      }
      // Each part of a snapshot waits for the one before: a thousand topics in parts of a hundred bytes take minutes.
      plan.knobs["raft.snapshot_part_bytes"] = std::max(plan.knobs["raft.snapshot_part_bytes"], kLargeStormPartBytes);
    }
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<StormState>();
    StormState* state = owned.get();
    begin_group(world, plan, nemesis, *state);
    state->replicas = static_cast<std::int16_t>(plan.knob("replicas", 1));
    for (const PlanMachine& planned : plan.machines) {
      if (planned.role == "node") {
        add_group_node(world, planned, plan, nemesis, *state);
        continue;
      }
      state->clients[planned.name] = {.topics = planned.numbers.at("topics"),
                                      .at_once = planned.numbers.at("at_once"),
                                      .partitions = planned.numbers.at("partitions"),
                                      .one_goes_in = planned.numbers.at("one_goes_in"),
                                      .there = {},
                                      .not_there = {}};
      add_planned_machine(world, planned).install([state](ProcessContext& process) {
        StormClient(process, *state).run();
      });
    }
    start_all_machines(world, plan);
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    const auto& state = static_cast<StormState&>(of);
    if (!judge_images(world, state)) {
      return;
    }
    for (const auto& [name, client] : state.clients) {
      if (!client.done) {
        return world.fail("META-LIVE",
                          fmt::format("{} got {} of its {} topics made, and {} deleted\n{}", name, client.there.size(),
                                      client.topics, client.not_there.size(), world.describe_waits()));
      }
    }
    for (const auto& [name, node] : state.serving) {
      judge_node(world, state, name, *node);
    }
  }

 private:
  static void judge_node(World& world, const StormState& state, const std::string& name, const node::Node& node) {
    const cluster::Image& image = *node.metadata().image();
    for (const auto& [client, made] : state.clients) {
      for (const std::string& topic : made.not_there) {
        if (image.find_topic(topic) != nullptr) {
          return world.fail("META-DURABLE", fmt::format("on {} there is topic {}, which was deleted", name, topic));
        }
      }
      for (const std::string& topic : made.there) {
        const cluster::Topic* found = image.find_topic(topic);
        if (found == nullptr) {
          return world.fail("META-DURABLE", fmt::format("on {} topic {} is not there, which was made", name, topic));
        }
        found->partitions.for_each(
            [&](const cluster::Partition& partition) { judge_partition(world, state, name, *found, partition); });
      }
    }
    if (const std::string left = directories_left(world.machine(name), node); !left.empty()) {
      world.fail("BOUNDED", left);
    }
  }

  static void judge_partition(World& world, const StormState& state, const std::string& name,
                              const cluster::Topic& topic, const cluster::Partition& partition) {
    const broker::HostedTopic* hosted = state.serving.at(name)->table().find(topic.id);
    const auto at = static_cast<std::size_t>(partition.index.value());
    const bool here = hosted != nullptr && at < hosted->partitions.size() && hosted->partitions[at];
    const bool named = cluster::contains(partition.replicas, state.configs.at(name).node);
    if (here != named) {
      world.fail("REPLICA-LIVE", fmt::format("{}-{} is {}on {}, and the image {}", topic.name, partition.index,
                                             here ? "" : "not ", name, named ? "names it" : "does not name it"));
    }
    if (partition.isr.size() != partition.replicas.size() || partition.leader == NodeId::none()) {
      world.fail("REPLICA-LIVE",
                 fmt::format("{}-{}: {} of {} replicas are in sync, node {} leads", topic.name, partition.index,
                             partition.isr.size(), partition.replicas.size(), partition.leader));
    }
  }
};

}  // namespace

const Scenario* topic_storm_scenario() {
  static const TopicStorm scenario;
  return &scenario;
}

}  // namespace chronik::sim
