#include "core/group/records.h"

#include "core/base/endian.h"
#include "core/protocol/reader.h"
#include "core/protocol/writer.h"

namespace chronik::group {

namespace {

constexpr std::int16_t kOffsetKeyOld = 0;
constexpr std::int16_t kOffsetKey = 1;
constexpr std::int16_t kGroupKey = 2;

constexpr std::int16_t kVersionWithExpiry = 1;
constexpr std::int16_t kVersionUsual = 3;
constexpr std::int16_t kVersionWithTopicId = 4;

Status without_version(const char* what) {
  return absl::InvalidArgumentError(fmt::format("{} shorter than its version", what));
}

bool read_record_version(ByteSpan bytes, std::int16_t& version) {
  if (bytes.size() < sizeof version) {
    return false;
  }
  version = load_big<std::int16_t>(bytes.data());
  return true;
}

template <typename T>
StatusOr<T> parse_record_fields(const Slice& body, std::int16_t version, bool flexible, const char* what) {
  protocol::Reader reader(body, version, flexible);
  T fields;
  reader.structure(fields);
  RETURN_IF_ERROR(reader.status(what));
  return fields;
}

template <typename T>
StatusOr<T> parse_record_value(const Slice& value, const char* what) {
  std::int16_t version = 0;
  if (!read_record_version(value.bytes(), version)) {
    return without_version(what);
  }
  if (!kValueVersions.contains(version)) {
    return absl::OutOfRangeError(fmt::format("{} of version {}, which is not known", what, version));
  }
  return parse_record_fields<T>(value.from(sizeof version), version, version >= kValueFlexibleSince, what);
}

template <typename T>
Slice encode_record(const T& fields, std::int16_t version, bool flexible) {
  protocol::Sizer sizer(version, flexible);
  sizer.structure(fields);
  protocol::Writer writer(version, flexible, sizeof version + sizer.total());
  writer.number(version);
  writer.structure(fields);
  return writer.finish().flat();
}

template <typename T>
Slice encode_record_value(const T& value, std::int16_t version) {
  CHECK(kValueVersions.contains(version));
  return encode_record(value, version, version >= kValueFlexibleSince);
}

template <typename T>
StatusOr<RecordKey> parse_key_fields(ByteSpan bytes, const char* what) {
  ASSIGN_OR_RETURN(T key, parse_record_fields<T>(Slice::of_static(bytes), 0, false, what));
  return RecordKey(std::move(key));
}

}  // namespace

StatusOr<RecordKey> parse_key(ByteSpan bytes) {
  std::int16_t version = 0;
  if (!read_record_version(bytes, version)) {
    return without_version("a record's key");
  }
  const ByteSpan fields = bytes.subspan(sizeof version);
  switch (version) {
    case kOffsetKeyOld:
    case kOffsetKey: return parse_key_fields<OffsetKey>(fields, "OffsetCommitKey");
    case kGroupKey: return parse_key_fields<GroupKey>(fields, "GroupMetadataKey");
    default: return RecordKey(UnknownKey{version});
  }
}

Slice encode_key(const OffsetKey& key) { return encode_record(key, kOffsetKey, false); }
Slice encode_key(const GroupKey& key) { return encode_record(key, kGroupKey, false); }

// The bytes outlive the parsing, and nothing of the result refers to them.
StatusOr<OffsetValue> parse_offset_value(ByteSpan bytes) {
  return parse_record_value<OffsetValue>(Slice::of_static(bytes), "OffsetCommitValue");
}

Slice encode_value(const OffsetValue& value, std::int16_t version) { return encode_record_value(value, version); }
Slice encode_value(const OffsetValue& value) {
  const bool expires = value.expire_timestamp_ms != OffsetValue().expire_timestamp_ms;
  const std::int16_t version = value.topic_id == Uuid{} ? kVersionUsual : kVersionWithTopicId;
  return encode_value(value, expires ? kVersionWithExpiry : version);
}

StatusOr<GroupValue> parse_group_value(ByteSpan bytes) {
  auto value = parse_record_value<GroupValue>(Slice::copy_of(bytes), "GroupMetadataValue");
  if (value.ok()) {
    for (MemberValue& member : value->members) {
      if (member.rebalance_timeout_ms < 0) {
        member.rebalance_timeout_ms = member.session_timeout_ms;
      }
    }
  }
  return value;
}

Slice encode_value(const GroupValue& value, std::int16_t version) { return encode_record_value(value, version); }
Slice encode_value(const GroupValue& value) { return encode_value(value, kVersionUsual); }

}  // namespace chronik::group
