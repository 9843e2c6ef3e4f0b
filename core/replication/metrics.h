// What replication counts on one shard.
#pragma once

#include "core/base/metrics.h"

namespace chronik::replication {

struct ReplicationMetrics {
  Counter isr_shrinks;
  Counter isr_expands;
  Counter unclean_elections;
  Counter fetch_failures;
  Counter truncations;
  Counter repairs;
  Gauge disk_stuck;

  void register_in(MetricsRegistry& registry) const {
    registry.add("isr_shrinks_total", "Changes that took a replica out of the ISR of a partition led here",
                 isr_shrinks);
    registry.add("isr_expands_total", "Changes that took a replica into the ISR of a partition led here", isr_expands);
    registry.add(
        "unclean_leader_elections_total",
        "Elections after which this node leads a partition without being known to have all that was acknowledged",
        unclean_elections);
    registry.add("replica_fetch_failures_total",
                 "Sessions with a leader that failed, partitions it refused, and records of it that were not taken",
                 fetch_failures);
    registry.add("log_truncations_total", "Logs that were cut to their leader's", truncations);
    registry.add("disk_stuck", "1 while this node's disk is at one operation for so long that others have its duties",
                 disk_stuck);
    registry.add("log_repaired_total", "Damaged logs that were cut, to be fetched again from another replica", repairs);
  }
};

}  // namespace chronik::replication
