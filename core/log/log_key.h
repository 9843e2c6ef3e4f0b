// Which log: a partition of a topic, by the topic's id, so that a topic that is deleted and made again has other logs
// (R12).
#pragma once

#include <compare>
#include <string>

#include "core/base/ids.h"
#include "core/base/mix.h"
#include "core/base/uuid.h"

namespace chronik::log {

struct LogKey {
  TopicId topic;
  PartitionId partition;
  friend auto operator<=>(const LogKey&, const LogKey&) = default;

  std::string to_string() const;  // "EjRWeJq8TvCP7cuph2VDIQ-3"
  template <typename H>
  friend H AbslHashValue(H state, const LogKey& key) {
    return H::combine(std::move(state), key.topic.bytes, key.partition.value());
  }
};

}  // namespace chronik::log
