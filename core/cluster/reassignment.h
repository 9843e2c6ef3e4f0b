// A partition on its way from some replicas to others (KIP-455).
//
// While it lasts, `replicas` holds both, those that shall stay first. All of them are full replicas until the end,
// which comes when every one that shall stay is in sync.
#pragma once

#include <optional>

#include "core/cluster/image.h"
#include "core/cluster/result.h"

namespace chronik::cluster {

bool is_reassigned(const Partition& partition);

// Begins a reassignment, in the place of one that is under way; or, with no target, calls that off. Where
// all of them are in sync already, it ends at once. Refused, with nothing changed: kNoReassignmentInProgress;
// kInvalidReplicaAssignment: the target is empty, names a broker twice or one that is not registered, or everything
// that was committed is on replicas only that would go at once; kInvalidReplicationFactor: the target is larger or
// smaller, and that was not to be.
ItemResult reassign(const Image& image, Partition& partition, const std::optional<ReplicaList>& target,
                    bool may_change_factor, const ElectionRules& rules);

// Ends the reassignment where all that shall stay are in sync: to be called when the ISR has changed.
void complete_reassignment(const Image& image, Partition& partition, const ElectionRules& rules);

}  // namespace chronik::cluster
