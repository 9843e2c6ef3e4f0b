// Counts an answer while it is built, since a request may name more than an answer can hold: what would not be sent is
// not made in memory either.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "core/broker/forward_parts.h"
#include "core/broker/request.h"
#include "core/protocol/message.h"

namespace chronik::broker {

template <typename Response>
class AnswerRoom {
 public:
  explicit AnswerRoom(const Request& request)
      : bytes_max_(request.answer.bytes_max()), version_(request.header.version) {}

  // Counts so many bytes more. False: it is too large now, and refuse() is all that is left.
  bool take(std::size_t bytes) {
    bytes_ += bytes;
    return bytes_ <= bytes_max_;
  }
  // The same for an element of that list.
  template <typename List>
  bool take(List Response::*list, typename List::value_type& element) {
    Response alone;
    (alone.*list).push_back(std::move(element));
    const std::size_t bytes = protocol::encoded_size(alone, version_);
    element = std::move((alone.*list).back());
    return take(bytes);
  }
  void refuse(Request& request) const {
    request.answer.refuse(absl::ResourceExhaustedError(
        fmt::format("{} of {} bytes, and that is not all of it", Response::kTraits.name, bytes_)));
  }

 private:
  std::size_t bytes_max_;
  std::int16_t version_;
  std::size_t bytes_ = 0;
};

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
