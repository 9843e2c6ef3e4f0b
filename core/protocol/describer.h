// Turns a description into a table of fields, for the test that compares it with Kafka's message files.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/protocol/message_type.h"
#include "core/protocol/printer.h"
#include "core/protocol/wire.h"

namespace chronik::protocol {

class Describer {
 public:
  // The fields of a struct, with the defaults that its members start with.
  template <typename T>
  static std::vector<FieldInfo> describe() {
    Describer describer;
    T standard{};
    T::fields(describer, standard);
    return std::move(describer.fields_);
  }

  template <typename T>
  void field(const char* name, VersionRange versions, const T& member) {
    add<T>(name, versions, {0, -1}, default_of(member));
  }
  template <typename T>
  void field(const char* name, VersionRange versions, const std::optional<T>& member, Nullable nullable) {
    add<T>(name, versions, since(nullable.from), member.has_value() ? default_of(*member) : "null");
  }
  template <ArrayType A>
  void sole(const char* name, VersionRange versions, const A&) {
    field(name, versions, typename A::value_type{});
  }
  template <ArrayType A>
  void sole(VersionRange versions, const A&) {
    for (FieldInfo& info : describe<typename A::value_type>()) {
      info.versions = {std::max(info.versions.min, versions.min), std::min(info.versions.max, versions.max)};
      fields_.push_back(std::move(info));
    }
  }
  void records(const char* name, VersionRange versions, const std::optional<Slice>& member, Nullable nullable) {
    field(name, versions, member, nullable);
    fields_.back().type = "records";
  }
  // The default is the one by which the writer leaves the field out; the reader's is what the member starts with.
  template <typename T>
  void tagged(std::uint32_t tag, const char* name, VersionRange versions, const T& member,
              const std::type_identity_t<T>& standard = T{}) {
    CHECK(member == standard);
    field(name, versions, member);
    fields_.back().tag = tag;
  }
  template <typename T>
  void tagged(std::uint32_t tag, const char* name, VersionRange versions, const std::optional<T>& member,
              Nullable nullable) {
    CHECK(!member.has_value());
    field(name, versions, member, nullable);
    fields_.back().tag = tag;
  }
  template <typename T>
  void tagged_ours(std::uint32_t tag, const char* name, VersionRange versions, const T& member) {
    tagged(tag, name, versions, member);
    fields_.back().ours = true;
  }

 private:
  template <typename T>
  void add(const char* name, VersionRange versions, VersionRange nullable, std::string standard) {
    FieldInfo& info = fields_.emplace_back();
    info.name = name;
    info.type = type_of<T>();
    info.versions = versions;
    info.nullable = nullable;
    info.default_value = std::move(standard);
    if constexpr (ArrayType<T>) {
      if constexpr (StructType<typename T::value_type>) {
        info.fields = describe<typename T::value_type>();
      }
    } else if constexpr (StructType<T>) {
      info.fields = describe<T>();
    }
  }

  template <typename T>
  static std::string type_of() {
    if constexpr (std::is_same_v<T, bool>) {
      return "bool";
    } else if constexpr (NumberType<T>) {
      return fmt::format("{}int{}", std::is_unsigned_v<Number<T>> ? "u" : "", 8 * sizeof(Number<T>));
    } else if constexpr (std::is_same_v<T, double>) {
      return "float64";
    } else if constexpr (std::is_same_v<T, std::string>) {
      return "string";
    } else if constexpr (std::is_same_v<T, Slice>) {
      return "bytes";
    } else if constexpr (std::is_same_v<T, Uuid>) {
      return "uuid";
    } else if constexpr (ArrayType<T>) {
      return "[]" + type_of<typename T::value_type>();
    } else {
      static_assert(StructType<T>);
      return "struct";
    }
  }
  template <typename T>
  static std::string default_of(const T& member) {
    if constexpr (std::is_same_v<T, std::string>) {
      return member;
    } else if constexpr (std::is_same_v<T, bool>) {
      return member ? "true" : "false";
    } else if constexpr (NumberType<T>) {
      return fmt::format("{}", to_number(member));
    } else {
      return "";  // empty, zero, or the defaults of its own fields
    }
  }

  std::vector<FieldInfo> fields_;
};

}  // namespace chronik::protocol
