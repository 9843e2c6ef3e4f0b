// Which partitions the controller gives back to their preferred leaders, so that no broker leads more than its share
// for ever because others were away once.
#pragma once

#include <cstdint>
#include <vector>

#include "core/cluster/command.h"
#include "core/cluster/image.h"

namespace chronik::cluster {

// Of every broker that lacks more than `imbalance_percentage_max` in a hundred (0 to 100) of the leaderships for which
// it is preferred: those that it can be given now. At most `limit` of them, in the order of topics' names.
std::vector<ElectLeaders::Partition> imbalanced_partitions(const Image& image, std::int32_t imbalance_percentage_max,
                                                           std::size_t limit);

}  // namespace chronik::cluster
