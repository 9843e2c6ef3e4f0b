#include "core/group/records.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <string_view>

#include "core/base/mix.h"
#include "core/protocol/generator.h"

namespace chronik::group {
namespace {

// Bytes in hex, with blanks for the eye, and text between single quotes: "0003 'abc' ff".
std::string bytes(std::string_view notation) {
  std::string out;
  const auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i < notation.size(); ++i) {
    if (notation[i] == '\'') {
      for (++i; notation[i] != '\''; ++i) {
        out += notation[i];
      }
    } else if (notation[i] != ' ') {
      out += static_cast<char>(nibble(notation[i]) * 16 + nibble(notation[i + 1]));
      ++i;
    }
  }
  return out;
}

class Draws final : public Random {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t next() override { return mix(seed_, ++count_); }

 private:
  const std::uint64_t seed_;
  std::uint64_t count_ = 0;
};

// As that version can carry it.
template <typename T>
T random_value(std::uint64_t seed, std::int16_t version) {
  Draws draws(seed);
  protocol::Generator generator(draws, version, version >= kValueFlexibleSince);
  T value;
  generator.value(value);
  return value;
}

OffsetValue some_offset() {
  return {.offset = Offset(258),
          .leader_epoch = LeaderEpoch(2),
          .metadata = "m",
          .commit_timestamp_ms = 0x0102030405060708,
          .topic_id = {}};
}

GroupValue some_group() {
  return {.protocol_type = "consumer",
          .generation = GenerationId(7),
          .protocol = "range",
          .leader = "a",
          .current_state_timestamp_ms = 0x0102030405060708,
          .members = {{.member_id = "a",
                       .group_instance_id = "i",
                       .client_id = "c",
                       .client_host = "/h",
                       .rebalance_timeout_ms = 300'000,
                       .session_timeout_ms = 10'000,
                       .subscription = Slice::copy_of("S1"),
                       .assignment = Slice::copy_of("A")}}};
}

void expect_key(const RecordKey& expected, const std::string& wire) {
  const auto key = parse_key(as_bytes(wire));
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(*key, expected);
}

void expect_offset(const OffsetValue& expected, const std::string& wire) {
  const auto value = parse_offset_value(as_bytes(wire));
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, expected);
}

void expect_group(const GroupValue& expected, const std::string& wire) {
  const auto value = parse_group_value(as_bytes(wire));
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, expected);
}

TEST(GroupRecords, KeysOfOffsets) {
  const OffsetKey key{.group = "g", .topic = "topic", .partition = PartitionId(3)};
  EXPECT_EQ(encode_key(key).text(), bytes("0001 0001'g' 0005'topic' 00000003"));
  expect_key(key, bytes("0001 0001'g' 0005'topic' 00000003"));
  expect_key(key, bytes("0000 0001'g' 0005'topic' 00000003"));
}

TEST(GroupRecords, KeysOfGroups) {
  const GroupKey key{.group = "g"};
  EXPECT_EQ(encode_key(key).text(), bytes("0002 0001'g'"));
  expect_key(key, bytes("0002 0001'g'"));
  expect_key(GroupKey{}, bytes("0002 0000"));
}

TEST(GroupRecords, KeysOfOtherKindsAreSaidToBeUnknown) {
  expect_key(UnknownKey{.version = 3}, bytes("0003 0001'g'"));
  expect_key(UnknownKey{.version = -1}, bytes("ffff"));
}

TEST(GroupRecords, BytesThatAreNoKeyAreRefused) {
  for (const auto key : {"", "00", "0001", "0001 0001'g' 0005'topic' 000000", "0002 ffff", "0002 0002'g'"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(parse_key(as_bytes(bytes(key))).status())) << key;
  }
}

TEST(GroupRecords, OffsetIsWrittenInVersion3) {
  const std::string wire = bytes("0003 0000000000000102 00000002 0001'm' 0102030405060708");
  EXPECT_EQ(encode_value(some_offset()).text(), wire);
  expect_offset(some_offset(), wire);
}

TEST(GroupRecords, OffsetWithItsOwnTimeToExpireIsWrittenInVersion1) {
  OffsetValue value = some_offset();
  value.expire_timestamp_ms = 9;
  const std::string wire = bytes("0001 0000000000000102 0001'm' 0102030405060708 0000000000000009");
  EXPECT_EQ(encode_value(value).text(), wire);
  value.leader_epoch = LeaderEpoch::none();
  expect_offset(value, wire);
}

TEST(GroupRecords, OffsetWithATopicIdIsWrittenInVersion4) {
  OffsetValue value = some_offset();
  value.topic_id.bytes[15] = 7;
  const std::string wire =
      bytes("0004 0000000000000102 00000002 02'm' 0102030405060708 01 00 10 00000000000000000000000000000007");
  EXPECT_EQ(encode_value(value).text(), wire);
  expect_offset(value, wire);
}

TEST(GroupRecords, OldOffsetsAreRead) {
  OffsetValue value = some_offset();
  value.leader_epoch = LeaderEpoch::none();
  expect_offset(value, bytes("0000 0000000000000102 0001'm' 0102030405060708"));
  expect_offset(value, bytes("0002 0000000000000102 0001'm' 0102030405060708"));
}

TEST(GroupRecords, TaggedFieldsOfTheFutureAreSkipped) {
  expect_offset(some_offset(), bytes("0004 0000000000000102 00000002 02'm' 0102030405060708 01 05 02 abcd"));
}

TEST(GroupRecords, GroupIsWrittenInVersion3) {
  const std::string wire = bytes(
      "0003 0008'consumer' 00000007 0005'range' 0001'a' 0102030405060708 00000001"
      "0001'a' 0001'i' 0001'c' 0002'/h' 000493e0 00002710 00000002'S1' 00000001'A'");
  EXPECT_EQ(encode_value(some_group()).text(), wire);
  expect_group(some_group(), wire);
}

TEST(GroupRecords, GroupInVersion4) {
  const std::string wire = bytes(
      "0004 09'consumer' 00000007 06'range' 02'a' 0102030405060708 02"
      "02'a' 02'i' 02'c' 03'/h' 000493e0 00002710 03'S1' 02'A' 00 00");
  EXPECT_EQ(encode_value(some_group(), 4).text(), wire);
  expect_group(some_group(), wire);
}

TEST(GroupRecords, EmptyGroupHasNeitherProtocolNorLeader) {
  const GroupValue value{.protocol_type = "", .generation = GenerationId(7), .current_state_timestamp_ms = 1};
  const std::string wire = bytes("0003 0000 00000007 ffff ffff 0000000000000001 00000000");
  EXPECT_EQ(encode_value(value).text(), wire);
  expect_group(value, wire);
}

TEST(GroupRecords, MemberWithoutRebalanceTimeoutHasItsSessionTimeout) {
  GroupValue value = some_group();
  value.current_state_timestamp_ms = -1;
  value.members[0].group_instance_id.reset();
  value.members[0].rebalance_timeout_ms = value.members[0].session_timeout_ms;
  expect_group(value, bytes("0000 0008'consumer' 00000007 0005'range' 0001'a' 00000001"
                            "0001'a' 0001'c' 0002'/h' 00002710 00000002'S1' 00000001'A'"));
}

TEST(GroupRecords, ParsedGroupDoesNotReferToItsRecord) {
  std::string wire(encode_value(some_group()).text());
  const auto value = parse_group_value(as_bytes(wire));
  wire.assign(wire.size(), 'x');
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, some_group());
}

TEST(GroupRecords, ValuesOfUnknownVersionsAreRefused) {
  for (const auto value : {"0005 00", "ffff"}) {
    EXPECT_TRUE(absl::IsOutOfRange(parse_offset_value(as_bytes(bytes(value))).status())) << value;
    EXPECT_TRUE(absl::IsOutOfRange(parse_group_value(as_bytes(bytes(value))).status())) << value;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(parse_offset_value({}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(parse_group_value(as_bytes("\x03")).status()));
}

TEST(GroupRecords, RandomValuesSurviveInEveryVersion) {
  for (std::int16_t version = kValueVersions.min; version <= kValueVersions.max; ++version) {
    SCOPED_TRACE(version);
    ASSERT_TRUE(rc::check([&](std::uint64_t seed) {
      const auto offset = random_value<OffsetValue>(seed, version);
      const auto parsed = parse_offset_value(encode_value(offset, version).bytes());
      RC_ASSERT(parsed.ok());
      RC_ASSERT(*parsed == offset);
    }));
    ASSERT_TRUE(rc::check([&](std::uint64_t seed) {
      auto group = random_value<GroupValue>(seed, version);
      const auto parsed = parse_group_value(encode_value(group, version).bytes());
      RC_ASSERT(parsed.ok());
      for (MemberValue& member : group.members) {
        member.rebalance_timeout_ms =
            member.rebalance_timeout_ms < 0 ? member.session_timeout_ms : member.rebalance_timeout_ms;
      }
      RC_ASSERT(*parsed == group);
    }));
  }
}

TEST(GroupRecords, EveryTruncationIsRefused) {
  for (std::int16_t version = kValueVersions.min; version <= kValueVersions.max; ++version) {
    const Slice offset = encode_value(some_offset(), version);
    for (std::size_t size = 0; size < offset.size(); ++size) {
      // A copy of its own, so that a sanitizer sees a read beyond the end.
      const Slice cut = Slice::copy_of(offset.bytes().first(size));
      EXPECT_TRUE(absl::IsInvalidArgument(parse_offset_value(cut.bytes()).status())) << version << " at " << size;
    }
    const Slice group = encode_value(some_group(), version);
    for (std::size_t size = 0; size < group.size(); ++size) {
      const Slice cut = Slice::copy_of(group.bytes().first(size));
      EXPECT_TRUE(absl::IsInvalidArgument(parse_group_value(cut.bytes()).status())) << version << " at " << size;
    }
  }
}

}  // namespace
}  // namespace chronik::group
