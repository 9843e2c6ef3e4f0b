// What members of the protocol type "consumer" say of themselves: the topics that they subscribe to. The rest of it is
// for their assignors.
#pragma once

#include <absl/container/btree_set.h>

#include <string>
#include <string_view>

#include "core/group/group.h"

namespace chronik::group {

inline constexpr std::string_view kConsumerProtocol = "consumer";

// Of all members; none where the protocol type is another, or nothing can be read.
absl::btree_set<std::string> subscribed_topics(const Group& group);

}  // namespace chronik::group
