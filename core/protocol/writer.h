// Writes a message: Sizer computes its exact size, Writer fills one buffer of that size.
//
// Records are not copied: the buffer is cut where they belong and the chain refers to them, ready for a vectored write.
// Sizer and Writer must agree to the byte; the Writer checks that it filled its buffer.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/varint.h"
#include "core/protocol/message.h"
#include "core/protocol/wire.h"

namespace chronik::protocol {

class Sizer {
 public:
  Sizer(std::int16_t version, bool flexible) : version_(version), flexible_(flexible) {}

  std::size_t total() const { return total_; }
  // Of these, the bytes of records: not in the buffer.
  std::size_t by_reference() const { return by_reference_; }

  template <typename T>
  void field(const char*, VersionRange versions, const T& member) {
    if (versions.contains(version_)) {
      value(member);
    }
  }
  template <typename T>
  void field(const char*, VersionRange versions, const std::optional<T>& member, Nullable nullable) {
    if (versions.contains(version_)) {
      nullable_value(member, version_ >= nullable.from);
    }
  }
  template <ArrayType A>
  void sole(const char*, VersionRange versions, const A& array) {
    if (versions.contains(version_)) {
      visit_sole(array, [this](const auto& element) { this->value(element); });
    }
  }
  template <ArrayType A>
  void sole(VersionRange versions, const A& array) {
    if (versions.contains(version_)) {
      visit_sole(array, [this](const auto& element) { A::value_type::fields(*this, element); });
    }
  }
  void records(const char*, VersionRange versions, const std::optional<Slice>& member, Nullable) {
    if (versions.contains(version_)) {
      const std::size_t size = member.has_value() ? member->size() : 0;
      total_ += length_size(size, member.has_value(), sizeof(std::int32_t)) + size;
      by_reference_ += size;
    }
  }
  template <typename T>
  void tagged(std::uint32_t tag, const char*, VersionRange versions, const T& member,
              const std::type_identity_t<T>& standard = T{}) {
    if (flexible_ && versions.contains(version_) && !(member == standard)) {
      const std::size_t before = total_;
      value(member);
      count_tag(tag, total_ - before);
    }
  }
  template <typename T>
  void tagged(std::uint32_t tag, const char*, VersionRange versions, const std::optional<T>& member, Nullable) {
    if (flexible_ && versions.contains(version_) && member.has_value()) {
      const std::size_t before = total_;
      value(*member);
      count_tag(tag, total_ - before);
    }
  }
  template <typename T>
  void tagged_ours(std::uint32_t tag, const char* name, VersionRange versions, const T& member) {
    tagged(tag, name, versions, member);
  }

  template <typename T>
  void value(const T& in) {
    if constexpr (NumberType<T>) {
      total_ += sizeof(Number<T>);
    } else if constexpr (std::is_same_v<T, std::string>) {
      const std::size_t size = sendable(in).size();
      total_ += length_size(size, true, sizeof(std::int16_t)) + size;
    } else if constexpr (std::is_same_v<T, Slice>) {
      total_ += length_size(in.size(), true, sizeof(std::int32_t)) + in.size();
    } else if constexpr (std::is_same_v<T, Uuid>) {
      total_ += sizeof in.bytes;
    } else if constexpr (std::is_same_v<T, double>) {
      total_ += sizeof in;
    } else if constexpr (ArrayType<T>) {
      total_ += length_size(in.size(), true, sizeof(std::int32_t));
      using E = typename T::value_type;
      if constexpr (NumberType<E>) {
        total_ += in.size() * sizeof(Number<E>);
      } else {
        for (const E& element : in) {
          value(element);
        }
      }
    } else {
      static_assert(StructType<T>);
      structure(in);
    }
  }

  template <typename T>
  void nullable_value(const std::optional<T>& in, bool null_allowed) {
    if constexpr (StructType<T>) {
      total_ += 1;
    }
    if (in.has_value()) {
      value(*in);
    } else if (!null_allowed) {
      value(T{});
    } else if constexpr (!StructType<T>) {
      total_ += length_size(0, false, std::is_same_v<T, std::string> ? sizeof(std::int16_t) : sizeof(std::int32_t));
    }
  }

  template <typename T>
  void structure(const T& in) {
    const std::uint32_t outer = std::exchange(tags_, 0);
    T::fields(*this, in);
    if (flexible_) {
      total_ += varint_size(tags_);
    }
    tags_ = outer;
  }

 private:
  std::size_t length_size(std::size_t size, bool present, std::size_t fixed) const {
    return flexible_ ? varint_size(present ? std::uint64_t{size} + 1 : 0) : fixed;
  }
  void count_tag(std::uint32_t tag, std::size_t size) {
    total_ += varint_size(tag) + varint_size(size);
    ++tags_;
  }

  const std::int16_t version_;
  const bool flexible_;
  std::size_t total_ = 0;
  std::size_t by_reference_ = 0;
  std::uint32_t tags_ = 0;
};

class Writer {
 public:
  // `buffer_bytes` is what will be written but for records.
  Writer(std::int16_t version, bool flexible, std::size_t buffer_bytes)
      : version_(version),
        flexible_(flexible),
        buffer_(Slice::allocate(buffer_bytes)),
        at_(buffer_.mutable_data()),
        end_(at_ + buffer_bytes) {}

  // All parts. The message must be complete.
  Frame finish() {
    CHECK(at_ == end_);
    if (frame_.parts.empty() && !buffer_.empty()) {
      frame_.size = buffer_.size();
      frame_.parts.push_back(std::move(buffer_));
    } else {
      cut();
    }
    return std::move(frame_);
  }

  template <typename T>
  void field(const char*, VersionRange versions, const T& member) {
    if (versions.contains(version_)) {
      value(member);
    }
  }
  template <typename T>
  void field(const char*, VersionRange versions, const std::optional<T>& member, Nullable nullable) {
    if (versions.contains(version_)) {
      nullable_value(member, version_ >= nullable.from);
    }
  }
  template <ArrayType A>
  void sole(const char*, VersionRange versions, const A& array) {
    if (versions.contains(version_)) {
      visit_sole(array, [this](const auto& element) { this->value(element); });
    }
  }
  template <ArrayType A>
  void sole(VersionRange versions, const A& array) {
    if (versions.contains(version_)) {
      visit_sole(array, [this](const auto& element) { A::value_type::fields(*this, element); });
    }
  }
  void records(const char*, VersionRange versions, const std::optional<Slice>& member, Nullable nullable) {
    if (!versions.contains(version_)) {
      return;
    }
    const bool present = member.has_value() || version_ < nullable.from;
    length<std::int32_t>(member.has_value() ? member->size() : 0, present);
    if (member.has_value() && !member->empty()) {
      cut();
      frame_.size += member->size();
      frame_.parts.push_back(*member);
    }
  }
  template <typename T>
  void tagged(std::uint32_t, const char*, VersionRange versions, const T& member,
              const std::type_identity_t<T>& standard = T{}) {
    tags_ += versions.contains(version_) && !(member == standard) ? 1u : 0u;
  }
  template <typename T>
  void tagged(std::uint32_t, const char*, VersionRange versions, const std::optional<T>& member, Nullable) {
    tags_ += versions.contains(version_) && member.has_value() ? 1u : 0u;
  }
  template <typename T>
  void tagged_ours(std::uint32_t tag, const char* name, VersionRange versions, const T& member) {
    tagged(tag, name, versions, member);
  }

  template <typename T>
  void value(const T& in) {
    if constexpr (NumberType<T>) {
      number(to_number(in));
    } else if constexpr (std::is_same_v<T, std::string>) {
      text(sendable(in));
    } else if constexpr (std::is_same_v<T, Slice>) {
      length<std::int32_t>(in.size(), true);
      put(in.data(), in.size());
    } else if constexpr (std::is_same_v<T, Uuid>) {
      put(in.bytes.data(), in.bytes.size());
    } else if constexpr (std::is_same_v<T, double>) {
      number(std::bit_cast<std::uint64_t>(in));
    } else if constexpr (ArrayType<T>) {
      length<std::int32_t>(in.size(), true);
      for (const typename T::value_type& element : in) {
        value(element);
      }
    } else {
      static_assert(StructType<T>);
      structure(in);
    }
  }

  template <typename T>
  void nullable_value(const std::optional<T>& in, bool null_allowed) {
    if constexpr (StructType<T>) {
      number(static_cast<std::int8_t>(in.has_value() || !null_allowed ? 1 : -1));
    }
    if (in.has_value()) {
      value(*in);
    } else if (!null_allowed) {
      value(T{});
    } else if constexpr (std::is_same_v<T, std::string>) {
      length<std::int16_t>(0, false);
    } else if constexpr (!StructType<T>) {
      length<std::int32_t>(0, false);
    }
  }

  template <typename T>
  void structure(const T& in);

  template <std::integral T>
  void number(T n) {
    store_big(room(sizeof n), n);
  }
  [[gnu::always_inline]] void unsigned_varint(std::uint64_t n) {
    if (n < 0x80) [[likely]] {
      *room(1) = static_cast<std::uint8_t>(n);
    } else {
      long_unsigned_varint(n);
    }
  }
  // A string with a two-byte length in every version: the client id of a request header.
  void old_nullable_text(const std::optional<std::string>& in) {
    const std::string_view content = sendable(in.has_value() ? std::string_view(*in) : std::string_view());
    number(static_cast<std::int16_t>(in.has_value() ? static_cast<std::int16_t>(content.size()) : -1));
    put(reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
  }

 private:
  friend class TagWriter;

  [[gnu::noinline]] void long_unsigned_varint(std::uint64_t n) {
    std::uint8_t bytes[kVarint64BytesMax];
    put(bytes, varint_write(bytes, n));
  }

  template <typename Fixed>
  void length(std::size_t size, bool present) {
    if (flexible_) {
      return unsigned_varint(present ? std::uint64_t{size} + 1 : 0);
    }
    CHECK_LE(size, static_cast<std::size_t>(std::numeric_limits<Fixed>::max()));
    number(static_cast<Fixed>(present ? static_cast<Fixed>(size) : -1));
  }
  void text(std::string_view in) {
    length<std::int16_t>(in.size(), true);
    put(reinterpret_cast<const std::uint8_t*>(in.data()), in.size());
  }
  std::uint8_t* room(std::size_t size) {
    CHECK_LE(size, static_cast<std::size_t>(end_ - at_));
    return std::exchange(at_, at_ + size);
  }
  void put(const std::uint8_t* from, std::size_t size) {
    if (size > 0) {
      std::memcpy(room(size), from, size);
    }
  }
  // What was written since the last cut becomes a part.
  void cut() {
    const std::size_t written = static_cast<std::size_t>(at_ - buffer_.data());
    if (written > cut_at_) {
      frame_.size += written - cut_at_;
      frame_.parts.push_back(buffer_.sub(cut_at_, written - cut_at_));
      cut_at_ = written;
    }
  }

  const std::int16_t version_;
  const bool flexible_;
  Slice buffer_;
  std::uint8_t* at_;
  std::uint8_t* const end_;
  std::size_t cut_at_ = 0;
  std::uint32_t tags_ = 0;
  Frame frame_;
};

// The second walk over a struct that has tagged fields to send.
class TagWriter {
 public:
  explicit TagWriter(Writer& writer) : writer_(writer) {}

  template <typename... T>
  void field(T&&...) {}
  template <typename... T>
  void sole(T&&...) {}
  template <typename... T>
  void records(T&&...) {}
  template <typename T>
  void tagged(std::uint32_t tag, const char*, VersionRange versions, const T& member,
              const std::type_identity_t<T>& standard = T{}) {
    if (versions.contains(writer_.version_) && !(member == standard)) {
      write(tag, member);
    }
  }
  template <typename T>
  void tagged(std::uint32_t tag, const char*, VersionRange versions, const std::optional<T>& member, Nullable) {
    if (versions.contains(writer_.version_) && member.has_value()) {
      write(tag, *member);
    }
  }
  template <typename T>
  void tagged_ours(std::uint32_t tag, const char* name, VersionRange versions, const T& member) {
    tagged(tag, name, versions, member);
  }

 private:
  template <typename T>
  void write(std::uint32_t tag, const T& member) {
    Sizer sizer(writer_.version_, true);
    sizer.value(member);
    writer_.unsigned_varint(tag);
    writer_.unsigned_varint(sizer.total());
    writer_.value(member);
  }

  Writer& writer_;
};

template <typename T>
void Writer::structure(const T& in) {
  const std::uint32_t outer = std::exchange(tags_, 0);
  T::fields(*this, in);
  const std::uint32_t tags = std::exchange(tags_, outer);
  if (!flexible_) {
    return;
  }
  unsigned_varint(tags);
  if (tags > 0) {
    TagWriter writer(*this);
    T::fields(writer, in);
  }
}

}  // namespace chronik::protocol
