// Writes a message as text for a log: Name{Field=1, List=[2, 3], Records=<61 bytes>}. Fields of other versions and
// tagged fields at their default are left out. The text is bounded, whatever the message holds.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>

#include "core/protocol/message.h"
#include "core/protocol/wire.h"

namespace chronik::protocol {

class Printer {
 public:
  explicit Printer(std::int16_t version) : version_(version) {}
  std::string take() && { return std::move(text_); }

  template <typename T>
  void field(const char* name, VersionRange versions, const T& member) {
    if (versions.contains(version_)) {
      begin(name);
      value(member);
    }
  }
  template <typename T>
  void field(const char* name, VersionRange versions, const std::optional<T>& member, Nullable) {
    if (versions.contains(version_)) {
      begin(name);
      nullable_value(member);
    }
  }
  template <ArrayType A>
  void sole(const char* name, VersionRange versions, const A& array) {
    visit_sole(array, [&](const auto& element) { field(name, versions, element); });
  }
  template <ArrayType A>
  void sole(VersionRange versions, const A& array) {
    if (versions.contains(version_)) {
      visit_sole(array, [this](const auto& element) { A::value_type::fields(*this, element); });
    }
  }
  void records(const char* name, VersionRange versions, const std::optional<Slice>& member, Nullable nullable) {
    field(name, versions, member, nullable);
  }
  template <typename T>
  void tagged(std::uint32_t, const char* name, VersionRange versions, const T& member,
              const std::type_identity_t<T>& standard = T{}) {
    if (!(member == standard)) {
      field(name, versions, member);
    }
  }
  template <typename T>
  void tagged(std::uint32_t, const char* name, VersionRange versions, const std::optional<T>& member, Nullable null) {
    if (member.has_value()) {
      field(name, versions, member, null);
    }
  }
  template <typename T>
  void tagged_ours(std::uint32_t tag, const char* name, VersionRange versions, const T& member) {
    tagged(tag, name, versions, member);
  }

  template <typename T>
  void value(const T& in) {
    if constexpr (std::is_same_v<T, bool>) {
      text_ += in ? "true" : "false";
    } else if constexpr (NumberType<T>) {
      fmt::format_to(std::back_inserter(text_), "{}", to_number(in));
    } else if constexpr (std::is_same_v<T, double>) {
      fmt::format_to(std::back_inserter(text_), "{}", in);
    } else if constexpr (std::is_same_v<T, std::string>) {
      quote(in);
    } else if constexpr (std::is_same_v<T, Slice>) {
      fmt::format_to(std::back_inserter(text_), "<{} bytes>", in.size());
    } else if constexpr (std::is_same_v<T, Uuid>) {
      text_ += in.to_string();
    } else if constexpr (ArrayType<T>) {
      array(in);
    } else {
      static_assert(StructType<T>);
      structure(in);
    }
  }

  template <typename T>
  void structure(const T& in) {
    text_ += '{';
    first_ = true;
    T::fields(*this, in);
    text_ += '}';
    first_ = false;
  }

 private:
  static constexpr std::size_t kElementsMax = 16;
  static constexpr std::size_t kTextMax = 4096;  // then only the brackets are closed
  static constexpr std::size_t kStringMax = 256;

  template <typename T>
  void nullable_value(const std::optional<T>& in) {
    if (in.has_value()) {
      value(*in);
    } else {
      text_ += "null";
    }
  }
  template <typename A>
  void array(const A& in) {
    text_ += '[';
    std::size_t shown = 0;
    for (const typename A::value_type& element : in) {
      if (shown == kElementsMax || text_.size() > kTextMax) {
        fmt::format_to(std::back_inserter(text_), "{}and {} more", shown == 0 ? "" : ", ", in.size() - shown);
        break;
      }
      text_ += shown++ == 0 ? "" : ", ";
      value(element);
    }
    text_ += ']';
  }
  void begin(const char* name) {
    text_ += first_ ? "" : ", ";
    first_ = false;
    text_ += name;
    text_ += '=';
  }
  void quote(std::string_view in);

  const std::int16_t version_;
  std::string text_;
  bool first_ = true;
};

}  // namespace chronik::protocol
