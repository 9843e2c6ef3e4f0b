// One incarnation of a node that has nothing but a write-ahead log, and a client of it whose state is easy to judge:
// the list of all records by LSN, and an LSN below which they count as drained to segments.
#pragma once

#include <absl/container/btree_map.h>
#include <fmt/core.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "core/wal/wal.h"
#include "tests/support/fiber_world.h"
#include "tests/support/model_disk.h"

namespace chronik::wal::testing {

using chronik::testing::FakeProcess;
using chronik::testing::FakeRandom;
using chronik::testing::FiberWorld;
using chronik::testing::ModelDisk;

inline const LogKey kKey{.topic = Uuid::from_random(7, 7), .partition = PartitionId(3)};

// One of many logs, where a test needs more than that one.
inline LogKey log_of(int n) { return {.topic = kKey.topic, .partition = PartitionId(n)}; }

class TestClient : public WalClient {
 public:
  // ---- the state ----
  absl::btree_map<std::int64_t, std::string>
      records;     // by LSN; those below `drained` only as far as the test knows them
  Lsn drained{1};  // records below are safe without the log
  std::size_t checkpoint_part_bytes = 100;
  std::size_t checkpoint_parts = 1;

  // ---- what was said to it ----
  std::vector<Lsn> durable;
  std::vector<Lsn> pressed;
  std::vector<DamagedRange> damage;
  std::vector<ReplayedRecord> replayed;
  std::vector<Offset> log_ends;  // that summaries told
  Lsn checkpoint_lsn = Lsn::none();
  Lsn drained_before{1};  // as the checkpoint said
  std::size_t drained_by_recovery = 0;
  std::size_t parts_replayed = 0;
  std::string wrong;  // the first thing that does not fit together
  Status refuse;      // what replay() returns, once not ok

  Lsn write_checkpoint(CheckpointWriter& checkpoint) override {
    drained = std::exchange(drained_all_, false) ? checkpoint.lsn() : drained;
    for (std::size_t i = 0; i < checkpoint_parts; ++i) {
      Slice part = Slice::allocate(std::max<std::size_t>(checkpoint_part_bytes, 20));
      std::fill(part.mutable_data(), part.mutable_data() + part.size(), static_cast<std::uint8_t>(i));
      store_little(part.mutable_data(), checkpoint.lsn().value());
      store_little(part.mutable_data() + 8, drained.value());
      store_little(part.mutable_data() + 16, fingerprint(drained, checkpoint.lsn()));
      checkpoint.add(std::move(part));
    }
    if (!records.empty() && records.rbegin()->first >= checkpoint.lsn().value()) {
      wrong = "a record behind the checkpoint was in the state";
    }
    return drained;
  }
  void on_durable(Lsn lsn) override { durable.push_back(lsn); }
  void on_pressure(Lsn to) override { pressed.push_back(to); }

  Status replay_checkpoint(Lsn lsn, const Slice& part, bool last_part) override {
    checkpoint_lsn = lsn;
    ++parts_replayed;
    if (load_little<std::int64_t>(part.data()) != lsn.value()) {
      wrong = "a checkpoint of another LSN";
    }
    drained = Lsn(load_little<std::int64_t>(part.data() + 8));
    drained_before = drained;
    expected_fingerprint_ = load_little<std::uint32_t>(part.data() + 16);
    if (last_part != (parts_replayed == checkpoint_parts)) {
      wrong = "parts of the checkpoint are missing";
    }
    return ok();
  }
  Status replay(const ReplayedRecord& record) override {
    if (!refuse.ok()) {
      return refuse;
    }
    if (record.lsn >= checkpoint_lsn && checkpoint_lsn != Lsn::none() && !checkpoint_checked_) {
      check_checkpoint();
    }
    if (!records.empty() && record.lsn.value() != records.rbegin()->first + 1 && damage.empty()) {
      wrong = fmt::format("LSN {} after {}", record.lsn, records.rbegin()->first);
    }
    if (record.key != kKey) {
      wrong = "another key";
    }
    records[record.lsn.value()] = std::string(record.payload.text());
    ReplayedRecord copy = record;
    copy.payload = Slice::copy_of(record.payload.bytes());
    replayed.push_back(std::move(copy));
    return ok();
  }
  Status drain_replayed() override {
    ++drained_by_recovery;
    drained_all_ = true;
    if (!replayed.empty() && replayed.back().in_doubt) {
      wrong = "what is in doubt was to be drained";
    }
    return ok();
  }
  // The log of these tests ends at the LSN of its last record.
  void replay_log_end(Lsn lsn, const LogKey& key, Offset end) override {
    if (key != kKey || end.value() != lsn.value() - 1) {
      wrong = fmt::format("a log that ends at {} before LSN {}", end, lsn);
    }
    log_ends.push_back(end);
  }
  Offset log_end(const LogKey& /*key*/) const override {
    return records.empty() ? Offset::none() : Offset(records.rbegin()->first);
  }
  void replay_damage(const DamagedRange& range) override { damage.push_back(range); }

  // After open(): the checkpoint described what was replayed below it.
  void check_checkpoint() {
    checkpoint_checked_ = true;
    if (checkpoint_lsn != Lsn::none() && damage.empty() &&
        fingerprint(drained_before, checkpoint_lsn) != expected_fingerprint_) {
      wrong = "the checkpoint does not describe the records before it";
    }
  }

 private:
  std::uint32_t fingerprint(Lsn from, Lsn to) const {
    std::uint32_t crc = 0;
    for (auto it = records.lower_bound(from.value()); it != records.end() && it->first < to.value(); ++it) {
      crc = crc32c(as_bytes(it->second), crc);
    }
    return crc;
  }
  std::uint32_t expected_fingerprint_ = 0;
  bool checkpoint_checked_ = false;
  bool drained_all_ = false;
};

inline WalOptions small_options() {
  WalOptions options;
  options.directory = "wal/0";
  options.rotation_bytes = 128 * 1024;
  options.files_max = 4;
  options.batch_bytes_max = 32 * 1024;
  options.queue_bytes_max = 256 * 1024;
  options.record_bytes_max = 32 * 1024;
  options.control_reserve_bytes = 8 * 1024;
  options.free_disk_reserve_bytes = 64 * 1024;
  options.fill_step_bytes = 64 * 1024;
  options.fill_after_bytes = 32 * 1024;
  options.read_chunk_bytes = 16 * 1024;
  options.io_timeout = Duration::seconds(5);
  return options;
}

// Lives until it is destroyed, which kills it.
class Node {
 public:
  Node(sim::DiskModel& model, std::uint64_t incarnation, WalOptions wal_options = small_options())
      : options(std::move(wal_options)), disk(model), random(incarnation) {}
  ~Node() { kill(); }

  // The process is gone, and nothing of it holds the disk any more.
  void kill() {
    if (!world.scheduler.dying()) {
      world.scheduler.kill_all();
    }
    wal.reset();
  }

  // Runs body(*this) in a fiber, until nothing moves any more. A body that waits for ever is a failure, unless its node
  // has died.
  template <typename Body>
  void run(Body body) {
    bool ended = false;
    world.spawn("test", [this, body, &ended] {
      body(*this);
      // They may hold what was the body's, and the log's own fibers go on.
      disk.on_event = nullptr;
      disk.on_run = nullptr;
      disk.on_fill = nullptr;
      ended = true;
    });
    world.run();
    EXPECT_TRUE(ended || disk.stopped() || process.ended) << "the test hangs";
  }
  // Opens the log, in a fiber.
  Status open() {
    auto opened = Wal::open({.disk = disk, .random = random, .process = process}, options, client,
                            world.scheduler.root_cancel(), soon());
    RETURN_IF_ERROR(opened.status());
    wal = *std::move(opened);
    client.check_checkpoint();
    return ok();
  }
  // Without an end: a node that has crashed has no time any more.
  Deadline soon() { return Deadline(MonotonicTime::never(), Expiry::kNever, world.scheduler.root_cancel()); }
  Room reserve(std::size_t size, Urgency urgency = Urgency::kData) { return wal->try_reserve(size, urgency); }
  // Room must be there.
  Lsn append(std::string payload, Urgency urgency = Urgency::kData) {
    return append_to(kKey, std::move(payload), urgency);
  }
  Lsn append_to(const LogKey& key, std::string payload, Urgency urgency = Urgency::kData) {
    CHECK(reserve(payload.size(), urgency) == Room::kGranted);
    const Lsn lsn = wal->append(RecordType::kAppend, key, Slice::copy_of(payload), Offset(wal->next_lsn().value()));
    client.records[lsn.value()] = std::move(payload);
    return lsn;
  }
  Status append_and_wait(std::string payload) { return wal->wait_durable(append(std::move(payload)), soon()); }
  // All that is durable is in segments.
  void drain() {
    client.drained = wal->durable().next();
    wal->release_up_to(client.drained);
  }

  WalOptions options;
  TestClient client;
  ModelDisk disk;
  FakeProcess process;
  FakeRandom random;
  std::unique_ptr<Wal> wal;
  FiberWorld world;  // destroyed first: but for the fibers, nothing of it is used by the others
};

}  // namespace chronik::wal::testing
