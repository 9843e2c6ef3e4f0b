#include "core/raft/stored_values.h"

#include <fmt/core.h>

#include "core/base/crc32c.h"
#include "core/base/endian.h"

namespace chronik::raft {

namespace {

constexpr std::uint8_t kVersion = 1;
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
    } else if (bytes.size() < kHeaderBytes || bytes[0] != kVersion ||
               load_little<std::uint32_t>(bytes.data() + 1) != crc32c(bytes.subspan(kHeaderBytes))) {
      status_ = absl::DataLossError(fmt::format("{} is damaged", what));
    } else {
      rest_ = bytes.subspan(kHeaderBytes);
    }
    what_ = what;
  }
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
  return sealed(body);
}

std::string encode_hard_state(Term term) {
  std::string body;
  put(body, term.value());
  return sealed(body);
}

std::string encode_entry(const Entry& entry) {
  std::string body;
  put(body, entry.index.value());
  put(body, entry.term.value());
  body.append(entry.data.text());
  return sealed(body);
}

std::string encode_snapshot(LogIndex last, Term term, std::string_view state) {
  std::string body;
  put(body, last.value());
  put(body, term.value());
  body.append(state);
  return sealed(body);
}

StatusOr<Identity> decode_identity(std::string_view value) {
  Opened opened("the node's identity", value);
  Identity identity;
  identity.cluster = opened.take_uuid();
  identity.directory = opened.take_uuid();
  identity.start_counter = opened.take<std::int64_t>();
  RETURN_IF_ERROR(opened.status());
  return identity;
}

StatusOr<Term> decode_hard_state(std::string_view value) {
  Opened opened("the metadata log's hard state", value);
  const Term term(opened.take<std::int64_t>());
  RETURN_IF_ERROR(opened.status());
  return term;
}

StatusOr<Entry> decode_entry(LogIndex index, std::string_view value) {
  Opened opened("an entry of the metadata log", value);
  Entry entry;
  entry.index = LogIndex(opened.take<std::int64_t>());
  entry.term = Term(opened.take<std::int64_t>());
  entry.data = Slice::copy_of(opened.take_rest());
  entry.kind = entry.data.empty() ? EntryKind::kNothing : EntryKind::kCommand;
  RETURN_IF_ERROR(opened.status());
  if (entry.index != index) {
    return absl::DataLossError(fmt::format("entry {} of the metadata log says it is {}", index, entry.index));
  }
  return entry;
}

StatusOr<StoredSnapshot> decode_snapshot(std::string_view value) {
  Opened opened("the metadata log's snapshot", value);
  StoredSnapshot snapshot;
  snapshot.last = LogIndex(opened.take<std::int64_t>());
  snapshot.term = Term(opened.take<std::int64_t>());
  snapshot.state = Slice::copy_of(opened.take_rest());
  RETURN_IF_ERROR(opened.status());
  return snapshot;
}

}  // namespace chronik::raft
