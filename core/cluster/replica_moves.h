// Which replicas go to other brokers: off those that leave, and so that all have about as many.
//
// Pure and deterministic: the same image has the same plan, so what is done in portions comes to the same as all at
// once. Brokers that are not live, or leave, are given nothing. A replica does not go where its partition would be in
// fewer racks than before.
#pragma once

#include <cstddef>
#include <vector>

#include "core/cluster/command.h"
#include "core/cluster/image.h"

namespace chronik::cluster {

// Those that a partition has, or will have once its reassignment is done.
ReplicaList wanted_replicas(const Partition& partition);
bool has_replicas(const Image& image, NodeId node);
std::size_t reassignments_under_way(const Image& image);

// Of partitions with a replica on a broker that leaves: the same with another broker in its place, which has the fewest
// replicas of those in the best rack. Partitions for which there is none are left out. At most `limit`, in the order of
// topics' names.
std::vector<AlterReassignments::Partition> moves_off_departing(const Image& image, std::size_t limit);

// Afterwards no broker has two replicas more than another, nor is the preferred leader of two partitions more, as far
// as racks and partitions' own replicas allow. Each move takes a replica from a broker that has too many to one that
// has too few; what only leads elsewhere moves no replica. At most `limit`, as above. Partitions that are being
// reassigned are left alone.
std::vector<AlterReassignments::Partition> moves_to_balance(const Image& image, std::size_t limit);

}  // namespace chronik::cluster
