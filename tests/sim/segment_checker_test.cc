// The checker of segments against the write-ahead log finds what it is for, and takes no torn batch for one.
#include "sim/segment_checker.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "core/base/observer.h"
#include "core/protocol/record_batch_builder.h"
#include "core/protocol/record_batch_walk.h"
#include "sim/scenario.h"
#include "tests/sim/sim_support.h"

namespace chronik::sim::segment_checker_test {
namespace {

// Batches of one record each, of which the one at `torn` lost all behind its first `torn_bytes` bytes.
struct Segment {
  int batches = 2;
  int durable = 2;  // of them, by the write-ahead log
  int torn = -1;
  std::size_t torn_bytes = 0;
};

std::string bytes_of(const Segment& segment) {
  std::string bytes;
  for (int i = 0; i < segment.batches; ++i) {
    protocol::RecordBatchBuilder builder;
    const std::string value(200, 'v');
    protocol::RecordInput record;
    record.value = as_bytes(value);
    builder.append(record);
    Slice batch = builder.build({});
    protocol::set_base_offset(batch.mutable_bytes(), Offset(i));
    std::string text(batch.text());
    if (i == segment.torn) {
      std::fill(text.begin() + static_cast<std::ptrdiff_t>(segment.torn_bytes), text.end(), '\0');
    }
    bytes += text;
  }
  return bytes;
}

// What the checker says of a process that has such a segment when it ends, and that told it these things.
std::string judged(const Segment& segment, const std::function<void(const PartitionRef&)>& told) {
  SmallWorld small;
  PlanMachine planned{.name = "node", .role = "node", .numbers = {{"disk", 1}}};
  Machine& machine = add_planned_machine(small.world, planned);
  small.world.checkers().add(std::make_unique<SegmentChecker>(small.world, machine));
  machine.install([&segment, &told](ProcessContext& process) {
    chronik::Disk& disk = process.ports.disk;
    const PartitionRef partition{TopicId{}, PartitionId(0)};
    const std::string directory = "logs/" + partition.topic.to_string() + "-0";
    ASSERT_TRUE(disk.create_directory("logs", patience()).ok());
    ASSERT_TRUE(disk.create_directory(directory, patience()).ok());
    auto file = disk.open(directory + "/00000000000000000000.log", OpenMode::kCreate, DiskLane::kBulk, patience());
    ASSERT_TRUE(file.ok());
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of(bytes_of(segment))}});
    ASSERT_TRUE((*file)->run(std::move(batch), patience()).ok());
    told(partition);
  });
  machine.start();
  small.world.run_until(VirtualTime::zero() + Duration::seconds(5));
  EXPECT_FALSE(machine.running());
  return small.checker();
}

std::string judged(const Segment& segment) {
  return judged(segment, [&segment](const PartitionRef& p) {
    observer()->on_partition_opened(p, Offset(0), Offset(segment.batches), Offset(segment.durable));
  });
}

// Tells of the first batch of a segment that it is appended.
void append_first(const PartitionRef& p) {
  const std::string bytes = bytes_of({.batches = 1});
  protocol::BatchWalk walk(as_bytes(bytes), protocol::BatchWalk::Checksums::kCheck);
  protocol::RecordBatchView batch;
  ASSERT_TRUE(walk.next(batch));
  observer()->on_batch_appended(p, {.base = Offset(0), .last = Offset(0), .crc = batch.crc()});
}

TEST(SegmentCheckerTest, ABatchThatTheWriteAheadLogDoesNotVouchForIsAFinding) {
  EXPECT_EQ(judged({}), "");
  EXPECT_EQ(judged({.durable = 1}), "WAL");
  EXPECT_EQ(judged({.durable = 0}), "WAL");
}

TEST(SegmentCheckerTest, WhatIsLeftOfATornBatchIsNone) {
  // Torn within the length field, the rest of which then reads as another length; and within the records.
  for (const std::size_t kept : {std::size_t{0}, std::size_t{5}, std::size_t{10}, std::size_t{11}, std::size_t{100}}) {
    EXPECT_EQ(judged({.batches = 4, .durable = 2, .torn = 2, .torn_bytes = kept}), "") << kept;
    EXPECT_EQ(judged({.batches = 4, .durable = 1, .torn = 2, .torn_bytes = kept}), "WAL") << kept;
  }
}

TEST(SegmentCheckerTest, ABatchThatComesAgainAfterACutMayStillBeInItsFile) {
  const auto again = [](bool was_durable) {
    return judged({.batches = 1}, [was_durable](const PartitionRef& p) {
      observer()->on_partition_opened(p, Offset(0), Offset(0), Offset(0));
      append_first(p);
      if (was_durable) {
        observer()->on_durable_end(p, Offset(1));
      }
      observer()->on_truncated(p, LeaderEpoch(1), Offset(0));
      append_first(p);
    });
  };
  EXPECT_EQ(again(true), "");
  EXPECT_EQ(again(false), "WAL");
}

}  // namespace
}  // namespace chronik::sim::segment_checker_test
