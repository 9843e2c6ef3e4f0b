// Consumer groups on one to five nodes: members join, own partitions, commit offsets that only rise, pause for longer
// than their sessions and go on as if nothing had happened, leave, come back as an instance or as somebody new, change
// what they say of themselves, and are killed; their coordinators are killed, cut off and restarted. Beside them
// observers read at any moment what is committed, and keepers of groups without members commit, forget, delete, and
// make their topics anew. In some seeds a node, perhaps a coordinator, is cut off from the others for long, and not
// from the clients.
//
// Judged, besides what group.h says: owners, generations and offsets (GEN-MONO, OFFSETS-COMMIT: sim/group_judge.h);
// once all is healed, each group has each of its partitions committed by an owner again, and each keeper keeps
// (GROUP-LIVE).
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/client/client.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/sync_group.h"
#include "sim/disk_faults.h"
#include "sim/group_judge.h"
#include "sim/knobs.h"
#include "sim/scenarios/group.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/group_visitors.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr const char* kConsumedTopic = "consumed";
constexpr std::int64_t kSessionMs = 2'000;
constexpr std::int64_t kLongSessionMs = 18'000;
constexpr std::int64_t kRebalanceMs = 4'000;

struct ConsumerGroupsState final : GroupState {
  explicit ConsumerGroupsState(World& of) : judge(of) { world = &of; }
  GroupJudge judge;
  int partitions = 1;
  std::int16_t replicas = 1;
  struct Consumer {
    std::string group;
    std::int64_t instance = 0;     // a name of its own: it comes back as the same
    std::int64_t pauses_ppm = 0;   // after a commit it says nothing for longer than its session
    std::int64_t leaves_ppm = 0;   // after a commit
    std::int64_t forges_ppm = 0;   // commits once more as of the generation before
    std::int64_t changes_ppm = 0;  // when it joins: says something else of itself than before
    std::int64_t rebalance_ms = kRebalanceMs;
    std::int16_t join_version = 9;  // before 4 a member gets its id and its place at once
  };
  std::map<std::string, Consumer> consumers;
  std::int64_t session_ms = kSessionMs;
  bool rests = false;  // once all is healed nobody leaves, pauses or changes: only that a member is gone is news
  VisitedGroups observed{.groups = {}, .topic = kConsumedTopic};
  std::map<std::string, VisitedGroups> kept;  // by the keeper's machine
};

std::set<int> parse_partitions(const Slice& assignment) {
  std::set<int> partitions;
  for (const std::uint8_t byte : assignment.bytes()) {
    partitions.insert(byte);
  }
  return partitions;
}

// One member, from one life of its process.
class GroupMemberRun {
 public:
  GroupMemberRun(ProcessContext& process, ConsumerGroupsState& state)
      : process_(process), state_(state), me_(state.consumers.at(process.machine.name())) {
    if (me_.instance != 0) {
      instance_ = process.machine.name();
    }
  }

  void run() {
    for (;;) {
      StatusOr<std::unique_ptr<client::Client>> coordinator = find();
      while (coordinator.ok() && !(*coordinator)->broken() && take_part(**coordinator)) {
      }
      sleep_between(process_, 20, 400);
    }
  }

 private:
  Deadline patience() const { return fiber::within(Duration::seconds(20), Expiry::kNormal); }
  VirtualTime now() const { return state_.world->now(); }
  bool chance(std::int64_t ppm) { return static_cast<std::int64_t>(process_.ports.random.next() % 1'000'000) < ppm; }

  StatusOr<std::unique_ptr<client::Client>> find() {
    ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> any, connect_to_any(process_, state_));
    RETURN_IF_ERROR(make_visited_topic(*any, state_.observed).status());
    return find_group_coordinator(process_, state_, me_.group);
  }

  bool restless() const { return !state_.rests || now() < state_.healed; }

  // One generation. False: another coordinator must be found.
  bool take_part(client::Client& client) {
    protocol::JoinGroupRequest request;
    request.group_id = me_.group;
    request.session_timeout_ms = static_cast<std::int32_t>(state_.session_ms);
    request.rebalance_timeout_ms = static_cast<std::int32_t>(me_.rebalance_ms);
    request.member_id = member_;
    request.group_instance_id = instance_;
    request.protocol_type = "consumer";
    said_ += restless() && chance(me_.changes_ppm) ? 1 : 0;
    request.protocols.push_back({.name = "bytes", .metadata = Slice::copy_of(fmt::format("{}", said_))});
    const auto joined = client.call<protocol::JoinGroupResponse>(request, me_.join_version, patience());
    if (!joined.ok()) {
      return false;
    }
    switch (joined->error_code) {
      case ErrorCode::kNone: break;
      case ErrorCode::kMemberIdRequired: member_ = joined->member_id; return true;
      case ErrorCode::kUnknownMemberId:
      case ErrorCode::kFencedInstanceId: member_.clear(); return true;
      case ErrorCode::kRebalanceInProgress: return true;
      default: return false;
    }
    member_ = joined->member_id;
    generation_ = joined->generation_id;
    return synchronise(client, *joined) && fetch(client) && serve(client);
  }

  bool synchronise(client::Client& client, const protocol::JoinGroupResponse& joined) {
    protocol::SyncGroupRequest request;
    request.group_id = me_.group;
    request.generation_id = generation_;
    request.member_id = member_;
    request.group_instance_id = instance_;
    request.protocol_type = "consumer";
    request.protocol_name = joined.protocol_name;
    if (joined.leader == member_ && !joined.skip_assignment) {
      std::vector<std::string> shares(joined.members.size());
      for (int partition = 0; partition < state_.partitions; ++partition) {
        shares[static_cast<std::size_t>(partition) % shares.size()].push_back(static_cast<char>(partition));
      }
      for (std::size_t i = 0; i < shares.size(); ++i) {
        request.assignments.push_back(
            {.member_id = joined.members[i].member_id, .assignment = Slice::copy_of(shares[i])});
      }
    }
    const VirtualTime asked = now();
    const auto synced = client.call<protocol::SyncGroupResponse>(request, 5, patience());
    if (!synced.ok() || synced->error_code != ErrorCode::kNone) {
      return settle(synced.ok() ? synced->error_code : ErrorCode::kUnknownServerError);
    }
    mine_ = parse_partitions(synced->assignment);
    state_.judge.assigned(me_.group, generation_.value(), instance_.value_or(member_), mine_, asked);
    return true;
  }

  // Whether to go on with this coordinator: always by joining anew.
  bool settle(ErrorCode error) {
    if (error == ErrorCode::kUnknownMemberId || error == ErrorCode::kFencedInstanceId) {
      member_.clear();
    }
    mine_.clear();
    rejoins_ = error == ErrorCode::kUnknownMemberId || error == ErrorCode::kFencedInstanceId ||
               error == ErrorCode::kRebalanceInProgress || error == ErrorCode::kIllegalGeneration;
    return false;
  }

  bool fetch(client::Client& client) {
    protocol::OffsetFetchRequest request;
    protocol::OffsetFetchGroup& group = request.groups.emplace_back();
    group.group_id = me_.group;
    group.topics.emplace();
    group.topics->push_back({.name = kConsumedTopic, .partition_indexes = {}});
    for (const int partition : mine_) {
      group.topics->back().partition_indexes.emplace_back(partition);
    }
    const VirtualTime asked = now();
    const auto got = client.call<protocol::OffsetFetchResponse>(request, 8, patience());
    if (!got.ok() || got->groups.at(0).error_code != ErrorCode::kNone) {
      return false;
    }
    for (const auto& one : got->groups[0].topics.at(0).partitions) {
      const std::int64_t offset = one.committed_offset == Offset::none() ? -1 : one.committed_offset.value();
      state_.judge.fetched(me_.group, one.partition_index.value(), offset, asked);
      at_[one.partition_index.value()] = offset;
    }
    return true;
  }

  // Commits and beats until the group wants otherwise.
  bool serve(client::Client& client) {
    rejoins_ = false;
    while (commit(client, generation_) && beat(client)) {
      if (chance(me_.forges_ppm) && generation_.value() > 1 && !commit(client, GenerationId(generation_.value() - 1))) {
        break;
      }
      if (restless() && chance(me_.leaves_ppm)) {
        return leave(client);
      }
      if (restless() && chance(me_.pauses_ppm)) {
        sleep_between(process_, kSessionMs, 4 * kSessionMs);
      } else {
        sleep_between(process_, 50, kSessionMs / 3);
      }
    }
    return rejoins_;
  }

  bool commit(client::Client& client, GenerationId generation) {
    if (mine_.empty()) {
      return true;
    }
    protocol::OffsetCommitRequest request;
    request.group_id = me_.group;
    request.generation_id_or_member_epoch = generation;
    request.member_id = member_;
    request.group_instance_id = instance_;
    protocol::OffsetCommitTopic& topic = request.topics.emplace_back();
    topic.name = kConsumedTopic;
    for (const int partition : mine_) {
      const std::int64_t next = ++at_[partition];
      state_.judge.commits(me_.group, partition, next);
      protocol::OffsetCommitPartition& one = topic.partitions.emplace_back();
      one.partition_index = PartitionId(partition);
      one.committed_offset = Offset(next);
    }
    const VirtualTime asked = now();
    const auto got = client.call<protocol::OffsetCommitResponse>(request, 8, patience());
    if (!got.ok()) {
      return false;
    }
    ErrorCode worst = ErrorCode::kNone;
    for (const auto& one : got->topics.at(0).partitions) {
      if (one.error_code == ErrorCode::kNone) {
        state_.judge.committed(me_.group, generation.value(), one.partition_index.value(),
                               at_[one.partition_index.value()], asked);
      } else {
        worst = one.error_code;
      }
    }
    const bool forged = generation != generation_ && worst == ErrorCode::kIllegalGeneration;
    return worst == ErrorCode::kNone || forged || settle(worst);
  }

  bool beat(client::Client& client) {
    protocol::HeartbeatRequest request;
    request.group_id = me_.group;
    request.generation_id = generation_;
    request.member_id = member_;
    request.group_instance_id = instance_;
    const auto got = client.call<protocol::HeartbeatResponse>(request, 4, patience());
    return got.ok() && (got->error_code == ErrorCode::kNone || settle(got->error_code));
  }

  bool leave(client::Client& client) {
    protocol::LeaveGroupRequest request;
    request.group_id = me_.group;
    request.members.push_back({.member_id = member_, .group_instance_id = instance_, .reason = std::nullopt});
    const auto got = client.call<protocol::LeaveGroupResponse>(request, 4, patience());
    member_.clear();
    mine_.clear();
    sleep_between(process_, 100, 2 * kSessionMs);
    return got.ok();
  }

  ProcessContext& process_;
  ConsumerGroupsState& state_;
  const ConsumerGroupsState::Consumer& me_;
  std::optional<std::string> instance_;
  std::string member_;
  GenerationId generation_;
  std::set<int> mine_;
  std::map<int, std::int64_t> at_;
  bool rejoins_ = false;
  int said_ = 0;
};

// ---- the scenario ----

void add_member(World& world, const PlanMachine& planned, ConsumerGroupsState& state) {
  const auto number = [&planned](const char* name, std::int64_t otherwise) {
    const auto found = planned.numbers.find(name);
    return found == planned.numbers.end() ? otherwise : found->second;
  };
  const std::string group = fmt::format("group-{}", number("group", 0));
  state.consumers[planned.name] = {.group = group,
                                   .instance = number("instance", 0),
                                   .pauses_ppm = number("pauses_ppm", 0),
                                   .leaves_ppm = number("leaves_ppm", 0),
                                   .forges_ppm = number("forges_ppm", 0),
                                   .changes_ppm = number("changes_ppm", 0),
                                   .rebalance_ms = number("rebalance_ms", kRebalanceMs),
                                   .join_version = static_cast<std::int16_t>(number("join_version", 9))};
  std::vector<std::string>& observed = state.observed.groups;
  if (std::find(observed.begin(), observed.end(), group) == observed.end()) {
    observed.push_back(group);
  }
  Machine& machine = add_planned_machine(world, planned);
  machine.install([&state](ProcessContext& process) { GroupMemberRun(process, state).run(); });
  if (const std::int64_t dies = number("dies_ns", 0); dies > 0) {
    world.at(VirtualTime::zero() + Duration::nanoseconds(dies), [&world, &machine] {
      world.fault_fired("a member is gone", mix_text(machine.name()));
      machine.kill(Death::kProcessKill);
    });
  }
}

void add_visitor(World& world, const PlanMachine& planned, ConsumerGroupsState& state) {
  if (planned.role == "observer") {
    add_planned_machine(world, planned).install([&state](ProcessContext& process) {
      observe_groups(process, state, state.judge, state.observed);
    });
  } else if (planned.role == "keeper") {
    const VisitedGroups& kept = state.kept[planned.name] = {.groups = {planned.name},
                                                            .topic = "of-" + planned.name,
                                                            .partitions = state.partitions,
                                                            .replicas = state.replicas};
    add_planned_machine(world, planned).install([&state, &kept](ProcessContext& process) {
      keep_offsets(process, state, state.judge, kept);
    });
  } else {
    add_member(world, planned, state);
  }
}

// Of a member that dies, half of the time: when its group is about to come to rest, or has. Then nobody else's coming
// or going brings on the rebalance that takes away what it owned.
void draw_late_death(PlanMachine& client, const Plan& plan, Draws draws) {
  if (client.numbers["dies_ns"] != 0 && draws.below(2) == 0) {
    const Duration at = draws.between(plan.lasts - Duration::seconds(2), plan.lasts + Duration::seconds(14));
    client.numbers["dies_ns"] = at.nanoseconds();
  }
}

// In some seeds one node, perhaps a coordinator, is cut off from all others, or not heard by them, for far longer than
// it takes to follow it; clients reach it as before. In some of these not the members, who find another coordinator at
// once, and sessions are long: then nothing that the old one has to record shows it that it is deposed, while observers
// go on asking it.
void draw_lonely_coordinator(Plan& plan, Draws draws) {
  constexpr Duration kMembersBefore = Duration::milliseconds(500);
  const std::int64_t nodes = plan.knob("nodes", 1);
  if (nodes < kGroupNodes || draws.below(3) != 0) {
    return;
  }
  const std::string alone = group_node_name(static_cast<int>(draws.between(1, nodes)));
  const std::int64_t one_way = draws.below(3) == 0 ? 1 : 0;
  const Duration lasts = draws.between(Duration::seconds(10), Duration::seconds(20));
  const VirtualTime at = VirtualTime::zero() + draws.between(Duration::seconds(6), plan.lasts - lasts);
  const VirtualTime before = at + Duration::milliseconds(-kMembersBefore.milliseconds());
  const bool without_members = draws.below(3) != 0;
  if (without_members) {
    plan.faults.clear();
    plan.knobs["members.session_ms"] = kLongSessionMs;
    plan.knobs["replicas"] = kGroupNodes;  // somebody can follow it
  }
  for (const PlanMachine& other : plan.machines) {
    if (other.role == "node" && other.name != alone) {
      PlanFault& cut = add_fault_at(plan, draws, "partition", alone, at, lasts);
      cut.other = other.name;
      cut.numbers["one_way"] = without_members ? 0 : one_way;  // it is not to hear that it is deposed
    } else if (other.role == "client" && without_members) {
      add_fault_at(plan, draws, "partition", alone, before, lasts + kMembersBefore).other = other.name;
      add_fault_at(plan, draws, "reset", other.name, before, Duration::milliseconds(1));
    }
  }
}

class ConsumerGroups final : public Scenario {
 public:
  const char* name() const override { return "consumer-groups"; }
  const char* description() const override { return "members of consumer groups, and coordinators that go"; }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = group_fault_names();
    names.emplace_back("a member is gone");
    return names;
  }
  std::vector<std::string> promises() const override {
    return with_group_promises({"GEN-MONO", "OFFSETS-COMMIT", "GROUP-LIVE"});
  }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    const int nodes = draw_group_size(draws, 1, 5);
    Plan plan = draw_group_plan(*this, seed, nodes, draws);
    plan.lasts = Duration::seconds(40);
    plan.calm = Duration::seconds(60);
    plan.knobs["replicas"] = draws.between(1, std::min(nodes, 3));
    plan.knobs["consumed.partitions"] = draws.between(1, 6);
    plan.knobs["groups.partitions"] = draws.between(1, 4);
    plan.knobs["groups.initial_delay_ms"] = draws.below(2) == 0 ? 0 : draws.magnitude(1, 2'000);
    const std::int64_t groups = draws.between(1, 2);
    const std::int64_t consumers = draws.between(groups, 6);
    for (std::int64_t i = 1; i <= consumers; ++i) {
      PlanMachine& client = plan.machines.emplace_back(draw_machine(fmt::format("client-{}", i), "client", draws));
      client.numbers["group"] = i % groups;
      client.numbers["instance"] = draws.below(4) == 0 ? 1 : 0;
      client.numbers["pauses_ppm"] = draws.below(2) == 0 ? 0 : draws.magnitude(1'000, 200'000);
      client.numbers["leaves_ppm"] = draws.below(2) == 0 ? 0 : draws.magnitude(1'000, 200'000);
      client.numbers["forges_ppm"] = draws.below(2) == 0 ? 0 : draws.magnitude(1'000, 300'000);
      // For good, where others of its group are left.
      const bool may_die = i > groups && draws.below(3) == 0;
      client.numbers["dies_ns"] = may_die ? draws.between(Duration::seconds(1), plan.lasts).nanoseconds() : 0;
      draw_late_death(client, plan, draws.child("late death", static_cast<std::uint64_t>(i)));
      client.numbers["changes_ppm"] = draws.below(2) == 0 ? 0 : draws.magnitude(1'000, 500'000);
      client.numbers["rebalance_ms"] = draws.below(3) == 0 ? draws.magnitude(200, kRebalanceMs) : kRebalanceMs;
      client.numbers["join_version"] = draws.below(4) == 0 && client.numbers["instance"] == 0 ? 3 : 9;
    }
    for (std::int64_t i = draws.between(0, 2); i > 0; --i) {
      plan.machines.push_back(draw_machine(fmt::format("observer-{}", i), "observer", draws));
    }
    for (std::int64_t i = draws.between(0, 2); i > 0; --i) {
      plan.machines.push_back(draw_machine(fmt::format("keeper-{}", i), "keeper", draws));
    }
    std::vector<std::string> names;
    for (const PlanMachine& machine : plan.machines) {
      names.push_back(machine.name);
    }
    draw_group_faults(plan, draws, names);
    if (draws.below(3) == 0) {
      draw_stops(plan, draws.child("stops", 0));
    }
    draw_lonely_coordinator(plan, draws.child("alone", 0));
    plan.knobs["members.rest"] = draws.child("rest", 0).below(4) == 0 ? 0 : 1;
    Draws compaction = draws.child("compaction", 0);
    plan.knobs["groups.segment_bytes"] = compaction.below(2) == 0 ? 104'857'600 : compaction.magnitude(200, 1 << 14);
    plan.knobs["log.tail_age_ms"] = compaction.magnitude(10, 10'000);
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<ConsumerGroupsState>(world);
    ConsumerGroupsState* state = owned.get();
    begin_group(world, plan, nemesis, *state);
    state->partitions = static_cast<int>(plan.knob("consumed.partitions", 1));
    state->replicas = static_cast<std::int16_t>(plan.knob("replicas", 1));
    state->session_ms = plan.knob("members.session_ms", kSessionMs);
    state->rests = plan.knob("members.rest", 0) != 0;
    state->observed.partitions = state->partitions;
    state->observed.replicas = state->replicas;
    for (const PlanMachine& planned : plan.machines) {
      if (planned.role == "node") {
        add_group_node(world, planned, plan, nemesis, *state);
        continue;
      }
      add_visitor(world, planned, *state);
    }
    for (auto& [name, config] : state->configs) {
      config.broker["group.min.session.timeout.ms"] = fmt::format("{}", kSessionMs / 2);
      config.broker["group.initial.rebalance.delay.ms"] = fmt::format("{}", plan.knob("groups.initial_delay_ms", 0));
      config.broker["offsets.topic.num.partitions"] = fmt::format("{}", plan.knob("groups.partitions", 1));
      config.broker["offsets.topic.replication.factor"] = fmt::format("{}", state->replicas);
      config.broker["offsets.topic.segment.bytes"] = fmt::format("{}", plan.knob("groups.segment_bytes", 104'857'600));
      config.broker["log.cleaner.backoff.ms"] = "500";
      config.logs.tail_age_max = Duration::milliseconds(plan.knob("log.tail_age_ms", 10'000));
    }
    start_all_machines(world, plan);
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    auto& state = static_cast<ConsumerGroupsState&>(of);
    if (!judge_images(world, state)) {
      return;
    }
    const VirtualTime since =
        VirtualTime::from_nanoseconds(world.now().nanoseconds() - Duration::seconds(25).nanoseconds());
    for (const auto& [name, kept] : state.kept) {
      if (state.judge.kept_at(name) < since) {
        return world.fail("GROUP-LIVE", fmt::format("nothing that {} asked for was done in the last 25 s\n{}", name,
                                                    world.describe_waits()));
      }
    }
    for (const std::string& group : state.observed.groups) {
      for (int partition = 0; partition < state.partitions; ++partition) {
        if (state.judge.commits_since(group, partition, since) == 0) {
          return world.fail(
              "GROUP-LIVE",
              fmt::format("partition {} of {} was not committed in the last 25 s; generation {}\n{}", partition, group,
                          state.judge.latest_generation(group), world.describe_waits()));
        }
      }
    }
  }
};

}  // namespace

const Scenario* consumer_groups_scenario() {
  static const ConsumerGroups scenario;
  return &scenario;
}

}  // namespace chronik::sim
