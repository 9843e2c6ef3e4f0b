// What is counted of consumer groups.
#pragma once

#include "core/base/metrics.h"

namespace chronik::group {

struct GroupMetrics {
  Gauge groups;
  Gauge members;
  Counter rebalances;
  Counter offsets;

  void register_in(MetricsRegistry& registry) const {
    registry.add("groups", "Consumer groups that are coordinated here", groups);
    registry.add("group_members", "Members of these groups", members);
    registry.add("group_rebalances_total", "Generations of groups that have begun here", rebalances);
    registry.add("group_offsets_committed_total", "Offsets that groups have committed here", offsets);
  }
};

}  // namespace chronik::group
