// Tells a simulation which errors an answer carries, for its table of what was ever reached.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/sim_point.h"
#include "core/protocol/errors.h"
#include "core/protocol/message.h"
#include "core/protocol/wire.h"

namespace chronik::protocol {

inline void note_error(ApiKey api, ErrorCode error) {
  PointStrategy* points = simulated_points();
  if (points != nullptr && error != ErrorCode::kNone) {
    points->answered(static_cast<std::int16_t>(api), static_cast<std::int16_t>(error));
  }
}

// An operator of message.h: visits every error code of a message.
class ErrorNoter {
 public:
  explicit ErrorNoter(ApiKey api) : api_(api) {}

  template <typename T>
  void field(const char*, VersionRange, const T& member) {
    value(member);
  }
  template <typename T>
  void field(const char*, VersionRange, const std::optional<T>& member, Nullable) {
    if (member.has_value()) {
      value(*member);
    }
  }
  template <typename... T>
  void sole(T&&...) {}  // noted where the array is a field
  void records(const char*, VersionRange, const std::optional<Slice>&, Nullable) {}
  template <typename T, typename... Rest>
  void tagged(std::uint32_t, const char*, VersionRange, const T&, const Rest&...) {}
  template <typename T>
  void tagged_ours(std::uint32_t, const char*, VersionRange, const T&) {}

 private:
  template <typename T>
  void value(const T& member) {
    if constexpr (std::is_same_v<T, ErrorCode>) {
      note_error(api_, member);
    } else if constexpr (ArrayType<T>) {
      if constexpr (StructType<typename T::value_type>) {
        for (const auto& element : member) {
          T::value_type::fields(*this, element);
        }
      }
    } else if constexpr (StructType<T>) {
      T::fields(*this, member);
    }
  }

  ApiKey api_;
};

template <typename M>
void note_errors(const M& answer) {
  if (simulated_points() != nullptr) [[unlikely]] {
    ErrorNoter noter(M::kTraits.api);
    M::fields(noter, answer);
  }
}

}  // namespace chronik::protocol
