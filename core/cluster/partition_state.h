// What becomes of a partition when brokers come, go and fall behind: its ISR, its eligible leader replicas, its leader.
//
// Each function changes one partition, which is not published yet, and leaves it as invariants.h demands once elect()
// was called. Rules R1 and R8. `min`: min.insync.replicas; of a partition with fewer replicas, it counts as their
// number.
#pragma once

#include <cstddef>

#include "core/cluster/image.h"
#include "core/cluster/result.h"

namespace chronik::cluster {

// The broker is not live: it is in sync with nothing, but has what it had. Where too few are in sync from then on,
// nothing is committed that it lacks, and it stays eligible. Also as the last one.
void fence_replica(Partition& partition, NodeId node, std::size_t min);
// Whose disks are stuck are in sync no more where somebody else is (rule R10). Says whether that changed anything; then
// elect().
bool relieve_stuck(const Image& image, Partition& partition, std::size_t min);
// Its disk is gone: an empty one must not be elected and have others cut their logs to it (rule R12).
void lose_replica(Partition& partition, NodeId node);
// `node` says that its replica is damaged, or, `lost`, that there is nothing of it any more: it is neither in sync nor
// eligible from then on, and another leads. Ends the leader epoch, whoever led. kEligibleLeadersNotAvailable: it is
// damaged, and nobody else could lead; kNotLeaderOrFollower: it is no replica.
ItemResult give_up_replica(const Image& image, Partition& partition, NodeId node, bool lost,
                           const ElectionRules& rules);
// Those of the replicas that are in sync from now on. A leader is among them.
void set_isr(Partition& partition, const ReplicaList& isr, std::size_t min);

// min.insync.replicas has changed. Says whether that changed anything.
bool settle_elr(Partition& partition, std::size_t min);

// Gives the partition a leader where the one it has cannot lead, or `ends` its epoch: another live replica in sync if
// there is one, then the former leader itself, then an eligible one, then, where the rules allow it, any live one, by
// which committed records may be lost. Says whether that changed anything.
bool elect(const Image& image, Partition& partition, bool ends, const ElectionRules& rules);

// ---- what an administrator asks for; done, or refused with Kafka's error and nothing is changed ----

// The first of the replicas leads from now on. kElectionNotNeeded: it does already; kPreferredLeaderNotAvailable: it is
// not live, or not in sync.
ItemResult elect_preferred(const Image& image, Partition& partition);
// Any live replica leads from now on. kElectionNotNeeded: it has a leader; kEligibleLeadersNotAvailable: there is none,
// or the topic does not allow it.
ItemResult elect_unclean(const Image& image, Partition& partition, const ElectionRules& rules);

}  // namespace chronik::cluster
