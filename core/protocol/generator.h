// Makes a random message from 64-bit draws: for property tests, and for fuzzing when the draws are the fuzzer's bytes.
//
// Values lean towards the edges (0, -1, the extremes, null, empty); sizes stay small, so that the product of nested
// arrays does. A field that the version does not have keeps its default.
#pragma once

#include <optional>
#include <string>

#include "core/protocol/message.h"
#include "core/protocol/wire.h"

namespace chronik::protocol {

class Generator {
 public:
  Generator(Random& random, std::int16_t version, bool flexible)
      : random_(random), version_(version), flexible_(flexible) {}

  template <typename T>
  void field(const char*, VersionRange versions, T& member) {
    if (versions.contains(version_)) {
      value(member);
    }
  }
  template <typename T>
  void field(const char*, VersionRange versions, std::optional<T>& member, Nullable nullable) {
    if (versions.contains(version_)) {
      if (version_ >= nullable.from && below(4) == 0) {
        member.reset();
      } else {
        value(member.emplace());
      }
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
    sole("", versions, array);
  }
  void records(const char* name, VersionRange versions, std::optional<Slice>& member, Nullable nullable) {
    field(name, versions, member, nullable);
  }
  template <typename T>
  void tagged(std::uint32_t, const char*, VersionRange versions, T& member) {
    if (flexible_ && versions.contains(version_) && below(2) == 0) {
      value(member);
    }
  }
  template <typename T>
  void tagged(std::uint32_t tag, const char* name, VersionRange versions, T& member, const std::type_identity_t<T>&) {
    tagged(tag, name, versions, member);
  }
  template <typename T>
  void tagged(std::uint32_t tag, const char* name, VersionRange versions, std::optional<T>& member, Nullable) {
    if (flexible_ && versions.contains(version_) && below(2) == 0) {
      tagged(tag, name, versions, member.emplace());
    }
  }
  template <typename T>
  void tagged_ours(std::uint32_t tag, const char* name, VersionRange versions, T& member) {
    tagged(tag, name, versions, member);
  }

  template <typename T>
  void value(T& out) {
    if constexpr (std::is_same_v<T, bool>) {
      out = below(2) == 0;
    } else if constexpr (NumberType<T>) {
      out = from_number<T>(static_cast<Number<T>>(number()));
    } else if constexpr (std::is_same_v<T, double>) {
      out = static_cast<double>(static_cast<std::int32_t>(random_.next())) / 8;  // never NaN, which equals nothing
    } else if constexpr (std::is_same_v<T, std::string>) {
      out = text();
    } else if constexpr (std::is_same_v<T, Slice>) {
      out = Slice::copy_of(text());
    } else if constexpr (std::is_same_v<T, Uuid>) {
      out = below(4) == 0 ? Uuid{} : random_uuid();
    } else if constexpr (ArrayType<T>) {
      out.clear();
      for (std::uint64_t count = below(4); count > 0; --count) {
        value(out.emplace_back());
      }
    } else {
      static_assert(StructType<T>);
      T::fields(*this, out);
    }
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_.next() % bound; }
  std::uint64_t number();
  std::string text();
  Uuid random_uuid();

  Random& random_;
  const std::int16_t version_;
  const bool flexible_;
};

}  // namespace chronik::protocol
