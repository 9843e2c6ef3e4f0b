#include "core/protocol/reader.h"

namespace chronik::protocol {

Status Reader::status(const char* message) const {
  if (ok()) {
    return chronik::ok();
  }
  return absl::InvalidArgumentError(
      fmt::format("{} v{}, field {} at byte {}: {}", message, version_, failed_field_, failed_at_, reason_));
}

Status version_not_covered(const MessageTraits& traits, std::int16_t version) {
  return absl::OutOfRangeError(
      fmt::format("{} v{} is not among v{} to v{}", traits.name, version, traits.versions.min, traits.versions.max));
}

}  // namespace chronik::protocol
