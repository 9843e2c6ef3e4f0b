#include "sim/scenarios/one_node.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/fiber/scope.h"
#include "core/fiber/wait.h"

#include "sim/disk_faults.h"
#include "sim/fault_draws.h"
#include "sim/knobs.h"
#include "sim/obligations.h"
#include "sim/scenarios/bounds_checker.h"
#include "sim/segment_checker.h"
#include "sim/wal_checker.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kValueBytesMost = 3000;
// What a connection carries at least: as much as the thinnest network. The node gives its client 10 s for an answer,
// and the consumer asks for up to 1 MiB at once.
constexpr std::int64_t kConnectionBytesPerSecond = 1'000'000;

node::NodeConfig config_of(const Plan& plan) {
  node::NodeConfig config;
  config.bind = Address::ipv4(0, 0, 0, 0, kNodePort);
  config.advertised_host = "node";
  config.limits.request = Duration::seconds(20);
  config.limits.frame = Duration::seconds(10);
  config.limits.write = Duration::seconds(10);
  wal::WalOptions& wal = config.logs.wal;
  wal.rotation_bytes = static_cast<std::uint64_t>(plan.knob("wal.rotation_bytes", 65'536));
  wal.files_max = static_cast<std::size_t>(plan.knob("wal.files_max", 3));
  wal.record_bytes_max = wal.rotation_bytes / 4;
  wal.batch_bytes_max = wal.rotation_bytes / 4;
  wal.queue_bytes_max = wal.rotation_bytes;
  wal.control_reserve_bytes = wal.rotation_bytes / 8;
  wal.free_disk_reserve_bytes = 0;
  wal.fill_step_bytes = 32'768;
  wal.fill_after_bytes = 4'096;
  wal.read_chunk_bytes = 16'384;
  config.logs.stray_delay = Duration::seconds(2);
  config.logs.tail_bytes_max = static_cast<std::uint64_t>(plan.knob("log.tail_bytes_max", 65'536));
  config.logs.undrained_bytes_max = 2 * config.logs.tail_bytes_max;
  config.logs.tail_age_max = Duration::seconds(plan.knob("log.tail_age_s", 10));
  config.logs.drain_bytes = static_cast<std::uint64_t>(plan.knob("log.drain_bytes", 65'536));
  config.logs.sync_each_max = static_cast<std::size_t>(plan.knob("log.sync_each_max", 16));
  config.raft.entries_per_snapshot = static_cast<std::uint64_t>(plan.knob("raft.entries_per_snapshot", 1000));
  config.raft.steps_per_check = 1;
  config.broker["connections.max.idle.ms"] = "60000";
  config.broker["num.partitions"] = fmt::format("{}", plan.knob("partitions", 1));
  config.broker["log.segment.bytes"] = fmt::format("{}", plan.knob("log.segment_bytes", 1 << 20));
  return config;
}

void draw_node_knobs(Plan& plan, Draws& draws) {
  for (const char* knob : {"network.segment_most", "network.transfer_most"}) {
    if (plan.knobs[knob] != 0) {
      plan.knobs[knob] = std::max<std::int64_t>(plan.knobs[knob], 64);  // byte by byte is for the echo scenario
    }
  }
  // A window's bytes travel, and only then does the word that there is room for more: two delays. Where the window is
  // narrow for that, a consumer that has fallen behind by more than its connection carries in the time for an answer
  // gets the same answer begun for ever, and nothing is wrong with the node.
  const Duration round_trip = Duration::nanoseconds(plan.knobs["network.delay_ns"]) * 2;
  std::int64_t& window = plan.knobs["network.receive_buffer"];
  window = std::max(window, kConnectionBytesPerSecond * round_trip.microseconds() / 1'000'000);
  plan.knobs["window"] = draws.magnitude(1, 8);
  plan.knobs["partitions"] = draws.between(1, 3);
  plan.knobs["wal.rotation_bytes"] = draws.magnitude(65'536, 1 << 20);
  plan.knobs["wal.files_max"] = draws.between(3, kNodeFilesMax);
  plan.knobs["log.tail_bytes_max"] = draws.magnitude(4'096, 1 << 20);
  plan.knobs["log.drain_bytes"] = draws.magnitude(2'048, 1 << 20);
  plan.knobs["log.sync_each_max"] = draws.below(2) == 0 ? 0 : 16;
  plan.knobs["log.segment_bytes"] = draws.magnitude(16'384, 1 << 20);
  plan.knobs["raft.entries_per_snapshot"] = draws.magnitude(2, 100);
  plan.knobs["log.tail_age_s"] = draws.magnitude(2, 3'600);
}

// ---- the node ----

void run_node(ProcessContext& process, OneNodeState& state) {
  if (state.on_start) {
    state.on_start();
  }
  node::Node node(process.ports, state.config);
  const Status started = node.start();
  if (!started.ok()) {
    if (absl::IsAborted(started) || absl::IsCancelled(started)) {
      return;
    }
    const bool damaged = state.rules.disk_rots && !disk_of(process.machine).model().damage().empty();
    if (!damaged && !(state.rules.space_may_lack && absl::IsResourceExhausted(started))) {
      process.machine.world().fail("NODE-START", started.ToString());
    }
    state.node_given_up |= damaged;
    return;
  }
  ++state.node_starts;
  state.served = process.incarnation;
  struct Serving {
    OneNodeState& state;
    ~Serving() { state.node = nullptr; }
  } const serving{state};
  state.node = &node;
  fiber::Event killed;
  static_cast<void>(killed.wait({WaitKind::kEvent, 4, 0, 0}, fiber::for_ever()));
}

// A write into a part of a block that cannot be read fails, and ends the node (rule R2). A segment's only once: the log
// then leaves that block alone. The write-ahead log may use a slot with such a block again and again.
bool rot_explains(OneNodeState& state, const Exit& exit) {
  if (exit.status != ExitStatus::kDiskFailed || exit.reason.find("segment") == std::string::npos) {
    return true;
  }
  const std::vector<Damage>& damage = disk_of(*state.machine).model().damage();
  const auto unreadable = std::count_if(damage.begin(), damage.end(),
                                        [](const Damage& done) { return done.kind == DamageKind::kUnreadable; });
  return ++state.failed_writes <= static_cast<std::uint64_t>(unreadable);
}

// Starts the node again, whoever or whatever ended it, unless it may not end so.
void on_node_exit(World& world, OneNodeState& state, Nemesis& nemesis, const Exit& exit) {
  if (exit.how == Death::kFatal) {
    const bool excused = (state.rules.disk_may_fail && state.disk_faults() > 0 &&
                          (exit.status == ExitStatus::kDiskFailed || exit.status == ExitStatus::kStoreFailed)) ||
                         (state.rules.disk_rots && rot_explains(state, exit));
    if (!excused) {
      world.fail("NODE-FATAL", exit.reason);
      return;
    }
    world.fault_fired("the node gave up");
    state.node_given_up |= state.rules.disk_rots && world.now() >= state.healed;
  }
  if (exit.how != Death::kExit || state.rules.space_may_lack) {
    nemesis.restart(*state.machine, Duration::milliseconds(500));
  }
}

}  // namespace

// ---- the state ----

OneNodeState::OneNodeState(World& of, const Plan& plan, OneNodeRules with)
    : world(of),
      rules(with),
      config(config_of(plan)),
      ledger(of, static_cast<std::size_t>(plan.knob("partitions", 1))),
      window(static_cast<std::size_t>(plan.knob("window", 1))),
      consumer_sessions(plan.knob("consumer.sessions", 0) == 1),
      consumer_bytes_max(static_cast<std::int32_t>(plan.knob("consumer.bytes", 1 << 20))),
      deletes_everything(plan.knob("trimmer.everything", 0) == 1),
      healed(VirtualTime::zero() + plan.lasts),
      consumer_at(ledger.partitions()) {}

WallTime OneNodeState::stamp(Clock& clock) const {
  constexpr std::int64_t kNanosecondsPerMillisecond = 1'000'000;
  return rules.stamps_nanoseconds
             ? WallTime::from_milliseconds(clock.wall().milliseconds() * kNanosecondsPerMillisecond)
             : clock.wall();
}

bool OneNodeState::all_done() const {
  return std::all_of(producers.begin(), producers.end(), [](const auto& entry) { return entry.second.done; });
}

std::uint64_t OneNodeState::disk_faults() const {
  std::uint64_t count = 0;
  for (const char* kind : {"sync-failed", "write-failed", "read-failed", "disk-hang", "store-failed"}) {
    const auto found = world.faults().find(kind);
    count += found == world.faults().end() ? 0 : found->second;
  }
  return count;
}

void OneNodeState::judge_answer(const Status& status, const char* what) {
  // What a connection's end and a deadline look like; anything else is about bytes that the broker sent.
  static constexpr absl::StatusCode kAllowed[] = {
      absl::StatusCode::kOk,        absl::StatusCode::kUnavailable,       absl::StatusCode::kUnknown,
      absl::StatusCode::kCancelled, absl::StatusCode::kAborted,           absl::StatusCode::kDeadlineExceeded,
      absl::StatusCode::kNotFound,  absl::StatusCode::kResourceExhausted, absl::StatusCode::kFailedPrecondition};
  if (std::find(std::begin(kAllowed), std::end(kAllowed), status.code()) == std::end(kAllowed)) {
    world.fail("CONFORM", fmt::format("{}: {}", what, status.ToString()));
  }
}

void OneNodeState::judge_error(protocol::ErrorCode error, const char* what) {
  using protocol::ErrorCode;
  switch (error) {
    case ErrorCode::kNone:
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kLeaderNotAvailable:
    case ErrorCode::kUnknownTopicOrPartition: return;
    case ErrorCode::kKafkaStorageError:
      if (!rules.space_may_lack && !rules.disk_rots && !rules.disk_may_fail && !rules.logs_may_be_refused) {
        break;  // a node that is merely busy lets its producers wait
      }
      [[fallthrough]];
    case ErrorCode::kRequestTimedOut:
      ++refused_writes;
      first_refusal = std::min(first_refusal, world.now());
      last_refusal = world.now();
      world.fault_fired("refused write");
      return;
    case ErrorCode::kOffsetOutOfRange:
      world.fail("ACK-DURABLE", fmt::format("{}: the log ends below what was read of it", what));
      return;
    case ErrorCode::kCorruptMessage:
      if (rules.disk_rots) {
        return;
      }
      break;
    default: break;
  }
  world.fail("CONFORM", fmt::format("{}: {} is no answer to it", what, protocol::error_name(error)));
}

// ---- the scenario ----

Plan OneNode::generate(std::uint64_t seed) const {
  const OneNodeRules with = rules();
  Draws draws(seed, "plan", mix_text(name()));
  Plan plan = draw_plan(*this, seed, draws);
  plan.lasts = with.lasts;
  plan.calm = with.calm;
  draw_node_knobs(plan, draws);
  plan.machines.push_back(draw_machine("node", "node", draws));
  plan.machines.back().numbers["disk"] = 1;
  std::vector<std::string> names{"node"};
  if (with.ledger) {
    for (const char* role : {"reader", "consumer"}) {
      names.emplace_back(role);
      plan.machines.push_back(draw_machine(role, role, draws));
    }
    const std::int64_t clients = draws.between(1, with.clients_most);
    for (std::int64_t i = 1; i <= clients; ++i) {
      names.push_back(fmt::format("client-{}", i));
      const bool idempotent = !with.disk_rots && draws.below(2) == 0;
      plan.machines.push_back(draw_machine(names.back(), idempotent ? "idempotent" : "producer", draws));
      draw_produces(plan, names.back(), {.operations_most = with.operations_most, .bytes_most = kValueBytesMost},
                    draws);
    }
    if (!with.disk_rots && draws.below(2) == 0) {
      names.emplace_back("trimmer");
      plan.machines.push_back(draw_machine("trimmer", "trimmer", draws));
      plan.knobs["trimmer.everything"] = draws.below(4) == 0 ? 1 : 0;
    }
  }
  draw_faults(plan, draws, names);
  if (with.ledger) {
    Draws of_consumer = draws.child("consumer", 0);
    plan.knobs["consumer.sessions"] = of_consumer.below(2) == 0 ? 1 : 0;
    plan.knobs["consumer.bytes"] = with.consumer_is_prompt ? 1 << 20 : of_consumer.magnitude(1 << 14, 1 << 20);
  }
  if (!with.consumer_is_prompt) {
    draw_point_faults(plan, draws.child("points", 0), {"node"});
  }
  return plan;
}

std::unique_ptr<ScenarioState> OneNode::build(World& world, const Plan& plan, Nemesis& nemesis) const {
  auto owned = std::make_unique<OneNodeState>(world, plan, rules());
  OneNodeState* state = owned.get();
  configure(plan, state->config);
  teach_disk_faults(world, nemesis);
  for (const PlanOperation& operation : plan.operations) {
    if (operation.verb == "produce") {
      state->producers[operation.machine].operations.push_back(operation);
    }
  }
  for (const PlanMachine& planned : plan.machines) {
    Machine& machine = add_planned_machine(world, planned);
    if (planned.role == "node") {
      state->machine = &machine;
      machine.install([state](ProcessContext& process) { run_node(process, *state); });
      machine.on_exit([this, &world, state, &nemesis](const Exit& exit) {
        on_node_exit(world, *state, nemesis, exit);
        if (exit.how != Death::kExit) {
          on_death(world, *state);
        }
      });
    } else if (planned.role == "reader") {
      machine.install([state](ProcessContext& process) { run_reader(process, *state); });
    } else if (planned.role == "consumer") {
      machine.install([state](ProcessContext& process) { run_consumer(process, *state); });
    } else if (planned.role == "producer") {
      machine.install([state](ProcessContext& process) { run_producer(process, *state); });
    } else if (planned.role == "idempotent") {
      machine.install([state](ProcessContext& process) { run_idempotent_producer(process, *state); });
    } else if (planned.role == "trimmer") {
      machine.install([state](ProcessContext& process) { run_trimmer(process, *state); });
    }
  }
  world.checkers().add(std::make_unique<WalChecker>(
      world, *state->machine,
      WalChecker::Excuses{
          .damage = state->rules.disk_rots, .overdue = state->rules.hang_limit, .healed = state->healed}));
  if (!state->rules.disk_rots) {
    world.checkers().add(std::make_unique<SegmentChecker>(world, *state->machine));
  }
  world.checkers().add(std::make_unique<BoundsChecker>(
      world, *state->machine,
      BoundsChecker::Views{.node = [state] { return state->node; },
                           .config = [state]() -> const node::NodeConfig& { return state->config; },
                           .rots = [state] { return state->rules.disk_rots; }}));
  prepare(world, plan, nemesis, *state);
  for (const std::unique_ptr<Machine>& machine : world.machines()) {
    machine->start();
  }
  return owned;
}

void OneNode::at_end(World& world, ScenarioState& of) const {
  OneNodeState& state = static_cast<OneNodeState&>(of);
  if (!state.rules.ledger || state.node_given_up) {
    return;
  }
  if (!state.all_read) {
    world.fail("NODE-LIVE", fmt::format("not everything was produced and read after all was healed: {} of {} "
                                        "acknowledged, {} starts of the node, the reader's latest pass: {}\n{}",
                                        state.ledger.acknowledged(), state.ledger.sent(), state.node_starts,
                                        state.last_read.ToString(), world.describe_waits()));
    return;
  }
  state.ledger.judge();
}

std::vector<std::string> OneNode::promises() const {
  std::vector<std::string> names{"NODE-START", "NODE-FATAL", "NODE-LIVE", "WAL",     "FSYNC-ERR",
                                 "EPOCH",      "BOUNDED",    "NO-SPIN",   "CONFORM", "NO-STUCK"};
  if (rules().ledger) {
    names.insert(names.begin(), {"ACK-DURABLE", "OFFSET-CONTIG", "OFFSET-UNIQUE", "ORDER"});
    names.insert(names.end(), {"IDEMPOTENT", "REFUSED", "LOG-START", "FETCH-SESSION"});
  }
  return names;
}

}  // namespace chronik::sim
