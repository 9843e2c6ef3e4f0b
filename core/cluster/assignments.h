// Checks of replicas that a client assigns by hand, and of replication factors.
#pragma once

#include <cstdint>
#include <vector>

#include "core/cluster/controller.h"

namespace chronik::cluster {

ItemResult too_many_partitions();

// Whether there are live brokers enough.
ItemResult check_replication_factor(const Image& image, std::int16_t factor);

// Partitions must be 0, 1, … in any order, all with as many replicas, each on known brokers, one of them live.
ItemResult adopt_assignments(const Image& image, const std::vector<TopicRequest::Assignment>& assignments,
                             std::vector<ReplicaList>& partitions);

}  // namespace chronik::cluster
