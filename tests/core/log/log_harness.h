// One incarnation of a node that has nothing but its logs, on the simulator's model of a disk.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/log/stored_logs.h"
#include "core/protocol/record_batch_builder.h"
#include "tests/support/fiber_world.h"
#include "tests/support/memory_store.h"
#include "tests/support/model_disk.h"

namespace chronik::log::testing {

using chronik::testing::FakeRandom;
using chronik::testing::FiberWorld;
using chronik::testing::MemoryStore;
using chronik::testing::ModelDisk;

// Logs touch neither network nor mailbox.
class NoNetwork final : public Network {
 public:
  StatusOr<std::unique_ptr<Listener>> listen(const Address&) override { UNREACHABLE("logs do not listen"); }
  StatusOr<std::unique_ptr<Connection>> connect(const Address&, const Deadline&) override {
    UNREACHABLE("nor connect");
  }
  StatusOr<std::vector<Address>> resolve(std::string_view, std::uint16_t, const Deadline&) override {
    UNREACHABLE("nor resolve");
  }
};
class NoMailbox final : public Mailbox {
 public:
  bool try_send(ShardId, std::unique_ptr<MailboxMessage>&) override { return false; }
  StatusOr<std::unique_ptr<MailboxMessage>> receive(const Deadline&) override { UNREACHABLE("nor receive"); }
};

class WorldClock final : public Clock {
 public:
  explicit WorldClock(const FiberWorld& world) : world_(world) {}
  MonotonicTime monotonic() const override { return world_.now; }
  WallTime wall() const override {
    return WallTime::from_milliseconds(1'700'000'000'000 + world_.now.nanoseconds() / 1'000'000);
  }

 private:
  const FiberWorld& world_;
};

inline StoredLogsOptions small_options() {
  StoredLogsOptions options;
  options.wal.directory = "wal/0";
  options.wal.rotation_bytes = 128 * 1024;
  options.wal.files_max = 4;
  options.wal.batch_bytes_max = 32 * 1024;
  options.wal.queue_bytes_max = 256 * 1024;
  options.wal.record_bytes_max = 32 * 1024;
  options.wal.control_reserve_bytes = 8 * 1024;
  options.wal.free_disk_reserve_bytes = 64 * 1024;
  options.wal.fill_step_bytes = 64 * 1024;
  options.wal.fill_after_bytes = 32 * 1024;
  options.wal.read_chunk_bytes = 16 * 1024;
  options.tail_bytes_max = 8 * 1024;
  options.open_files_max = 8;
  options.sync_each_max = 2;
  return options;
}

inline LogConfig small_segments() {
  LogConfig config;
  config.segment_bytes = 4 * 1024;
  config.index_interval_bytes = 256;
  return config;
}

// A batch of `count` records with values "<prefix><n>"; 0 <= n < count.
inline Slice batch_of(const std::string& prefix, int count, std::int64_t timestamp_ms = 1'000) {
  protocol::RecordBatchBuilder builder;
  for (int i = 0; i < count; ++i) {
    protocol::RecordInput record;
    const std::string value = prefix + std::to_string(i);
    record.timestamp = WallTime::from_milliseconds(timestamp_ms + i);
    record.value = as_bytes(value);
    builder.append(record);
  }
  return builder.build({});
}

inline BatchSummary summary_of(int count, std::int64_t timestamp_ms = 1'000) {
  BatchSummary summary;
  summary.record_count = count;
  summary.max_timestamp = WallTime::from_milliseconds(timestamp_ms + count - 1);
  summary.offset_of_max_timestamp = Offset(count - 1);
  return summary;
}

inline LogKey key_of(int partition) { return {Uuid::from_random(7, 7), PartitionId(partition)}; }

// Lives until it is destroyed, which kills it.
class LogNode {
 public:
  LogNode(sim::DiskModel& model, std::uint64_t incarnation, const StoredLogsOptions& with = small_options())
      : options(with), disk(model), random(incarnation), clock(world), store(std::in_place) {
    ports.emplace(Ports{clock, random, network, disk, *store, mailbox, process});
  }
  ~LogNode() {
    if (!world.scheduler.dying()) {
      world.scheduler.kill_all();
    }
    logs.reset();
  }
  // Runs body(*this) in a fiber until it ends or the node does: the keeper's timer would go on for ever.
  template <typename Body>
  void run(Body body) {
    bool ended = false;
    world.spawn("test", [this, body, &ended] {
      body(*this);
      ended = true;
    });
    for (int second = 0; !ended && !disk.stopped() && !process.ended; ++second) {
      ASSERT_LT(second, 10'000) << "the test hangs";
      world.run_for(Duration::seconds(1));
    }
  }
  // Opens and starts the logs, in a fiber.
  Status open() {
    logs = std::make_unique<StoredLogs>(*ports, options);
    const StatusOr<RecoverySummary> opened = logs->open(soon());
    RETURN_IF_ERROR(opened.status());
    recovery = *opened;
    logs->start();
    return ok();
  }
  Deadline soon() { return Deadline(MonotonicTime::never(), Expiry::kNever, world.scheduler.root_cancel()); }
  PartitionLog& log(int partition) {
    Ref<PartitionLog> found = logs->find(key_of(partition));
    if (!found) {
      StatusOr<Ref<PartitionLog>> made = logs->create(key_of(partition), "topic", config);
      while (absl::IsResourceExhausted(made.status())) {
        CHECK_OK(fiber::sleep(Duration::milliseconds(1)));  // until the files of one that was removed are gone
        made = logs->create(key_of(partition), "topic", config);
      }
      CHECK_OK(made.status());
      found = *made;
    }
    logs->configure(key_of(partition), config);
    return *found;  // the manager holds it, too
  }
  Appended append(int partition, const std::string& prefix, int count, std::int64_t timestamp_ms = 1'000) {
    PartitionLog& to = log(partition);
    Slice batch = batch_of(prefix, count, timestamp_ms);
    while (!logs->make_room(batch.size(), soon()).ok()) {
      CHECK_OK(fiber::sleep(Duration::milliseconds(1)));  // until the drainer has freed a file
    }
    return to.append(std::move(batch), summary_of(count, timestamp_ms), LeaderEpoch(epoch));
  }

  StoredLogsOptions options;
  LogConfig config = small_segments();  // of every log
  std::int32_t epoch = 1;
  ModelDisk disk;
  chronik::testing::FakeProcess process;
  FakeRandom random;
  NoNetwork network;
  NoMailbox mailbox;
  FiberWorld world;
  WorldClock clock;
  std::optional<MemoryStore> store;
  std::optional<Ports> ports;
  std::unique_ptr<StoredLogs> logs;
  RecoverySummary recovery;
};

}  // namespace chronik::log::testing
