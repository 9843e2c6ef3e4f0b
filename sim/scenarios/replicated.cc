// Nodes that keep replicas of each partition, and clients that produce and read, under all that the network, deaths,
// suspensions, stalling disks and clocks can do: three nodes in most runs, else one to five, with up to three replicas,
// of which two must be in sync where there are as many.
//
// Judged, besides what group.h says: what was acknowledged with acks=all is there in the end, at that offset, with
// those bytes, and nothing that was read is ever other (ACK-DURABLE, OFFSET-UNIQUE: also across fail-overs, whoever
// leads); no client is told of a high watermark that goes back (HW-MONO: watermark_checker.h); what was refused for
// want of replicas is not there (REFUSED); who is in sync or eligible has what was committed, at every moment
// (IN-SYNC); a connection's values are in the order of sending (ORDER); in one epoch an offset has one content, on
// whichever node (REPLICA-MATCH); once all is healed every replica is in sync kWholeWithin later, however seldom its
// leader looks for those who lag, everything is produced and read, and all have the same end and high watermark
// (REPLICA-LIVE). In half of the runs somebody deletes records: what was deleted stays so, also across fail-overs
// (LOG-START).
//
// Nothing excuses a loss: whoever is in sync has what counts on its disk, all disks survive, and a loss of power on all
// nodes at once takes only what nobody was promised. What two out of three nodes that are down excuse is waiting.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/damage_checker.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/replica_checker.h"
#include "sim/scenarios/administrator.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/replicated.h"
#include "sim/scenarios/trouble.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kOperationsMost = 200;  // of a client
constexpr std::int64_t kBytesMost = 2000;
constexpr int kReplicasMost = 3;
// After everything was healed, all replicas are in sync again.
constexpr Duration kWholeWithin = Duration::seconds(40);

// What nodes have, and what leaders know of their followers.
std::string known_ends(const ReplicatedState& state) {
  std::string known;
  for (const auto& [name, node] : state.serving) {
    for (const Ref<replication::Partition>& partition : node->table().find(kLedgerTopic)->partitions) {
      if (!partition) {
        continue;
      }
      known += fmt::format("\n{} has {} from {} to {}, durable to {}, last epoch {} of {}, led by {}", name,
                           partition->log().key().to_string(), partition->log().log_start(), partition->log().log_end(),
                           partition->log().durable_end(), partition->log().last_epoch(), partition->epoch(),
                           partition->leader());
      for (const replication::Follower& follower : partition->followers().all()) {
        known += fmt::format("; knows node {} of broker epoch {} to be durable to {}", follower.node,
                             follower.broker_epoch, follower.durable_end);
      }
    }
  }
  return known;
}

// Behind what was acknowledged or read, some leader's log may lack it: then it is lost.
void judge_leaders(const ReplicatedState& state, Ledger& ledger) {
  for (const auto& [name, node] : state.serving) {
    const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
    for (std::size_t index = 0; topic != nullptr && index < topic->partitions.size(); ++index) {
      const Ref<replication::Partition>& partition = topic->partitions[index];
      if (partition && partition->leading()) {
        ledger.end_at(index, partition->log().log_end().value(), ledger.known_end(index));
      }
    }
  }
}

// Empty: every partition is there, as often as it should be, all of its replicas in sync, and (`alike`) all of them
// the same.
std::string not_whole(const ReplicatedState& state, std::size_t replicas, bool alike) {
  struct Seen {
    std::size_t replicas = 0;
    Offset end;
  };
  std::map<std::size_t, Seen> seen;
  for (const auto& [name, node] : state.serving) {
    const broker::HostedTopic* topic = node->table().find(kLedgerTopic);
    if (topic == nullptr || topic->partitions.size() != state.ledger.partitions()) {
      return fmt::format("{} does not know the topic", name);
    }
    for (std::size_t index = 0; index < topic->partitions.size(); ++index) {
      if (!topic->partitions[index]) {
        continue;
      }
      const replication::Partition& partition = *topic->partitions[index];
      const Offset end = partition.log().log_end();
      Seen& others = seen[index];
      others.end = others.replicas++ == 0 ? end : others.end;
      const std::size_t in_sync = partition.leadership().in_sync.size();
      if (in_sync != replicas || (alike && (end != others.end || partition.high_watermark() != others.end))) {
        return fmt::format("{}, partition {}: {} of {} in sync, log end {}, high watermark {}; another has log end {}",
                           name, index, in_sync, replicas, end, partition.high_watermark(), others.end);
      }
    }
  }
  for (const auto& [index, one] : seen) {
    if (one.replicas != replicas) {
      return fmt::format("partition {} is on {} nodes, and not on {}", index, one.replicas, replicas);
    }
  }
  return {};
}

}  // namespace

// ---- a plan ----

void configure_replicas(const Plan& plan, node::NodeConfig& config) {
  config.limits.request = Duration::seconds(20);
  const std::int64_t session_ms = plan.knob("broker.session_ms", 1'000);
  config.broker["broker.heartbeat.interval.ms"] = fmt::format("{}", std::min<std::int64_t>(session_ms / 2, 250));
  config.broker["broker.session.timeout.ms"] = fmt::format("{}", session_ms);
  config.broker["replica.lag.time.max.ms"] = fmt::format("{}", plan.knob("replica.lag_ms", 30'000));
  config.broker["replica.fetch.wait.max.ms"] = fmt::format("{}", plan.knob("replica.fetch_wait_ms", 5'000));
  config.broker["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
  config.broker["leader.imbalance.check.interval.seconds"] = "5";
  config.broker["default.replication.factor"] = fmt::format("{}", plan.knob("replicas", 1));
  config.broker["min.insync.replicas"] = fmt::format("{}", plan.knob("replicas.min", 1));
}

Plan Replicated::generate(std::uint64_t seed) const {
  const Kind with = kind();
  Draws draws(seed, "plan", mix_text(name()));
  const int nodes = draw_group_size(draws, with.nodes_least, with.nodes_most);
  Plan plan = draw_group_plan(*this, seed, nodes, draws);
  const int replicas = with.replicas != 0 ? static_cast<int>(with.replicas)
                       : with.unclean     ? 2
                       : with.reassigned  ? std::min(nodes, kReplicasMost)
                                          : static_cast<int>(draws.between(1, std::min(nodes, kReplicasMost)));
  plan.knobs["partitions"] = draws.between(1, 3);
  plan.knobs["replicas"] = replicas;
  plan.knobs["window"] = draws.magnitude(1, 6);
  plan.knobs["replicas.min"] = with.unclean ? 1 : std::min(replicas, 2);
  // With unclean elections a session is shorter than a death: who dies does not lead on.
  plan.knobs["broker.session_ms"] = with.unclean ? 400 : 1'000;
  // Where the leader hardly ever looks for who lags, only what it is told of makes a replica join.
  plan.knobs["replica.lag_ms"] = with.unclean          ? draws.magnitude(100, 1'000)
                                 : draws.below(4) == 0 ? 600'000
                                                       : draws.magnitude(500, 30'000);
  plan.knobs["consumer.sessions"] = draws.child("consumer", 0).below(2) == 0 ? 1 : 0;
  plan.knobs["replica.fetch_wait_ms"] = draws.below(2) == 0 ? 5'000 : draws.magnitude(500, 15'000);
  std::vector<std::string> names;
  for (const PlanMachine& machine : plan.machines) {
    names.push_back(machine.name);
  }
  const auto add = [&](std::string name, const char* role) -> PlanMachine& {
    names.push_back(name);
    return plan.machines.emplace_back(draw_machine(std::move(name), role, draws));
  };
  if (!with.unclean) {
    add("reader", "reader");
    for (std::int64_t i = std::max(draws.between(0, 2), with.consumers_least); i > 0; --i) {
      PlanMachine& consumer = add(fmt::format("consumer-{}", i), "consumer");
      consumer.numbers["partition"] = draws.between(0, plan.knobs["partitions"] - 1);
      consumer.numbers["wait_ms"] = draws.magnitude(100, 15'000);
    }
  }
  if (with.reassigned) {
    add("administrator", "administrator");
  }
  if (with.undisturbed) {
    add("maker", "maker");
  }
  const std::int64_t clients = draws.between(1, 3);
  for (std::int64_t i = 1; i <= clients; ++i) {
    add(fmt::format("client-{}", i), "producer");
    draw_produces(plan, names.back(),
                  {.operations_most = kOperationsMost,
                   .bytes_most = kBytesMost,
                   .acks_one_in = 4,
                   .unanswered_in = with.forwards ? 4U : 0U},
                  draws);
  }
  if (!with.unclean && !with.forwards && !with.nothing_deleted && draws.below(2) == 0) {
    add("trimmer", "trimmer");
  }
  draw_trouble(plan, draws, names);
  return plan;
}

void Replicated::draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const {
  draw_group_faults(plan, draws, names);
  draw_episodes(plan, draws.child("episodes", 0),
                {names.begin(), names.begin() + static_cast<std::ptrdiff_t>(plan.knob("nodes", 1))});
}

// ---- a world ----

std::unique_ptr<ScenarioState> Replicated::build(World& world, const Plan& plan, Nemesis& nemesis) const {
  const Kind with = kind();
  auto owned = std::make_unique<ReplicatedState>(world, static_cast<std::size_t>(plan.knob("partitions", 1)));
  ReplicatedState* state = owned.get();
  begin_group(world, plan, nemesis, *state);
  state->window = static_cast<std::size_t>(plan.knob("window", 1));
  state->sessions = plan.knob("consumer.sessions", 0) == 1;
  state->unclean = with.unclean;
  state->undisturbed = with.undisturbed;
  state->forwarded = with.forwards;
  state->space_may_lack = with.space_may_lack;
  state->replicas = static_cast<std::size_t>(with.reassigned ? plan.knob("nodes", 1) : plan.knob("replicas", 1));
  for (const PlanOperation& operation : plan.operations) {
    if (operation.verb == "produce") {
      state->producers[operation.machine].operations.push_back(operation);
    }
  }
  for (const PlanMachine& planned : plan.machines) {
    if (planned.role == "node") {
      add_group_node(world, planned, plan, nemesis, *state);
      node::NodeConfig& config = state->configs.at(planned.name);
      configure_replicas(plan, config);
      config.forward = with.forwards;
      config.broker["unclean.leader.election.enable"] = with.unclean ? "true" : "false";
      configure(plan, config);
      continue;
    }
    Machine& machine = add_planned_machine(world, planned);
    if (planned.role == "reader") {
      machine.install([state](ProcessContext& process) { run_replicated_reader(process, *state); });
    } else if (planned.role == "consumer") {
      state->consumers[planned.name] = {.partition = static_cast<std::size_t>(planned.numbers.at("partition")),
                                        .wait = Duration::milliseconds(planned.numbers.at("wait_ms"))};
      machine.install([state](ProcessContext& process) { run_replicated_consumer(process, *state); });
    } else if (planned.role == "trimmer") {
      machine.install([state](ProcessContext& process) { run_replicated_trimmer(process, *state); });
    } else if (planned.role == "maker") {
      machine.install([state](ProcessContext& process) { run_topic_maker(process, *state); });
    } else if (planned.role == "administrator") {
      state->administrator.partitions = state->ledger.partitions();
      machine.install([state](ProcessContext& process) { run_administrator(process, *state, state->administrator); });
    } else if (planned.role == "producer") {
      machine.install([state, run = with.pipelined ? run_pipelined_producer : run_replicated_producer](
                          ProcessContext& process) { run(process, *state); });
    }
  }
  world.checkers().add(std::make_unique<ReplicaChecker>(world));
  world.checkers().add(std::make_unique<DamageChecker>(world));
  watch_watermarks(world, *state);
  watch_in_sync(world, *state, static_cast<std::size_t>(plan.knob("replicas.min", 1)));
  prepare(world, plan, nemesis, *state);
  if (!with.reassigned) {
    world.at(state->healed + kWholeWithin, [&world, state] {
      judge_in_sync(world, *state, fmt::format("{} ms after all was healed", kWholeWithin.milliseconds()));
    });
  }
  start_all_machines(world, plan);
  return owned;
}

void Replicated::judge_in_sync(World& world, const ReplicatedState& state, const std::string& when) {
  const std::string lacks =
      state.serving.size() < state.nodes() ? "not every node serves" : not_whole(state, state.replicas, false);
  if (!lacks.empty()) {
    world.fail("REPLICA-LIVE", fmt::format("{}: {}{}\n{}", when, lacks, known_ends(state), world.describe_waits()));
  }
}

// ---- the end ----

void Replicated::at_end(World& world, ScenarioState& of) const {
  auto& state = static_cast<ReplicatedState&>(of);
  if (!judge_images(world, state)) {
    return;
  }
  if (kind().reassigned && !state.administrator.all_in_place) {
    return world.fail("REPLICA-LIVE",
                      fmt::format("not every partition is on all nodes after all was healed: {}{}\n{}",
                                  state.administrator.last_look, known_ends(state), world.describe_waits()));
  }
  if (!kind().unclean) {
    judge_leaders(state, state.ledger);
  }
  const std::string lacks = not_whole(state, state.replicas, true);
  if (world.findings().empty() && !lacks.empty()) {
    world.fail("REPLICA-LIVE", fmt::format("{}{}\n{}", lacks, known_ends(state), world.describe_waits()));
  }
  if (kind().unclean || !world.findings().empty()) {
    return;
  }
  if (!judge_all_read(world, state)) {
    return;
  }
  for (const auto& [name, consumer] : state.consumers) {
    if (consumer.at < state.ledger.known_end(consumer.partition)) {
      return world.fail(
          "REPLICA-LIVE",
          fmt::format("{} has come to offset {} of partition {}, and {} are there\n{}", name, consumer.at,
                      consumer.partition, state.ledger.known_end(consumer.partition), world.describe_waits()));
    }
  }
  state.ledger.judge();
  if (world.findings().empty()) {
    judge(world, state);
  }
}

std::vector<std::string> Replicated::promises() const {
  return with_group_promises({"ACK-DURABLE", "OFFSET-UNIQUE", "OFFSET-CONTIG", "ORDER", "REFUSED", "LOG-START",
                              "HW-MONO", "IN-SYNC", "REPLICA-MATCH", "REPLICA-LIVE", "FETCH-SESSION"});
}

}  // namespace chronik::sim
