// Where the replicas of new partitions go.
#pragma once

#include <cstdint>
#include <vector>

#include "core/cluster/image.h"
#include "core/ports/random.h"

namespace chronik::cluster {

// Replicas for `count` partitions over the brokers that are live and stay, of which there must be at least
// `replication_factor` > 0.
//
// Round robin from a random start: of any n successive partitions each of n brokers leads one, and follows in as many
// as any other. Replicas of one partition are on different brokers, and in different racks as far as there are racks.
std::vector<ReplicaList> place_replicas(const Image& image, std::size_t count, std::size_t replication_factor,
                                        Random& random);

// That may be given replicas.
std::size_t live_brokers(const Image& image);

}  // namespace chronik::cluster
