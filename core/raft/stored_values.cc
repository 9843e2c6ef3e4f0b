#include "core/raft/stored_values.h"

#include <fmt/core.h>

#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "core/raft/membership_codec.h"

namespace chronik::raft {

namespace {

constexpr std::uint8_t kVersion = 3;
constexpr std::uint8_t kVersionBeforeIncarnations = 2;
constexpr std::uint8_t kVersionBeforeMembers = 1;
constexpr std::string_view kEntryPrefix = "raft/log/";
constexpr std::size_t kHeaderBytes = 5;  // version and checksum of the rest

template <std::integral T>
void put(std::string& bytes, T value) {
  const std::size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  store_little(reinterpret_cast<std::uint8_t*>(bytes.data() + at), value);
}

std::string sealed(const std::string& body) {
  std::string value;
  put(value, kVersion);
  put(value, crc32c(as_bytes(body)));
  return value + body;
}

// Takes the body out of a value and then integers off its front.
class Opened {
 public:
  Opened(const char* what, std::string_view value) {
    const ByteSpan bytes = as_bytes(value);
    if (!bytes.empty() && bytes[0] > kVersion) {
      status_ = absl::FailedPreconditionError(
          fmt::format("{} of version {}; this program knows versions up to {}", what, bytes[0], kVersion));
    } else if (bytes.size() < kHeaderBytes || bytes[0] == 0 ||
               load_little<std::uint32_t>(bytes.data() + 1) != crc32c(bytes.subspan(kHeaderBytes))) {
      status_ = absl::DataLossError(fmt::format("{} is damaged", what));
    } else {
      rest_ = bytes.subspan(kHeaderBytes);
      version_ = bytes[0];
    }
    what_ = what;
  }
  bool knows_members() const { return version_ > kVersionBeforeMembers; }
  bool knows_incarnations() const { return version_ > kVersionBeforeIncarnations; }
  template <std::integral T>
  T take() {
    if (rest_.size() < sizeof(T)) {
      fail();
      return T{};
    }
    const T value = load_little<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  Uuid take_uuid() {
    Uuid id;
    for (std::uint8_t& byte : id.bytes) {
      byte = take<std::uint8_t>();
    }
    return id;
  }
  ByteSpan take(std::size_t size) {
    if (rest_.size() < size) {
      fail();
      return {};
    }
    const ByteSpan taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  ByteSpan take_rest() { return std::exchange(rest_, {}); }
  void fail() {
    if (status_.ok()) {
      status_ = absl::DataLossError(fmt::format("{} cannot be decoded", what_));
    }
    rest_ = {};
  }
  // Ok if all was there and nothing is left.
  Status status() {
    if (!rest_.empty()) {
      fail();
    }
    return status_;
  }

 private:
  const char* what_;
  std::uint8_t version_ = kVersion;
  ByteSpan rest_;
  Status status_;
};

}  // namespace

std::string entry_key(LogIndex index) {
  CHECK_GE(index, LogIndex(0));
  std::string key(kEntryPrefix);
  const std::size_t at = key.size();
  key.resize(at + 8);
  store_big(reinterpret_cast<std::uint8_t*>(key.data() + at),
            index.value());  // big-endian: bytes in the order of numbers
  return key;
}

std::string entry_keys_end() { return std::string(kEntryPrefix) + std::string(9, '\xff'); }

std::string encode_identity(const Identity& identity) {
  std::string body;
  body.append(as_text(identity.cluster.bytes));
  body.append(as_text(identity.directory.bytes));
  put(body, identity.start_counter);
  body.append(as_text(identity.incarnation.bytes));
  put(body, static_cast<std::uint8_t>(identity.earlier.size()));
  for (const Uuid& earlier : identity.earlier) {
    body.append(as_text(earlier.bytes));
  }
  return sealed(body);
}

std::string encode_hard_state(const HardState& hard) {
  std::string body;
  put(body, hard.term.value());
  put(body, static_cast<std::uint8_t>(hard.vote.has_value()));
  if (hard.vote.has_value()) {
    put(body, hard.vote->node.value());
    body.append(as_text(hard.vote->directory.bytes));
  }
  return sealed(body);
}

std::string encode_entry(const Entry& entry) {
  std::string body;
  put(body, entry.index.value());
  put(body, entry.term.value());
  put(body, static_cast<std::uint8_t>(entry.kind));
  body.append(entry.data.text());
  return sealed(body);
}

std::string encode_snapshot(const Snapshot& snapshot) {
  const std::string members = encode_membership(snapshot.membership);
  std::string body;
  put(body, snapshot.last.value());
  put(body, snapshot.last_term.value());
  put(body, static_cast<std::uint32_t>(members.size()));
  body.append(members);
  body.append(snapshot.state.text());
  return sealed(body);
}

StatusOr<Identity> decode_identity(std::string_view value) {
  Opened opened("the node's identity", value);
  Identity identity;
  identity.cluster = opened.take_uuid();
  identity.directory = opened.take_uuid();
  identity.start_counter = opened.take<std::int64_t>();
  if (opened.knows_incarnations()) {
    identity.incarnation = opened.take_uuid();
    for (auto count = opened.take<std::uint8_t>(); count > 0; --count) {
      identity.earlier.push_back(opened.take_uuid());
    }
  }
  RETURN_IF_ERROR(opened.status());
  return identity;
}

StatusOr<HardState> decode_hard_state(std::string_view value) {
  Opened opened("the metadata log's hard state", value);
  HardState hard;
  hard.term = Term(opened.take<std::int64_t>());
  if (opened.knows_members() && opened.take<std::uint8_t>() != 0) {
    Member& vote = hard.vote.emplace();
    vote.node = NodeId(opened.take<std::int32_t>());
    vote.directory = opened.take_uuid();
  }
  RETURN_IF_ERROR(opened.status());
  return hard;
}

StatusOr<Entry> decode_entry(LogIndex index, std::string_view value) {
  Opened opened("an entry of the metadata log", value);
  Entry entry;
  entry.index = LogIndex(opened.take<std::int64_t>());
  entry.term = Term(opened.take<std::int64_t>());
  entry.kind = EntryKind::kCommand;
  if (opened.knows_members()) {
    const auto kind = opened.take<std::uint8_t>();
    entry.kind = static_cast<EntryKind>(kind);
    if (kind > static_cast<std::uint8_t>(EntryKind::kMembership)) {
      opened.fail();
    }
  }
  entry.data = Slice::copy_of(opened.take_rest());
  if (!opened.knows_members() && entry.data.empty()) {
    entry.kind = EntryKind::kNothing;
  }
  RETURN_IF_ERROR(opened.status());
  if (entry.index != index) {
    return absl::DataLossError(fmt::format("entry {} of the metadata log says it is {}", index, entry.index));
  }
  return entry;
}

StatusOr<Snapshot> decode_snapshot(std::string_view value, const Membership& otherwise) {
  Opened opened("the metadata log's snapshot", value);
  Snapshot snapshot;
  snapshot.last = LogIndex(opened.take<std::int64_t>());
  snapshot.last_term = Term(opened.take<std::int64_t>());
  snapshot.membership = otherwise;
  if (opened.knows_members()) {
    const StatusOr<Membership> members = decode_membership(opened.take(opened.take<std::uint32_t>()));
    if (members.ok()) {
      snapshot.membership = *members;
    } else {
      opened.fail();
    }
  }
  snapshot.state = Slice::copy_of(opened.take_rest());
  RETURN_IF_ERROR(opened.status());
  return snapshot;
}

}  // namespace chronik::raft
