// Where handlers find who coordinates a group.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "core/broker/broker.h"
#include "core/group/groups.h"

namespace chronik::broker {

// Whether the topic that offsets were committed for is no more, also where another has its name now. A zero id: not
// known.
inline bool topic_is_gone(const cluster::Image& image, const std::string& topic, const Uuid& id) {
  const cluster::Topic* found = image.find_topic(topic);
  return found == nullptr || (id != Uuid{} && id != found->id);
}

// Members need a name for their group; offsets may be kept under an empty one.
enum class GroupName : std::uint8_t { kNotEmpty, kAny };

// What coordinates the group here, or why nothing does: kInvalidGroupId, kNotCoordinator, kCoordinatorLoadInProgress.
inline Ref<group::GroupPartition> find_coordinator(Broker& broker, std::string_view group, GroupName name,
                                                   protocol::ErrorCode& error) {
  const cluster::ImageRef image = broker.metadata().image();
  const cluster::Topic* topic = image->find_topic(group::kGroupsTopic);
  Ref<group::GroupPartition> found;
  if (group.empty() && name == GroupName::kNotEmpty) {
    error = protocol::ErrorCode::kInvalidGroupId;
    return found;
  }
  if (topic != nullptr) {
    found = broker.groups().find(group::partition_of(group, static_cast<std::int32_t>(topic->partitions.size())));
  }
  error = found ? found->state() : protocol::ErrorCode::kNotCoordinator;
  return found;
}

}  // namespace chronik::broker
