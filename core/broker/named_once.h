// Requests that name a partition more than once.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/broker/forward_parts.h"

namespace chronik::broker {

// Leaves each partition in the request's topics once, however often it is named.
template <typename Topics>
void name_each_once(Topics& topics) {
  absl::btree_map<std::string_view, absl::btree_set<PartitionId>> named;
  for (auto& topic : topics) {
    std::string_view name;
    if constexpr (requires { topic.name; }) {
      name = topic.name;
    } else {
      name = topic.topic;
    }
    absl::btree_set<PartitionId>& of_topic = named[name];
    std::erase_if(partitions_in(topic), [&of_topic](PartitionId index) { return !of_topic.insert(index).second; });
  }
}

}  // namespace chronik::broker
