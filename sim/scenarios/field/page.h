// A scenario as a page of a lab notebook: what stands on the bench, what it is given to do, what befalls it, and what
// must hold beyond what every scenario of its kind judges (replicated.h, one_node.h). Each page of this folder is about
// one way in which a broker of the same design once failed; docs/SCENARIOS.md lists them and shows how to write one.
//
// A page is plain data and two functions. `plan` draws, within what the page says, so that many seeds differ; `watch`
// sets up whatever judges or acts while the world runs. A file of this folder holds the pages on one idea and names
// them in pages.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/node/config.h"
#include "sim/nemesis.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"

namespace chronik::sim {

// ---- drawing ----

// The plan of a page, drawn but for what the page itself has to say.
class PagePlan {
 public:
  PagePlan(Plan& of, const Draws& with) : plan(of), draws(with) {}

  VirtualTime between(Duration low, Duration high) { return VirtualTime::zero() + draws.between(low, high); }
  std::string any_node() { return group_node_name(static_cast<int>(draws.between(1, plan.knob("nodes", 1)))); }
  // A fault, and for how long it lasts or its process is away.
  PlanFault& strike(const std::string& kind, const std::string& target, VirtualTime at, Duration lasts);
  // Strikes any node, at some time and for as long as lies in these ranges.
  using Range = std::pair<Duration, Duration>;
  PlanFault& strike_any(const std::string& kind, Range at, Range lasts);
  // All that this disk does takes longer, by up to `most`.
  void slow_disk(const std::string& target, VirtualTime at, Duration lasts, Duration most);
  // A client with a program of the page's own (PageBench::install).
  void add_client(const std::string& name);
  // Delays of at most a few milliseconds: a bound on the time means something.
  void quick_network();
  // What producers do is spread over [from, plan.lasts), in their order.
  void produce_from(Duration from);
  // No pauses: as fast as the answers come.
  void produce_at_once();

  Plan& plan;
  Draws draws;
};

// ---- watching ----

// What both kinds of pages have of a world that runs. Callbacks run outside every fiber, until the run ends.
class Bench : public ScenarioState {
 public:
  Bench(World& of, const Plan& by, VirtualTime when_healed)
      : world(of), plan(by), draws(of.draws("page", by.scenario)), healed(when_healed) {}

  void install(const std::string& client, Program program) { world.machine(client).install(std::move(program)); }
  void at(VirtualTime when, std::function<void()> what) { world.at(when, std::move(what)); }
  // Again and again, from now on.
  void every(Duration interval, std::function<void()> what);
  // Once, as soon as it is so: looked at every millisecond.
  void when(std::function<bool()> so, std::function<void()> what);
  // At the end, where nothing else was wrong.
  void in_the_end(std::function<void()> what) { at_end_.push_back(std::move(what)); }
  void end() const;
  // A cost, or another figure, that may not be above `most` (COST).
  void expect_at_most(std::uint64_t most, std::uint64_t figure, const std::string& what);

  World& world;
  const Plan& plan;
  Draws draws;
  const VirtualTime healed;

 private:
  std::vector<std::function<void()>> at_end_;
};

class GroupBench final : public Bench {
 public:
  GroupBench(World& of, const Plan& by, Nemesis& with, ReplicatedState& of_run)
      : Bench(of, by, of_run.healed), nemesis(with), state(of_run) {}

  bool all_serve() const { return state.serving.size() == state.nodes(); }
  // Who leads the metadata as far as itself knows, by the machine's name; empty: nobody.
  std::string controller() const;
  // Who leads that partition of the ledger's topic; empty: nobody, as far as those know that serve.
  std::string leader_of(std::size_t partition) const;
  // Unless it is down or all is healed: ends it now. It is started again after `away`.
  void kill(const std::string& node, Death how, Duration away);

  Nemesis& nemesis;
  ReplicatedState& state;
};

class NodeBench final : public Bench {
 public:
  NodeBench(World& of, const Plan& by, Nemesis& with, OneNodeState& of_run)
      : Bench(of, by, of_run.healed), nemesis(with), state(of_run) {}

  Nemesis& nemesis;
  OneNodeState& state;
};

// ---- pages ----

// One to five nodes that keep replicas of each partition.
struct GroupPage {
  const char* name;
  const char* story;  // one line
  std::vector<std::string> promises;
  std::vector<std::string> must_fire = {};

  // topology
  int nodes_least = 3;
  int nodes_most = 3;
  std::int64_t replicas = 0;    // 0: drawn, up to three
  std::int64_t in_sync = 2;     // min.insync.replicas; at most as many as there are replicas
  std::int64_t partitions = 0;  // of the ledger's topic; 0: drawn, up to three
  bool forwards = false;
  void (*configure)(const Plan& plan, node::NodeConfig& config) = nullptr;

  // workload: up to three producers, a reader, and
  Duration lasts = Duration::seconds(40);
  Duration calm = Duration::seconds(60);
  std::int64_t consumers = 0;                   // at the end of partitions, at least
  Duration answered_within = Duration::zero();  // every produce, whatever befalls it; zero: not judged

  void (*plan)(PagePlan& page) = nullptr;
  void (*watch)(GroupBench& bench) = nullptr;
};

class GroupScenario final : public Replicated {
 public:
  explicit GroupScenario(GroupPage page) : page_(std::move(page)) {}
  const char* name() const override { return page_.name; }
  const char* description() const override { return page_.story; }
  std::vector<std::string> announced_faults() const override { return page_.must_fire; }
  std::vector<std::string> promises() const override { return page_.promises; }

 private:
  Kind kind() const override;
  void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override;
  void configure(const Plan& plan, node::NodeConfig& config) const override;
  void prepare(World& world, const Plan& plan, Nemesis& nemesis, ReplicatedState& state) const override;
  void judge(World& world, const ReplicatedState& state) const override;

  GroupPage page_;
};

// One node.
struct NodePage {
  const char* name;
  const char* story;  // one line
  std::vector<std::string> promises;
  std::vector<std::string> must_fire = {};
  OneNodeRules rules = {};
  void (*configure)(const Plan& plan, node::NodeConfig& config) = nullptr;
  void (*plan)(PagePlan& page) = nullptr;
  void (*watch)(NodeBench& bench) = nullptr;
};

class NodeScenario final : public OneNode {
 public:
  explicit NodeScenario(NodePage page) : page_(std::move(page)) {}
  const char* name() const override { return page_.name; }
  const char* description() const override { return page_.story; }
  std::vector<std::string> announced_faults() const override { return page_.must_fire; }
  std::vector<std::string> promises() const override { return page_.promises; }
  void at_end(World& world, ScenarioState& state) const override;

 private:
  OneNodeRules rules() const override { return page_.rules; }
  void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const override;
  void configure(const Plan& plan, node::NodeConfig& config) const override;
  void prepare(World& world, const Plan& plan, Nemesis& nemesis, OneNodeState& state) const override;

  NodePage page_;
};

}  // namespace chronik::sim
