// The records of __consumer_offsets, byte for byte as Apache Kafka writes them, so that its tools read ours and a group
// can move from a cluster of the one kind to one of the other.
//
//   key:   version i16 | fields    0, 1: OffsetKey   2: GroupKey   others: what newer brokers keep there
//   value: version i16 | fields    compact and with tagged fields from version 4 on
//
// A record without a value says that what its key names is gone; that is the caller's to see.
//
// Parsing is total: any bytes give a record or a reason, kInvalidArgument. A value of a version that is not known is
// kOutOfRange. Bytes after the end are ignored, as Kafka does.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/base/uuid.h"
#include "core/protocol/message.h"

namespace chronik::group {

// How far a group has come in a partition: the value is an OffsetValue.
struct OffsetKey {
  std::string group;
  std::string topic;
  PartitionId partition;
  bool operator==(const OffsetKey&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("group", protocol::since(0), m.group);
    op.field("topic", protocol::since(0), m.topic);
    op.field("partition", protocol::since(0), m.partition);
  }
};

// A generation of a group: the value is a GroupValue.
struct GroupKey {
  std::string group;
  bool operator==(const GroupKey&) const = default;
  static void fields(auto& op, auto& m) { op.field("group", protocol::since(0), m.group); }
};

// A kind of record that this program does not know: to be skipped.
struct UnknownKey {
  std::int16_t version = 0;
  bool operator==(const UnknownKey&) const = default;
};

using RecordKey = std::variant<OffsetKey, GroupKey, UnknownKey>;

struct OffsetValue {
  Offset offset;
  LeaderEpoch leader_epoch;
  std::string metadata;
  std::int64_t commit_timestamp_ms = 0;
  std::int64_t expire_timestamp_ms = -1;  // -1: as the broker is configured
  Uuid topic_id;
  bool operator==(const OffsetValue&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("offset", protocol::since(0), m.offset);
    op.field("leaderEpoch", protocol::since(3), m.leader_epoch);
    op.field("metadata", protocol::since(0), m.metadata);
    op.field("commitTimestamp", protocol::since(0), m.commit_timestamp_ms);
    op.field("expireTimestamp", protocol::versions(1, 1), m.expire_timestamp_ms);
    op.tagged(0, "topicId", protocol::since(4), m.topic_id);
  }
};

struct MemberValue {
  std::string member_id;
  std::optional<std::string> group_instance_id;
  std::string client_id;
  std::string client_host;
  std::int32_t rebalance_timeout_ms = -1;  // parsed, never -1: where it is missing, the session timeout is put here
  std::int32_t session_timeout_ms = 0;
  Slice subscription;
  Slice assignment;
  bool operator==(const MemberValue&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("memberId", protocol::since(0), m.member_id);
    op.field("groupInstanceId", protocol::since(3), m.group_instance_id, protocol::nullable_since(3));
    op.field("clientId", protocol::since(0), m.client_id);
    op.field("clientHost", protocol::since(0), m.client_host);
    op.field("rebalanceTimeout", protocol::since(1), m.rebalance_timeout_ms);
    op.field("sessionTimeout", protocol::since(0), m.session_timeout_ms);
    op.field("subscription", protocol::since(0), m.subscription);
    op.field("assignment", protocol::since(0), m.assignment);
  }
};

struct GroupValue {
  std::string protocol_type;
  GenerationId generation;
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  std::int64_t current_state_timestamp_ms = -1;
  std::vector<MemberValue> members;
  bool operator==(const GroupValue&) const = default;
  static void fields(auto& op, auto& m) {
    op.field("protocolType", protocol::since(0), m.protocol_type);
    op.field("generation", protocol::since(0), m.generation);
    op.field("protocol", protocol::since(0), m.protocol, protocol::nullable_since(0));
    op.field("leader", protocol::since(0), m.leader, protocol::nullable_since(0));
    op.field("currentStateTimestamp", protocol::since(2), m.current_state_timestamp_ms);
    op.field("members", protocol::since(0), m.members);
  }
};

inline constexpr protocol::VersionRange kValueVersions = protocol::versions(0, 4);
inline constexpr std::int16_t kValueFlexibleSince = 4;

StatusOr<RecordKey> parse_key(ByteSpan bytes);
Slice encode_key(const OffsetKey& key);
Slice encode_key(const GroupKey& key);

StatusOr<OffsetValue> parse_offset_value(ByteSpan bytes);
// In the version that Kafka takes: 3, the last one without tagged fields, but for a value with its own time to expire
// (1, which has no leader epoch) and one with a topic id (4).
Slice encode_value(const OffsetValue& value);
Slice encode_value(const OffsetValue& value, std::int16_t version);

// Copies: subscriptions and assignments are slices of one buffer of the value's own size.
StatusOr<GroupValue> parse_group_value(ByteSpan bytes);
// In version 3.
Slice encode_value(const GroupValue& value);
Slice encode_value(const GroupValue& value, std::int16_t version);

}  // namespace chronik::group
