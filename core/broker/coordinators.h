// Where handlers find who coordinates a group.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "core/broker/broker.h"
#include "core/group/groups.h"

namespace chronik::broker {

// What coordinates the group here, or why nothing does: kInvalidGroupId, kNotCoordinator, kCoordinatorLoadInProgress.
inline Ref<group::GroupPartition> find_coordinator(Broker& broker, std::string_view group, protocol::ErrorCode& error) {
  const cluster::ImageRef image = broker.metadata().image();
  const cluster::Topic* topic = image->find_topic(group::kGroupsTopic);
  Ref<group::GroupPartition> found;
  if (group.empty()) {
    error = protocol::ErrorCode::kInvalidGroupId;
    return found;
  }
  if (topic != nullptr) {
    found = broker.groups().find(group::partition_of(group, static_cast<std::int32_t>(topic->partitions.size())));
  }
  error = found ? found->state() : protocol::ErrorCode::kNotCoordinator;
  return found;
}

inline std::string text_of(const Slice& slice) {
  const ByteSpan bytes = slice.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace chronik::broker
