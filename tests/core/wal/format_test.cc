#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/wal/file_header.h"
#include "core/wal/flush_summary.h"
#include "core/wal/record.h"

namespace chronik::wal {
namespace {

RecordHeader sample_header(std::uint32_t length) {
  RecordHeader header;
  header.length = length;
  header.lsn = Lsn(77);
  header.flush = FlushNumber(5);
  header.generation = Generation(3);
  header.use = 0xdeadbeef;
  header.type = RecordType::kTruncate;
  header.flags = kFlagEndsFlush;
  header.key.topic = Uuid::from_random(1, 2);
  header.key.partition = PartitionId(9);
  return header;
}

TEST(WalRecord, AHeaderComesBackAsItWasWritten) {
  const Slice payload = Slice::copy_of("hello");
  std::vector<std::uint8_t> bytes(kRecordHeaderBytes);
  const RecordHeader header = sample_header(5);
  encode_record_header(bytes.data(), header, payload.bytes());
  EXPECT_EQ(decode_record_header(bytes.data()), header);
}

TEST(WalRecord, AnyChangedByteIsNoticed) {
  const std::string_view payload = "payload of a record";
  std::vector<std::uint8_t> bytes(kRecordHeaderBytes + payload.size());
  std::copy(payload.begin(), payload.end(), bytes.begin() + kRecordHeaderBytes);
  encode_record_header(bytes.data(), sample_header(static_cast<std::uint32_t>(payload.size())), as_bytes(payload));
  ASSERT_TRUE(record_is_whole(bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 0x40;
    EXPECT_FALSE(record_is_whole(bytes)) << i;
    bytes[i] ^= 0x40;
  }
}

TEST(WalRecord, RecordsAreAlignedToEight) {
  EXPECT_EQ(record_bytes(0), 64u);
  EXPECT_EQ(record_bytes(1), 72u);
  EXPECT_EQ(record_bytes(8), 72u);
  EXPECT_EQ(record_bytes(5000), 5064u);
  EXPECT_EQ(round_up_to_block(1), 4096u);
  EXPECT_EQ(round_up_to_block(8192), 8192u);
}

TEST(WalFlushSummary, KeepsTheLastEndOfEachLogThatIsStillThere) {
  const auto key = [](std::int32_t partition) {
    return LogKey{.topic = Uuid::from_random(1, 2), .partition = PartitionId(partition)};
  };
  FlushSummary summary;
  EXPECT_TRUE(summary.take().empty());
  for (const auto& [partition, end] : {std::pair(4, 10), {2, 7}, {4, 12}, {4, 9}, {1, 3}, {1, -1}, {3, 0}}) {
    summary.note(key(partition), Offset(end));
  }
  const std::size_t bytes_max = summary.bytes_max();
  const Slice payload = summary.take();
  EXPECT_LE(payload.size(), bytes_max);
  std::vector<std::pair<std::int32_t, std::int64_t>> ends;
  EXPECT_TRUE(read_flush_summary(payload.bytes(), [&](const LogKey& of, Offset end) {
    EXPECT_EQ(of.topic, key(0).topic);
    ends.emplace_back(of.partition.value(), end.value());
  }));
  EXPECT_EQ(ends, (std::vector<std::pair<std::int32_t, std::int64_t>>{{2, 7}, {3, 0}, {4, 9}}));
  EXPECT_TRUE(summary.take().empty());
  EXPECT_FALSE(read_flush_summary(payload.bytes().first(payload.size() - 1), [](const LogKey&, Offset) {}));
}

TEST(WalFileHeader, ComesBackAsItWasWrittenAndNotWithAChangedByte) {
  FileHeader header;
  header.kind = FileKind::kRecovery;
  header.shard = 1;
  header.shard_count = 2;
  header.generation = Generation(8);
  header.use = 12345;
  header.previous = Generation(6);
  header.cut = Lsn(99);
  header.first_lsn = Lsn(100);
  header.first_flush = FlushNumber(40);
  header.first_flush_last = Lsn(120);
  header.replay_from = Lsn(50);
  header.checkpoint_bytes = 3 * kBlockBytes;
  header.flush_bytes_max = 1 << 20;
  std::vector<std::uint8_t> block(kBlockBytes);
  encode_file_header(block.data(), header);
  ASSERT_TRUE(decode_file_header(block).has_value());
  EXPECT_EQ(*decode_file_header(block), header);
  EXPECT_EQ(header.records_at(), 8192u + 6 * 4096u);
  for (const std::size_t i : {std::size_t{0}, std::size_t{9}, std::size_t{40}, std::size_t{4095}}) {
    block[i] ^= 1;
    EXPECT_FALSE(decode_file_header(block).has_value()) << i;
    block[i] ^= 1;
  }
  EXPECT_FALSE(decode_file_header(ByteSpan(block).first(4095)).has_value());
}

}  // namespace
}  // namespace chronik::wal
