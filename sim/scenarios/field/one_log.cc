// One log: its offsets, what can be read of it from wherever one begins, and what is left of it after a death.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "core/fiber/wait.h"
#include "core/protocol/messages/list_offsets.h"
#include "sim/disk_faults.h"
#include "sim/scenarios/field/page.h"
#include "sim/scenarios/field/pages.h"
#include "sim/scenarios/workload.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

const std::vector<std::string> kNothingLost{"ACK-DURABLE", "OFFSET-CONTIG", "OFFSET-UNIQUE", "WAL"};

void die_now_and_then(PagePlan& page, std::int64_t least, std::int64_t most) {
  for (std::int64_t i = page.draws.between(least, most); i > 0; --i) {
    const Duration lasts = Duration::nanoseconds(page.draws.magnitude(1'000'000, 2'000'000'000));
    const VirtualTime at = page.between(Duration::seconds(1), page.plan.lasts - Duration::seconds(1));
    page.strike(page.draws.below(2) == 0 ? "kill" : "power", "node", at, lasts);
  }
}

// Until all is healed, a connection after the other.
template <typename Turn>
void with_connections(ProcessContext& process, NodeBench& bench, Turn&& turn) {
  while (bench.world.now() < bench.healed) {
    const StatusOr<std::unique_ptr<client::Client>> client = connect_to_node(process);
    if (client.ok() && expect_topic(bench.state, **client).ok()) {
      while (bench.world.now() < bench.healed && turn(**client)) {
        sleep_between(process, 1, 60);
      }
    }
    sleep_between(process, 20, 200);
  }
}

// ---- f10 ----

const NodeScenario kF10{NodePage{
    .name = "f10-two-writers-of-one-partition",
    .story = "several producers with several requests each, all at one partition, without pauses",
    .promises = {"OFFSET-UNIQUE", "OFFSET-CONTIG", "NO-STUCK", "ORDER"},
    .rules = {.lasts = Duration::seconds(5),
              .calm = Duration::seconds(60),
              .consumer_is_prompt = true,
              .connections_last = true},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["partitions"] = 1;
          page.plan.knobs["window"] = page.draws.between(2, 8);
          page.produce_at_once();
        },
}};

// ---- f13 ----

// Where a partition ends is asked for all the time; nothing of it is in a segment yet.
bool list_ends(NodeBench& bench, client::Client& client) {
  protocol::ListOffsetsRequest request;
  request.replica_id = NodeId::none();
  auto& topic = request.topics.emplace_back();
  topic.name = kLedgerTopic;
  std::vector<std::int64_t> known;
  for (std::size_t partition = 0; partition < bench.state.ledger.partitions(); ++partition) {
    known.push_back(bench.state.ledger.known_end(partition));
    auto& asked = topic.partitions.emplace_back();
    asked.partition_index = partition_id(partition);
    asked.current_leader_epoch = LeaderEpoch::none();
    asked.timestamp = -1;  // the end
  }
  const auto got = client.call<protocol::ListOffsetsResponse>(request, /*version=*/5, node_patience());
  if (!got.ok() || got->topics.size() != 1 || got->topics[0].partitions.size() != known.size()) {
    return false;
  }
  for (std::size_t partition = 0; partition < known.size(); ++partition) {
    const auto& answer = got->topics[0].partitions[partition];
    if (answer.error_code == ErrorCode::kNone && answer.offset.value() < known[partition]) {
      bench.world.fail("ACK-DURABLE", fmt::format("partition {} is said to end at {}, and {} was acknowledged before",
                                                  partition, answer.offset, known[partition]));
    }
    if (answer.error_code == ErrorCode::kNone && known[partition] > 0 && bench.state.node != nullptr) {
      bench.world.fault_fired("ends listed");
    }
  }
  return true;
}

const NodeScenario kF13{NodePage{
    .name = "f13-ends-listed-before-anything-is-flushed",
    .story = "where partitions end is asked for while all of it is in the write-ahead log alone",
    .promises = {"ACK-DURABLE"},
    .must_fire = {"ends listed", "power loss"},
    .rules = {.calm = Duration::seconds(100)},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["log.tail_age_s"] = 3'600;
          page.plan.knobs["log.tail_bytes_max"] = 1 << 20;
          page.plan.knobs["log.drain_bytes"] = 1 << 20;
          page.plan.knobs["wal.rotation_bytes"] = 1 << 20;
          page.plan.knobs["wal.files_max"] = kNodeFilesMax;
          page.strike("power", "node", page.between(Duration::seconds(5), Duration::seconds(15)),
                      Duration::milliseconds(200));
          page.add_client("lister");
        },
    .watch =
        [](NodeBench& bench) {
          bench.install("lister", [&bench](ProcessContext& process) {
            with_connections(process, bench, [&bench](client::Client& client) { return list_ends(bench, client); });
          });
        },
}};

// ---- kF14, kF16, kF17, f18: what deaths leave ----

const NodeScenario kF14{NodePage{
    .name = "f14-once-after-each-recovery",
    .story = "death after death, by kill and by power; each record is there once",
    .promises = {"OFFSET-UNIQUE", "IDEMPOTENT", "ACK-DURABLE"},
    .must_fire = {"process kill", "power loss"},
    .plan = [](PagePlan& page) { die_now_and_then(page, 3, 10); },
}};

const NodeScenario kF16{NodePage{
    .name = "f16-batches-of-one-record",
    .story = "small batches of one record each, drained in small parts, over deaths",
    .promises = kNothingLost,
    .must_fire = {"process kill", "power loss"},
    .plan =
        [](PagePlan& page) {
          for (PlanOperation& operation : page.plan.operations) {
            operation.numbers["records"] = 1;
            operation.numbers["bytes"] = page.draws.between(8, 60);
          }
          page.plan.knobs["log.tail_bytes_max"] = 4'096;
          page.plan.knobs["log.drain_bytes"] = 2'048;
          die_now_and_then(page, 1, 4);
        },
}};

const NodeScenario kF17{NodePage{
    .name = "f17-three-partitions-recovered-together",
    .story = "three partitions in one write-ahead log, some of each in segments, over deaths",
    .promises = kNothingLost,
    .must_fire = {"process kill", "power loss"},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["partitions"] = 3;
          page.plan.knobs["log.tail_bytes_max"] = page.draws.magnitude(4'096, 65'536);
          page.plan.knobs["log.drain_bytes"] = page.draws.magnitude(2'048, 16'384);
          die_now_and_then(page, 3, 8);
        },
}};

const NodeScenario kF18{NodePage{
    .name = "f18-two-appends-and-a-death",
    .story = "the power goes before, in and after each of the first syncs; what was said to be there is",
    .promises = kNothingLost,
    .must_fire = {"power-loss-at-sync", "power-loss-at-write"},
    .plan =
        [](PagePlan& page) {
          static constexpr DiskStep kSteps[] = {DiskStep::kWrite, DiskStep::kSync};
          static constexpr DiskEffect kLosses[] = {DiskEffect::kPowerLossBefore, DiskEffect::kPowerLossDuring,
                                                   DiskEffect::kPowerLossAfter};
          draw_strikes(page.plan, page.draws, "node", page.draws.between(4, 12), kSteps, kLosses);
          for (PlanFault& fault : page.plan.faults) {
            fault.other = "wal/";
            fault.numbers["nth"] = page.draws.between(1, 3);
          }
        },
}};

// ---- kF15, f46 ----

// A fetch from one offset of those that are there: it brings that record, and what follows, whatever batch it is in and
// whether that is in a segment, in the write-ahead log or in both.
bool read_from_one(ProcessContext& process, NodeBench& bench, client::Client& client, std::int32_t bytes) {
  OneNodeState& state = bench.state;
  const auto partition = static_cast<std::size_t>(process.ports.random.next() % state.ledger.partitions());
  const std::int64_t start = state.ledger.asked_start(partition);
  // Behind what the other reader has met nobody knows yet what is there.
  const std::int64_t end = std::min(state.ledger.known_end(partition), state.ledger.seen_end(partition));
  if (end <= start) {
    return true;
  }
  const std::int64_t from =
      start + static_cast<std::int64_t>(process.ports.random.next() % static_cast<std::uint64_t>(end - start));
  const auto got = client.fetch(kLedgerTopic, partition_id(partition), Offset(from), bytes, node_patience());
  state.judge_answer(got.status(), "fetch from somewhere");
  if (!got.ok() || state.ledger.asked_start(partition) > from) {
    return got.ok();  // it may be deleted by now
  }
  if (got->error_code != ErrorCode::kNone) {
    state.judge_error(got->error_code, "fetch from somewhere");
    return false;
  }
  std::int64_t position = from;
  if (!take_records(bench.world, state.ledger, partition, got->records.value_or(Slice()), /*may_begin_within=*/true,
                    position)
           .ok()) {
    return false;
  }
  if (position == from) {
    bench.world.fail("OFFSET-CONTIG",
                     fmt::format("partition {}: nothing at {}, and it ended at {} before", partition, from, end));
  }
  bench.world.fault_fired("read from somewhere");
  return true;
}

const NodeScenario kF15{NodePage{
    .name = "f15-read-from-each-offset",
    .story = "batches of several records; a reader begins at whatever offset, one batch at a time",
    .promises = {"OFFSET-CONTIG", "OFFSET-UNIQUE"},
    .must_fire = {"read from somewhere"},
    .rules = {.calm = Duration::seconds(100)},
    .plan =
        [](PagePlan& page) {
          for (PlanOperation& operation : page.plan.operations) {
            operation.numbers["records"] = page.draws.between(2, 5);
          }
          page.add_client("jumper");
        },
    .watch =
        [](NodeBench& bench) {
          bench.install("jumper", [&bench](ProcessContext& process) {
            with_connections(process, bench, [&](client::Client& client) {
              return read_from_one(process, bench, client, /*bytes=*/1);
            });
          });
        },
}};

const NodeScenario kF46{NodePage{
    .name = "f46-readers-at-any-position",
    .story = "three readers jump about while records move from the write-ahead log to segments",
    .promises = {"OFFSET-CONTIG", "OFFSET-UNIQUE", "ACK-DURABLE"},
    .must_fire = {"read from somewhere", "process kill"},
    .rules = {.calm = Duration::seconds(100)},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["log.tail_bytes_max"] = page.draws.magnitude(4'096, 32'768);
          page.plan.knobs["log.tail_age_s"] = page.draws.between(1, 5);
          page.plan.knobs["log.segment_bytes"] = 16'384;
          page.strike("kill", "node", page.between(Duration::seconds(5), Duration::seconds(18)),
                      Duration::milliseconds(100));
          for (const char* client : {"jumper-1", "jumper-2", "jumper-3"}) {
            page.add_client(client);
          }
        },
    .watch =
        [](NodeBench& bench) {
          for (const char* client : {"jumper-1", "jumper-2", "jumper-3"}) {
            bench.install(client, [&bench](ProcessContext& process) {
              with_connections(process, bench, [&](client::Client& at) {
                return read_from_one(process, bench, at,
                                     static_cast<std::int32_t>(1 + process.ports.random.next() % 65'536));
              });
            });
          }
        },
}};

// ---- f55 ----

// What a start reads is bounded by the write-ahead log's size, and not by the log's.
const NodeScenario kF55{NodePage{
    .name = "f55-recovery-reads-the-end-alone",
    .story = "a log that grows and deaths; a start reads no more than the write-ahead log and the ends",
    .promises = {"COST", "BOUNDED"},
    .must_fire = {"process kill", "a start with a long log"},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["wal.rotation_bytes"] = 65'536;
          page.plan.knobs["wal.files_max"] = 3;
          page.plan.knobs["log.segment_bytes"] = 32'768;
          page.plan.knobs["log.tail_bytes_max"] = 16'384;
          std::erase_if(page.plan.machines, [](const PlanMachine& machine) { return machine.role == "trimmer"; });
          page.produce_at_once();
          for (PlanOperation& operation : page.plan.operations) {
            operation.numbers["bytes"] = page.draws.between(500, 3'000);
          }
          for (std::int64_t i = 4; i > 0; --i) {
            page.strike("kill", "node", page.between(Duration::seconds(2), Duration::seconds(19)),
                        Duration::milliseconds(50));
          }
        },
    .watch =
        [](NodeBench& bench) {
          bench.state.on_start = [&bench, read_at_start = std::make_shared<std::uint64_t>(0)] {
            SimulatedDisk& disk = disk_of(*bench.state.machine);
            *read_at_start = disk.bytes_asked_for();
            const std::uint64_t starts = bench.state.node_starts;
            bench.when(
                [&bench, starts] { return bench.state.node_starts != starts; },
                [&bench, &disk, read_at_start] {
                  // Each file of the write-ahead log twice, and of each partition two segments with their
                  // indices.
                  const std::uint64_t most =
                      2 * (bench.state.config.logs.wal.files_max + 1) * bench.state.config.logs.wal.rotation_bytes +
                      bench.state.ledger.partitions() * 4 * 32'768;
                  bench.expect_at_most(most, disk.bytes_asked_for() - *read_at_start, "bytes that a start has read");
                  if (bench.state.ledger.acknowledged() > 300) {
                    bench.world.fault_fired("a start with a long log");
                  }
                });
          };
        },
}};

// ---- f69 ----

// Whether the ledger's first partition has so many segments.
bool has_segments(const NodeBench& bench, std::size_t count) {
  const auto& model = disk_of(*bench.state.machine).model();
  const auto directories = model.list_directory("logs");
  if (!directories.ok()) {
    return false;
  }
  return std::any_of(directories->begin(), directories->end(), [&](const auto& directory) {
    const auto files = model.list_directory("logs/" + directory.substr(0, directory.find('/')));
    return files.ok() && static_cast<std::size_t>(std::count_if(files->begin(), files->end(), [](const auto& file) {
                           return std::string_view(file).ends_with(".log");
                         })) >= count;
  });
}

const NodeScenario kF69{NodePage{
    .name = "f69-every-segment-is-found-again",
    .story = "small segments in each partition, and starts in between: all of them are read",
    .promises = kNothingLost,
    .must_fire = {"process kill", "power loss", "three segments"},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["partitions"] = 3;
          page.plan.knobs["log.segment_bytes"] = 16'384;
          page.plan.knobs["log.tail_bytes_max"] = 4'096;
          page.plan.knobs["log.drain_bytes"] = 4'096;
          for (PlanOperation& operation : page.plan.operations) {
            operation.numbers["bytes"] = page.draws.between(500, 3'000);
          }
          die_now_and_then(page, 2, 5);
        },
    .watch =
        [](NodeBench& bench) {
          bench.in_the_end([&bench] {
            if (has_segments(bench, 3)) {
              bench.world.fault_fired("three segments");
            }
          });
        },
}};

// ---- f70 ----

const NodeScenario kF70{NodePage{
    .name = "f70-flipped-bits",
    .story = "bytes that are stored rot, one after the other; none of them is ever served",
    .promises = {"WAL", "DAMAGE", "OFFSET-UNIQUE"},
    .must_fire = {"bit-rot"},
    .rules = {.calm = Duration::seconds(60), .disk_rots = true},
    .plan =
        [](PagePlan& page) {
          page.plan.knobs["log.tail_bytes_max"] = page.draws.magnitude(4'096, 32'768);
          for (std::int64_t i = page.draws.between(4, 12); i > 0; --i) {
            page.strike("rot-while-serving", "node", page.between(Duration::seconds(2), Duration::seconds(19)),
                        Duration::zero());
          }
        },
    .watch = [](NodeBench& bench) { teach_rot_while_serving(bench.world, bench.nemesis, bench.state); },
}};

}  // namespace

Pages pages_on_one_log() { return {&kF10, &kF13, &kF14, &kF15, &kF16, &kF17, &kF18, &kF46, &kF55, &kF69, &kF70}; }

}  // namespace chronik::sim
