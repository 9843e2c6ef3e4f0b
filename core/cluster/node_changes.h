// How nodes come and go, as the image has it: who is to join, who is to leave, and what is refused.
//
// The image says what is wanted; the controller (active_controller.h) has the group's members follow. Each function
// changes an image that is not published yet, or refuses and changes nothing.
#pragma once

#include "core/cluster/command.h"
#include "core/cluster/image.h"
#include "core/cluster/result.h"

namespace chronik::cluster {

// kInvalidRequest: no such node or address can be, or a node was removed since this was asked for;
// kDuplicateBrokerRegistration: there is a broker with that id, which was not removed, or another node joins from
// there.
ItemResult add_node(Image& image, const AddNode& command);

// kStaleBrokerEpoch: another incarnation is meant; kInvalidRequest: it is not live, and that is not forced;
// kInvalidReplicationFactor: a partition would have nowhere to put its replicas; kIneligibleReplica: a partition's last
// complete copy would go with it.
ItemResult remove_node(Image& image, const RemoveNode& command);

// kInvalidRequest: it was not to go, or it was not lost and has replicas.
ItemResult forget_node(Image& image, NodeId node);

// A node registers: where it was to join, it has. Refused, kInvalidRegistration: it was removed by force, or lost its
// disk while it was about to leave, and nobody has added it since.
ItemResult welcome(Image& image, NodeId node, bool same_disk);

}  // namespace chronik::cluster
