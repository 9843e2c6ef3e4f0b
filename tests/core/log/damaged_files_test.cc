// What a loss of power may leave in files that were not synced, or whose sync failed.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/base/endian.h"
#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log {
namespace {

using testing::LogNode;
using testing::overwrite;
using testing::read_file;

constexpr std::uint64_t kDamagedDiskBytes = 64 << 20;
constexpr int kBatches = 400;
constexpr int kRecords = 3;  // of each
constexpr std::size_t kEntryBytes = 8;
constexpr std::size_t kTimeEntryBytes = 12;

std::string first_segment(std::string_view ending) {
  return "logs/" + testing::key_of(0).to_string() + "/00000000000000000000" + std::string(ending);
}

std::int64_t timestamp_of(int batch) { return 10'000 + 10 * batch; }

// One life that leaves several segments, each with index entries, and is killed.
// `peak`: a batch with a later time than all others.
constexpr std::int64_t kPeakTime = 1'000'000;
void fill_segments(sim::DiskModel& model, int peak = -1) {
  {
    LogNode node(model, 1);
    node.run([peak](LogNode& n) {
      ASSERT_TRUE(n.open().ok());
      for (int i = 0; i < kBatches; ++i) {
        n.append(0, "value", kRecords, i == peak ? kPeakTime : timestamp_of(i));
      }
      ASSERT_TRUE(n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)).ok());
    });
  }
  model.process_kill();
}

// Every offset is served, by the batch that holds it.
void expect_all_readable(LogNode& n) {
  PartitionLog& log = n.log(0);
  ASSERT_EQ(log.log_end().value(), kBatches * kRecords);
  for (Offset at(0); at < log.log_end(); at = at.next()) {
    const auto read = log.read(at, {.max_bytes = 1, .below = log.log_end()}, n.soon());
    ASSERT_TRUE(read.ok()) << at.value() << ": " << read.status().ToString();
    ASSERT_EQ(read->end.value(), (at.value() / kRecords + 1) * kRecords) << at.value();
  }
  EXPECT_TRUE(log.damaged().empty());
}

TEST(DamagedFiles, AnIndexEntryWithAWrongPositionIsNotBelieved) {
  sim::DiskModel model(kDamagedDiskBytes);
  fill_segments(model);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    const Slice index = read_file(n, first_segment(".index"));
    ASSERT_GE(index.size(), 4 * kEntryBytes);
    Slice torn = Slice::copy_of(index.bytes().subspan(kEntryBytes, kEntryBytes));
    store_big(torn.mutable_data() + 4, load_big<std::uint32_t>(torn.data() + 4) - 20);
    overwrite(n, first_segment(".index"), kEntryBytes, std::move(torn));
    ASSERT_TRUE(n.open().ok());
    expect_all_readable(n);
  });
}

TEST(DamagedFiles, AnIndexEntryWithAWrongOffsetSkipsNothing) {
  sim::DiskModel model(kDamagedDiskBytes);
  fill_segments(model);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    const Slice index = read_file(n, first_segment(".index"));
    ASSERT_GE(index.size(), 4 * kEntryBytes);
    Slice torn = Slice::copy_of(index.bytes().subspan(kEntryBytes, kEntryBytes));
    store_big(torn.mutable_data(), load_big<std::uint32_t>(torn.data()) - kRecords);
    overwrite(n, first_segment(".index"), kEntryBytes, std::move(torn));
    ASSERT_TRUE(n.open().ok());
    expect_all_readable(n);
  });
}

void expect_all_times_found(LogNode& n) {
  for (int i = 0; i < kBatches; ++i) {
    const auto found =
        n.log(0).find_timestamp(WallTime::from_milliseconds(timestamp_of(i)), n.log(0).log_end(), n.soon());
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    ASSERT_TRUE(found->has_value()) << i;
    EXPECT_EQ((*found)->offset.value(), i * kRecords);
  }
}

TEST(DamagedFiles, ATimeEntryWithAWrongTimestampHidesNothing) {
  sim::DiskModel model(kDamagedDiskBytes);
  fill_segments(model);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    const Slice times = read_file(n, first_segment(".timeindex"));
    ASSERT_GE(times.size(), 4 * kTimeEntryBytes);
    Slice torn = Slice::copy_of(times.bytes().subspan(kTimeEntryBytes, kTimeEntryBytes));
    store_big(torn.mutable_data(), load_big<std::int64_t>(torn.data()) - 13);
    overwrite(n, first_segment(".timeindex"), kTimeEntryBytes, std::move(torn));
    ASSERT_TRUE(n.open().ok());
    expect_all_times_found(n);
  });
}

TEST(DamagedFiles, ATimeIndexThatIsLostDoesNotMakeTheSegmentOlder) {
  sim::DiskModel model(kDamagedDiskBytes);
  fill_segments(model, 20);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    auto file = n.disk.open(first_segment(".timeindex"), OpenMode::kReadWrite, DiskLane::kBulk, n.soon());
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->truncate(kTimeEntryBytes, n.soon()).ok());
    ASSERT_TRUE(n.open().ok());
    const auto found = n.log(0).find_timestamp(WallTime::from_milliseconds(kPeakTime), n.log(0).log_end(), n.soon());
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    ASSERT_TRUE(found->has_value());
    EXPECT_EQ((*found)->offset.value(), 20 * kRecords);
  });
}

TEST(DamagedFiles, BytesBehindTheLastBatchOfASealedSegmentAreNotOfTheLog) {
  // The cut of what an earlier life wrote there was lost with its sync, and the power.
  sim::DiskModel model(kDamagedDiskBytes);
  fill_segments(model);
  LogNode node(model, 2);
  node.run([](LogNode& n) {
    ASSERT_GE(n.disk.list_directory("logs/" + testing::key_of(0).to_string(), n.soon())->size(), 6u);
    const std::uint64_t size = read_file(n, first_segment(".log")).size();
    Slice zeros = Slice::allocate(5'000);
    std::fill_n(zeros.mutable_data(), zeros.size(), std::uint8_t{0});
    overwrite(n, first_segment(".log"), size, std::move(zeros));
    ASSERT_TRUE(n.open().ok());
    expect_all_readable(n);
    expect_all_times_found(n);
    EXPECT_EQ(read_file(n, first_segment(".log")).size(), size);
  });
}

}  // namespace
}  // namespace chronik::log
