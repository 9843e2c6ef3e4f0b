// What becomes of a partition when brokers come, go and fall behind: its ISR, its eligible leader replicas, its leader.
//
// Each function changes one partition, which is not published yet, and leaves it as invariants.h demands once elect()
// was called. Rules R1 and R8. `min`: min.insync.replicas; of a partition with fewer replicas, it counts as their
// number.
#pragma once

#include <cstddef>

#include "core/cluster/image.h"

namespace chronik::cluster {

// The broker is not live: it is in sync with nothing, but has what it had. Where too few are in sync from then on,
// nothing is committed that it lacks, and it stays eligible. Also as the last one.
void fence_replica(Partition& partition, NodeId node, std::size_t min);
// Its disk is gone: an empty one must not be elected and have others cut their logs to it (rule R12).
void lose_replica(Partition& partition, NodeId node);
// Those of the replicas that are in sync from now on. A leader is among them.
void set_isr(Partition& partition, const ReplicaList& isr, std::size_t min);

// min.insync.replicas has changed. Says whether that changed anything.
bool settle_elr(Partition& partition, std::size_t min);

// Gives the partition a leader where the one it has cannot lead, or `ends` its epoch: another live replica in sync if
// there is one, then the former leader itself, then an eligible one. Says whether that changed anything.
bool elect(const Image& image, Partition& partition, bool ends, std::size_t min);

}  // namespace chronik::cluster
