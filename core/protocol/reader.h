// Reads a message from a frame. Total: whatever the bytes are, it ends with a message or with a reason.
//
// It never reads beyond its end, never throws, and reserves memory only for counts that the bytes left can hold, within
// a budget for the whole message. Depth needs no bound: no description refers to itself. After the first failure
// nothing is left to read, so that all loops end; the caller asks ok() once.
//
// Lifetime: the frame outlives the reader. What is read as Slice is a part of the frame and keeps it alive.
#pragma once

#include <optional>
#include <string>

#include "core/base/varint.h"
#include "core/protocol/message.h"
#include "core/protocol/wire.h"

namespace chronik::protocol {

class Reader {
 public:
  Reader(const Slice& frame, std::int16_t version, bool flexible)
      : frame_(frame),
        at_(frame.data()),
        end_(frame.data() + frame.size()),
        version_(version),
        flexible_(flexible),
        array_budget_(std::min(kArrayBytesMax, kArrayBytesFree + kArrayBytesPerByte * frame.size())) {}

  bool ok() const { return reason_ == nullptr; }
  Status status(const char* message) const;
  std::size_t position() const { return static_cast<std::size_t>(at_ - frame_.data()); }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  std::int16_t version() const { return version_; }

  // --- the verbs of a description ---

  template <typename T>
  void field(const char* name, VersionRange versions, T& member) {
    if (versions.contains(version_)) {
      field_ = name;
      value(member);
    }
  }
  template <typename T>
  void field(const char* name, VersionRange versions, std::optional<T>& member, Nullable nullable) {
    if (versions.contains(version_)) {
      field_ = name;
      nullable_value(member, version_ >= nullable.from);
    }
  }
  template <ArrayType A>
  void sole(const char* name, VersionRange versions, A& array) {
    if (versions.contains(version_)) {
      array.clear();
      field(name, versions, array.emplace_back());
    }
  }
  template <ArrayType A>
  void sole(VersionRange versions, A& array) {
    if (versions.contains(version_)) {
      array.clear();
      A::value_type::fields(*this, array.emplace_back());
    }
  }
  void records(const char* name, VersionRange versions, std::optional<Slice>& member, Nullable nullable) {
    field(name, versions, member, nullable);
  }
  template <typename... T>
  void tagged(T&&...) {}  // read_tags() looks for them
  template <typename... T>
  void tagged_ours(T&&...) {}

  // --- values ---

  template <typename T>
  void value(T& out) {
    if constexpr (NumberType<T>) {
      out = from_number<T>(number<Number<T>>());
    } else if constexpr (std::is_same_v<T, std::string>) {
      text(out);
    } else if constexpr (std::is_same_v<T, Slice>) {
      bytes(out);
    } else if constexpr (std::is_same_v<T, Uuid>) {
      if (const std::uint8_t* from = take(sizeof out.bytes)) {
        std::memcpy(out.bytes.data(), from, sizeof out.bytes);
      }
    } else if constexpr (std::is_same_v<T, double>) {
      out = std::bit_cast<double>(number<std::uint64_t>());
    } else if constexpr (ArrayType<T>) {
      if (const std::int64_t count = array_count(false); count >= 0) {
        elements(out, static_cast<std::size_t>(count));
      }
    } else {
      static_assert(StructType<T>);
      structure(out);
    }
  }

  template <typename T>
  void nullable_value(std::optional<T>& out, bool null_allowed) {
    if constexpr (std::is_same_v<T, std::string>) {
      if (const std::int64_t size = string_size(null_allowed); size >= 0) {
        take_text(out.emplace(), static_cast<std::size_t>(size));
      } else {
        out.reset();
      }
    } else if constexpr (std::is_same_v<T, Slice>) {
      if (const std::int64_t size = bytes_size(null_allowed); size >= 0) {
        take_slice(out.emplace(), static_cast<std::size_t>(size));
      } else {
        out.reset();
      }
    } else if constexpr (ArrayType<T>) {
      if (const std::int64_t count = array_count(null_allowed); count >= 0) {
        elements(out.emplace(), static_cast<std::size_t>(count));
      } else {
        out.reset();
      }
    } else {
      static_assert(StructType<T>);
      nullable_structure(out, null_allowed);
    }
  }

  template <typename T>
  void structure(T& out) {
    T::fields(*this, out);
    if (flexible_) {
      read_tags(out);
    }
  }

  template <typename T>
  T number() {
    const std::uint8_t* from = take(sizeof(T));
    return from == nullptr ? T{} : load_big<T>(from);
  }
  [[gnu::always_inline]] std::uint32_t unsigned_varint() {
    if (left() > 1) [[likely]] {
      const std::uint32_t first = at_[0];
      if (first < 0x80) {
        ++at_;
        return first;
      }
      if (at_[1] < 0x80) {
        at_ += 2;
        return (first & 0x7f) | std::uint32_t{at_[-1]} << 7;
      }
    }
    return long_unsigned_varint();
  }
  // Reads over tagged fields that nobody wants, as in a header.
  void skip_tags() {
    for (std::uint32_t count = unsigned_varint(); count > 0 && ok(); --count) {
      unsigned_varint();
      take(unsigned_varint());
    }
  }
  // A string with a two-byte length in every version: the client id of a request header.
  void old_nullable_text(const char* name, std::optional<std::string>& out) {
    field_ = name;
    if (const std::int64_t size = checked_size(number<std::int16_t>(), true); size >= 0) {
      take_text(out.emplace(), static_cast<std::size_t>(size));
    }
  }

  [[gnu::noinline, gnu::cold]] void fail(const char* reason) {
    if (reason_ == nullptr) {
      reason_ = reason;
      failed_field_ = field_;
      failed_at_ = position();
    }
    at_ = end_;
  }

 private:
  friend class TagReader;

  [[gnu::noinline]] std::uint32_t long_unsigned_varint() {
    std::uint64_t n = 0;
    const std::size_t used = varint_read<32>(ByteSpan(at_, left()), n);
    if (used == 0) [[unlikely]] {
      fail("a varint that does not end");
      return 0;
    }
    at_ += used;
    return static_cast<std::uint32_t>(n);
  }

  // The memory of decoded arrays (not of strings: they are as large as their bytes). No real message comes near.
  static constexpr std::size_t kArrayBytesMax = std::size_t{64} << 20;
  static constexpr std::size_t kArrayBytesFree = 4096;
  static constexpr std::size_t kArrayBytesPerByte = 128;

  const std::uint8_t* take(std::size_t size) {
    if (size > left()) [[unlikely]] {
      fail("the bytes end too early");
      return nullptr;
    }
    const std::uint8_t* from = at_;
    at_ += size;
    return from;
  }

  // A length as sent. -1: null, or refused.
  std::int64_t checked_size(std::int64_t size, bool null_allowed) {
    if (size < 0) [[unlikely]] {
      if (!null_allowed) {
        fail("null where this version has none");
      }
      return -1;
    }
    if (size > end_ - at_) [[unlikely]] {
      fail("a length beyond the bytes left");
      return -1;
    }
    return ok() ? size : -1;
  }
  std::int64_t compact_size() { return static_cast<std::int64_t>(unsigned_varint()) - 1; }

  std::int64_t string_size(bool null_allowed) {
    const std::int64_t size = flexible_ ? compact_size() : number<std::int16_t>();
    if (size > static_cast<std::int64_t>(kStringBytesMax)) [[unlikely]] {
      fail("a string longer than 32767 bytes");
      return -1;
    }
    return checked_size(size, null_allowed);
  }
  std::int64_t bytes_size(bool null_allowed) {
    return checked_size(flexible_ ? compact_size() : number<std::int32_t>(), null_allowed);
  }
  std::int64_t array_count(bool null_allowed) { return bytes_size(null_allowed); }

  void text(std::string& out) {
    if (const std::int64_t size = string_size(false); size >= 0) {
      take_text(out, static_cast<std::size_t>(size));
    }
  }
  void take_text(std::string& out, std::size_t size) {
    if (const std::uint8_t* from = take(size)) {
      out.assign(reinterpret_cast<const char*>(from), size);
    }
  }
  void bytes(Slice& out) {
    if (const std::int64_t size = bytes_size(false); size >= 0) {
      take_slice(out, static_cast<std::size_t>(size));
    }
  }
  void take_slice(Slice& out, std::size_t size) {
    const std::size_t offset = position();
    if (take(size) != nullptr) {
      out = frame_.sub(offset, size);
    }
  }

  // `count` elements of at least a byte each fit into what is left, so far as is known; the budget bounds what the
  // difference between their size there and here may cost.
  template <typename A>
  void elements(A& out, std::size_t count) {
    using T = typename A::value_type;
    if (count > left() / element_bytes_min<T>()) [[unlikely]] {
      return fail("more elements than the bytes left can hold");
    }
    if (count > array_budget_ / sizeof(T)) [[unlikely]] {
      return fail("more elements than a message may have");
    }
    array_budget_ -= count * sizeof(T);
    out.clear();
    out.reserve(count);
    for (std::size_t i = 0; i < count && ok(); ++i) {
      value(out.emplace_back());
    }
  }

  template <typename T>
  void nullable_structure(std::optional<T>& out, bool null_allowed) {
    if (number<std::int8_t>() >= 0 && ok()) {
      structure(out.emplace());
    } else if (!null_allowed) {
      fail("null where this version has none");
    } else {
      out.reset();
    }
  }

  template <typename T>
  void read_tags(T& out);

  const Slice& frame_;
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  const std::int16_t version_;
  const bool flexible_;
  std::size_t array_budget_;
  const char* field_ = "";
  const char* reason_ = nullptr;
  const char* failed_field_ = "";
  std::size_t failed_at_ = 0;
};

// Walks a description in search of one tag, and reads what belongs to it.
class TagReader {
 public:
  TagReader(Reader& reader, std::uint32_t tag) : reader_(reader), tag_(tag) {}
  bool found() const { return found_; }

  template <typename... T>
  void field(T&&...) {}
  template <typename... T>
  void sole(T&&...) {}
  template <typename... T>
  void records(T&&...) {}
  template <typename T>
  void tagged(std::uint32_t tag, const char* name, VersionRange versions, T& member) {
    if (wanted(tag, name, versions)) {
      reader_.value(member);
    }
  }
  template <typename T>
  void tagged(std::uint32_t tag, const char* name, VersionRange versions, T& member, const std::type_identity_t<T>&) {
    tagged(tag, name, versions, member);
  }
  template <typename T>
  void tagged(std::uint32_t tag, const char* name, VersionRange versions, std::optional<T>& member, Nullable) {
    if (wanted(tag, name, versions)) {
      reader_.nullable_value(member, true);
    }
  }
  template <typename T>
  void tagged_ours(std::uint32_t tag, const char* name, VersionRange versions, T& member) {
    tagged(tag, name, versions, member);
  }

 private:
  bool wanted(std::uint32_t tag, const char* name, VersionRange versions) {
    if (tag != tag_ || found_ || !versions.contains(reader_.version_)) {
      return false;
    }
    reader_.field_ = name;
    return found_ = true;
  }

  Reader& reader_;
  const std::uint32_t tag_;
  bool found_ = false;
};

template <typename T>
void Reader::read_tags(T& out) {
  for (std::uint32_t count = unsigned_varint(); count > 0 && ok(); --count) {
    const std::uint32_t tag = unsigned_varint();
    const std::size_t size = unsigned_varint();
    if (size > left()) {
      return fail("a tagged field beyond the bytes left");
    }
    const std::uint8_t* const end = end_;
    end_ = at_ + size;
    TagReader reader(*this, tag);
    T::fields(reader, out);
    if (!reader.found()) {
      at_ = end_;
    } else if (at_ != end_) {
      fail("a tagged field shorter than its size");
    }
    if (ok()) {
      end_ = end;
    }
  }
}

// What decode() answers for a version outside of traits.versions.
Status version_not_covered(const MessageTraits& traits, std::int16_t version);

}  // namespace chronik::protocol
