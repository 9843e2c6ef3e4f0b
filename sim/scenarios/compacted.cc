// Compacted topics on one to three nodes: writers with few keys and tombstones, small segments, a cleaner that is
// always at it; nodes die, lose their power at any step of their disks, stop, are cut off and stand still. In some
// runs another such topic comes and goes all the time: its logs are removed while they are compacted.
//
// Judged, besides what group.h says: COMPACTED (sim/compaction_judge.h), at any time and once all is healed; every
// replica is in sync then, though each has compacted its own log (REPLICA-LIVE); no death makes a log look damaged
// (DAMAGE); and what replica_checker.h, watermark_checker.h and in_sync_checker.h say.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/client/client.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/record_batch_builder.h"
#include "sim/compaction_judge.h"
#include "sim/damage_checker.h"
#include "sim/disk_faults.h"
#include "sim/knobs.h"
#include "sim/replica_checker.h"
#include "sim/scenarios/group.h"
#include "sim/scenarios/group_watch.h"
#include "sim/scenarios/one_node.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scenarios/trouble.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

constexpr const char* kCompactedTopic = "compacted";
constexpr std::int64_t kHourMs = 3'600'000;
// Batches that a writer sends as fast as it likes. Segments hold a few of them, and each costs a slow disk several
// operations: of many more, a replica that was away would have no time to catch up with.
constexpr int kHastyBatches = 1'500;
constexpr std::int64_t kUnhurriedMs = 400;
constexpr std::array<const char*, 6> kCompressionTypes{"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"};

struct CompactedState final : GroupState {
  CompactedState(World& of, Duration tombstones_last) : judge(of, tombstones_last) { world = &of; }
  CompactionJudge judge;
  protocol::CreateTopicsRequest topic;
  int partitions = 1;
  struct Writer {
    std::int64_t keys = 1;
    std::int64_t pause_ms = 1;
    std::int64_t tombstones_ppm = 0;
    protocol::Codec codec = protocol::Codec::kNone;
    std::map<std::string, std::int64_t> written;  // by key: the number of its last write
    bool done = false;
  };
  std::map<std::string, Writer> writers;
  std::map<int, VirtualTime> last_pass;  // by partition: when the last complete pass began

  bool all_written() const {
    return std::all_of(writers.begin(), writers.end(), [](const auto& writer) { return writer.second.done; });
  }
};

// A connection to whichever node, once the topic is there.
StatusOr<std::unique_ptr<client::Client>> connect_to_topic(ProcessContext& process, const CompactedState& state) {
  ASSIGN_OR_RETURN(std::unique_ptr<client::Client> client, connect_to_any(process, state));
  ASSIGN_OR_RETURN(const auto created, client->call<protocol::CreateTopicsResponse>(state.topic, 5, node_patience()));
  const ErrorCode error = created.topics.at(0).error_code;
  if (error != ErrorCode::kNone && error != ErrorCode::kTopicAlreadyExists) {
    return absl::UnavailableError("no topic yet");
  }
  return client;
}

// ---- writers ----

class CompactedWriter {
 public:
  CompactedWriter(ProcessContext& process, CompactedState& state)
      : process_(process), state_(state), me_(state.writers.at(process.machine.name())) {}

  void run() {
    while (state_.world->now() < state_.healed) {
      const StatusOr<std::unique_ptr<client::Client>> client = connect_to_topic(process_, state_);
      while (client.ok() && state_.world->now() < state_.healed && write(**client)) {
        ++batches_;
        sleep_between(process_, 0, batches_ < kHastyBatches ? me_.pause_ms : kUnhurriedMs);
      }
      sleep_between(process_, 20, 300);
    }
    me_.done = true;
  }

 private:
  std::uint64_t draw(std::int64_t below) { return process_.ports.random.next() % static_cast<std::uint64_t>(below); }

  // One batch of a partition's keys: those whose numbers leave its number as the rest. False: another node, then.
  bool write(client::Client& client) {
    const auto partition = static_cast<std::int64_t>(draw(state_.partitions));
    const std::uint64_t count = 1 + draw(4);
    protocol::RecordBatchBuilder builder;
    std::vector<std::pair<std::string, CompactionJudge::Write>> writes;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::int64_t of_partition = partition + static_cast<std::int64_t>(draw(me_.keys)) * state_.partitions;
      const std::string key = fmt::format("{}/{}", process_.machine.name(), of_partition);
      const bool tombstone = static_cast<std::int64_t>(draw(1'000'000)) < me_.tombstones_ppm;
      const CompactionJudge::Write write{.number = ++me_.written[key], .tombstone = tombstone};
      add(builder, key, write);
      state_.judge.sends(key, write);
      writes.emplace_back(key, write);
    }
    const auto answer = client.produce(kCompactedTopic, PartitionId(static_cast<std::int32_t>(partition)),
                                       builder.build({}, me_.codec, codecs_), -1, node_patience());
    if (!answer.ok() || answer->error_code != ErrorCode::kNone) {
      return false;
    }
    for (std::size_t i = 0; i < writes.size(); ++i) {
      state_.judge.acknowledged(writes[i].first, writes[i].second, static_cast<int>(partition),
                                answer->base_offset.value() + static_cast<std::int64_t>(i));
    }
    return true;
  }

  void add(protocol::RecordBatchBuilder& builder, const std::string& key, const CompactionJudge::Write& write) {
    const std::string number = fmt::format("{}", write.number);
    const std::string value = compacted_value(write.number);
    const protocol::RecordHeaderView header{.key = as_bytes(kCompactedHeader), .value = as_bytes(number)};
    protocol::RecordInput record;
    record.timestamp = process_.ports.clock.wall();
    record.key = as_bytes(key);
    record.value = write.tombstone ? std::nullopt : std::optional(as_bytes(value));
    record.headers = {&header, 1};
    builder.append(record);
  }

  ProcessContext& process_;
  CompactedState& state_;
  CompactedState::Writer& me_;
  int batches_ = 0;
  protocol::Codecs codecs_;
};

// ---- readers ----

class CompactedReader {
 public:
  CompactedReader(ProcessContext& process, CompactedState& state) : process_(process), state_(state) {}

  void run() {
    for (;;) {
      for (int partition = 0; partition < state_.partitions; ++partition) {
        CompactionJudge::Pass pass = state_.judge.begin(partition);
        const bool written = state_.all_written();
        if (read(pass) && state_.judge.end(pass) && written) {
          state_.last_pass[partition] = pass.began;
        }
      }
      sleep_between(process_, 100, 1'500);
    }
  }

 private:
  // To the end. False: it took too long, or was a finding.
  bool read(CompactionJudge::Pass& pass) {
    constexpr Duration kLongest = Duration::seconds(60);
    std::int64_t known = 0;
    for (const auto& [key, offset] : pass.known) {
      known = std::max(known, offset + 1);
    }
    while (state_.world->now() - pass.began < kLongest) {
      const StatusOr<std::unique_ptr<client::Client>> client = connect_to_topic(process_, state_);
      while (client.ok()) {
        const bool hurries = state_.all_written();
        const auto bytes = static_cast<std::int32_t>(hurries ? 1 << 20 : 1 + process_.ports.random.next() % 8'192);
        const auto got = (*client)->fetch(kCompactedTopic, PartitionId(pass.partition), Offset(pass.position), bytes,
                                          node_patience());
        if (!got.ok() || got->error_code != ErrorCode::kNone) {
          break;
        }
        const std::int64_t before = pass.position;
        if (got->records.has_value() && !got->records->empty() && !state_.judge.read(pass, *got->records, bytes)) {
          return false;
        }
        if (pass.position >= got->high_watermark.value() && pass.position >= known) {
          return true;
        }
        if (!hurries && process_.ports.random.next() % 8 == 0) {
          sleep_between(process_, 1, 400);  // who is slow sees the log before and after it was compacted
        }
        if (pass.position == before) {
          break;  // a new leader says nothing of what it does not know to be committed
        }
      }
      sleep_between(process_, 20, 200);
    }
    return false;
  }

  ProcessContext& process_;
  CompactedState& state_;
};

// ---- a topic that comes and goes ----

constexpr const char* kPassingTopic = "passing";

class PassingTopic {
 public:
  PassingTopic(ProcessContext& process, const CompactedState& state) : process_(process), state_(state) {}

  void run() {
    protocol::CreateTopicsRequest wanted = state_.topic;
    wanted.topics.front().name = kPassingTopic;
    protocol::DeleteTopicsRequest unwanted;
    unwanted.topics.push_back({.name = kPassingTopic, .topic_id = {}});
    unwanted.timeout_ms = wanted.timeout_ms;
    while (state_.world->now() < state_.healed) {
      const StatusOr<std::unique_ptr<client::Client>> client = connect_to_any(process_, state_);
      while (client.ok() && state_.world->now() < state_.healed) {
        if (!(*client)->call<protocol::CreateTopicsResponse>(wanted, 5, node_patience()).ok()) {
          break;
        }
        fill(**client);
        sleep_between(process_, 0, 600);
        if (!(*client)->call<protocol::DeleteTopicsResponse>(unwanted, 6, node_patience()).ok()) {
          break;
        }
      }
      sleep_between(process_, 20, 300);
    }
  }

 private:
  // Some batches of few keys, as far as this node leads it.
  void fill(client::Client& client) {
    const std::uint64_t batches = 1 + process_.ports.random.next() % 40;
    for (std::uint64_t i = 0; i < batches; ++i) {
      const std::string key = fmt::format("{}", process_.ports.random.next() % 4);
      const std::string value = compacted_value(static_cast<std::int64_t>(i));
      protocol::RecordBatchBuilder builder;
      protocol::RecordInput record;
      record.timestamp = process_.ports.clock.wall();
      record.key = as_bytes(key);
      record.value = as_bytes(value);
      builder.append(record);
      const auto answer = client.produce(kPassingTopic, PartitionId(0),
                                         builder.build({}, protocol::Codec::kNone, codecs_), 1, node_patience());
      if (!answer.ok() || answer->error_code != ErrorCode::kNone) {
        return;
      }
    }
  }

  ProcessContext& process_;
  const CompactedState& state_;
  protocol::Codecs codecs_;
};

// ---- the scenario ----

void draw_compaction(Plan& plan, Draws& draws, int nodes) {
  plan.knobs["topic.partitions"] = draws.between(1, 2);
  plan.knobs["topic.replicas"] = draws.between(std::min(nodes, 2), nodes);
  plan.knobs["topic.segment_bytes"] = draws.magnitude(200, 1 << 14);
  plan.knobs["topic.segment_ms"] = draws.below(3) == 0 ? draws.magnitude(100, 10'000) : kHourMs;
  plan.knobs["topic.dirty_percent"] = draws.between(0, 60);
  plan.knobs["topic.deletes"] = draws.below(4) == 0 ? 1 : 0;
  // Who copies the log of another that has no tombstones any more, and still has what they hid, has it for good, as in
  // Kafka: a replica must not be away for longer than they last.
  plan.knobs["topic.tombstones_ms"] = nodes == 1 && draws.below(2) == 0 ? draws.magnitude(500, 20'000) : kHourMs;
  plan.knobs["topic.lag_min_ms"] = draws.below(3) == 0 ? draws.magnitude(1, 5'000) : 0;
  plan.knobs["topic.lag_max_ms"] = draws.below(3) == 0 ? draws.magnitude(200, 20'000) : kHourMs;
  plan.knobs["cleaner.backoff_ms"] = draws.magnitude(10, 2'000);
  plan.knobs["cleaner.dedupe_bytes"] = draws.magnitude(1'024, 1 << 16);
  plan.knobs["cleaner.bytes_per_second"] = draws.below(2) == 0 ? 0 : draws.magnitude(10'000, 10'000'000);
  plan.knobs["log.tail_bytes_max"] = draws.magnitude(256, 1 << 14);
  plan.knobs["log.tail_age_ms"] = draws.magnitude(10, 5'000);
}

// In most seeds with three nodes: one of them holds the high watermark back while logs are compacted all the time, and
// then leads, or others do who had more than was committed.
void draw_lagging_watermark(Plan& plan, Draws draws, int nodes) {
  if (nodes < kGroupNodes || draws.below(3) == 0) {
    return;
  }
  plan.faults.clear();
  draw_overtaken_rounds(plan, draws, Duration::seconds(4));
  plan.knobs["topic.replicas"] = nodes;
  plan.knobs["topic.segment_bytes"] = draws.magnitude(200, 1'000);
  plan.knobs["topic.dirty_percent"] = draws.between(0, 20);
  plan.knobs["topic.lag_min_ms"] = 0;
  plan.knobs["cleaner.backoff_ms"] = draws.magnitude(10, 100);
  plan.knobs["log.tail_bytes_max"] = 256;
  plan.knobs["log.tail_age_ms"] = draws.magnitude(10, 200);
  for (PlanMachine& machine : plan.machines) {
    if (machine.role == "client") {
      machine.numbers["pause_ms"] = std::min<std::int64_t>(machine.numbers["pause_ms"], 50);
    }
  }
}

class Compacted final : public Scenario {
 public:
  const char* name() const override { return "compacted"; }
  const char* description() const override { return "compacted topics, and nodes that die while they are compacted"; }
  std::vector<std::string> announced_faults() const override {
    std::vector<std::string> names = group_fault_names();
    std::erase(names, "clock step");
    for (const std::string& name : deadly_disk_fault_names()) {
      if (!name.ends_with("sync-all")) {  // there are too few logs for one
        names.push_back(name);
      }
    }
    return names;
  }
  std::vector<std::string> promises() const override {
    return with_group_promises({"COMPACTED", "REPLICA-LIVE", "REPLICA-MATCH", "DAMAGE", "HW-MONO", "IN-SYNC"});
  }

  Plan generate(std::uint64_t seed) const override {
    Draws draws(seed, "plan", mix_text(name()));
    const int nodes = draws.below(2) == 0 ? 1 : static_cast<int>(draws.between(2, kGroupNodes));
    Plan plan = draw_group_plan(*this, seed, nodes, draws);
    plan.lasts = Duration::seconds(30);
    plan.calm = Duration::seconds(70);
    draw_compaction(plan, draws, nodes);
    const std::int64_t writers = draws.between(1, 3);
    for (std::int64_t i = 1; i <= writers; ++i) {
      PlanMachine& client = plan.machines.emplace_back(draw_machine(fmt::format("client-{}", i), "client", draws));
      client.numbers["keys"] = draws.magnitude(1, 12);
      client.numbers["pause_ms"] = draws.magnitude(1, 400);
      client.numbers["tombstones_ppm"] = draws.below(3) == 0 ? 0 : draws.magnitude(10'000, 600'000);
      client.numbers["codec"] = draws.between(0, 4);
    }
    plan.machines.push_back(draw_machine("reader", "reader", draws));
    if (draws.below(2) == 0) {
      plan.machines.push_back(draw_machine("passer", "passer", draws));
    }
    std::vector<std::string> names;
    std::vector<std::string> struck;
    for (const PlanMachine& machine : plan.machines) {
      names.push_back(machine.name);
      if (machine.role == "node") {
        struck.push_back(machine.name);
      }
    }
    draw_group_faults(plan, draws, names);
    // The time of tombstones is told by the clock.
    std::erase_if(plan.faults, [](const PlanFault& fault) { return fault.kind == "step"; });
    Draws strikes = draws.child("strikes", 0);
    for (const std::string& node : struck) {
      draw_strikes(plan, strikes, node, strikes.between(0, 8), all_disk_steps(), deadly_effects());
    }
    if (draws.below(3) == 0) {
      draw_stops(plan, draws.child("stops", 0));
    }
    plan.knobs["topic.codec"] = draws.below(2) == 0 ? 0 : draws.between(1, 5);
    draw_lagging_watermark(plan, draws.child("overtaken", 0), nodes);
    return plan;
  }

  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const override {
    auto owned = std::make_unique<CompactedState>(world, Duration::milliseconds(plan.knob("topic.tombstones_ms", 0)));
    CompactedState* state = owned.get();
    begin_group(world, plan, nemesis, *state);
    state->partitions = static_cast<int>(plan.knob("topic.partitions", 1));
    ask_for_topic(plan, *state);
    for (const PlanMachine& planned : plan.machines) {
      if (planned.role == "node") {
        add_group_node(world, planned, plan, nemesis, *state);
      } else if (planned.role == "reader") {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          CompactedReader(process, *state).run();
        });
      } else if (planned.role == "passer") {
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          PassingTopic(process, *state).run();
        });
      } else {
        const Numbers& numbers = planned.numbers;
        state->writers[planned.name] = {.keys = numbers.at("keys"),
                                        .pause_ms = numbers.at("pause_ms"),
                                        .tombstones_ppm = numbers.at("tombstones_ppm"),
                                        .codec = static_cast<protocol::Codec>(numbers.at("codec")),
                                        .written = {}};
        add_planned_machine(world, planned).install([state](ProcessContext& process) {
          CompactedWriter(process, *state).run();
        });
      }
    }
    for (auto& [name, config] : state->configs) {
      configure(plan, config);
    }
    world.checkers().add(std::make_unique<ReplicaChecker>(world));
    world.checkers().add(std::make_unique<DamageChecker>(world));
    watch_watermarks(world, *state);
    watch_in_sync(world, *state, 1);
    start_all_machines(world, plan);
    return owned;
  }

  void at_end(World& world, ScenarioState& of) const override {
    auto& state = static_cast<CompactedState&>(of);
    if (!judge_images(world, state)) {
      return;
    }
    const cluster::Image& image = *state.serving.begin()->second->metadata().image();
    const cluster::Topic* topic = image.find_topic(kCompactedTopic);
    for (int partition = 0; topic != nullptr && partition < state.partitions; ++partition) {
      const cluster::Partition* replicas = topic->partitions.find(PartitionId(partition));
      if (replicas == nullptr || replicas->isr.size() != replicas->replicas.size()) {
        return world.fail("REPLICA-LIVE",
                          fmt::format("not every replica of partition {} is in sync once all is healed", partition));
      }
    }
    for (int partition = 0; partition < state.partitions; ++partition) {
      if (!state.last_pass.contains(partition)) {
        return world.fail("COMPACTED", fmt::format("nobody has read partition {} to its end since all was healed\n{}",
                                                   partition, world.describe_waits()));
      }
    }
  }

 private:
  static void ask_for_topic(const Plan& plan, CompactedState& state) {
    state.topic.timeout_ms = 5'000;
    protocol::CreateTopicsTopic& topic = state.topic.topics.emplace_back();
    topic.name = kCompactedTopic;
    topic.num_partitions = state.partitions;
    topic.replication_factor = static_cast<std::int16_t>(plan.knob("topic.replicas", 1));
    const auto set = [&topic](const char* name, const std::string& value) {
      topic.configs.push_back({.name = name, .value = value});
    };
    const auto number = [&plan](const char* knob) { return fmt::format("{}", plan.knob(knob, 1)); };
    set("cleanup.policy", plan.knob("topic.deletes", 0) == 0 ? "compact" : "compact,delete");
    set("segment.bytes", number("topic.segment_bytes"));
    set("segment.ms", number("topic.segment_ms"));
    set("min.cleanable.dirty.ratio", fmt::format("0.{:02}", plan.knob("topic.dirty_percent", 50)));
    set("delete.retention.ms", number("topic.tombstones_ms"));
    set("min.compaction.lag.ms", fmt::format("{}", plan.knob("topic.lag_min_ms", 0)));
    set("max.compaction.lag.ms", number("topic.lag_max_ms"));
    set("compression.type", kCompressionTypes.at(static_cast<std::size_t>(plan.knob("topic.codec", 0))));
  }

  static void configure(const Plan& plan, node::NodeConfig& config) {
    config.broker["replica.lag.time.max.ms"] = fmt::format("{}", plan.knob("replica.lag_ms", 30'000));
    config.broker["replica.fetch.wait.max.ms"] = fmt::format("{}", plan.knob("replica.fetch_wait_ms", 5'000));
    config.broker["log.cleaner.backoff.ms"] = fmt::format("{}", plan.knob("cleaner.backoff_ms", 15'000));
    config.broker["log.cleaner.dedupe.buffer.size"] = fmt::format("{}", plan.knob("cleaner.dedupe_bytes", 1 << 20));
    if (const std::int64_t rate = plan.knob("cleaner.bytes_per_second", 0); rate > 0) {
      config.broker["log.cleaner.io.max.bytes.per.second"] = fmt::format("{}", rate);
    }
    config.logs.tail_bytes_max = static_cast<std::uint64_t>(plan.knob("log.tail_bytes_max", 1 << 14));
    config.logs.tail_age_max = Duration::milliseconds(plan.knob("log.tail_age_ms", 10'000));
  }
};

}  // namespace

const Scenario* compacted_scenario() {
  static const Compacted scenario;
  return &scenario;
}

}  // namespace chronik::sim
