// Who looks at the nodes of a group while they run, and at their images in the end.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/cluster/metadata.h"
#include "sim/scenarios/group.h"

namespace chronik::sim {

// Holds what one node publishes against its invariants, and against the others' images of the same index. Not each as a
// whole: they are long, and what is wrong once goes on to be.
class ImageWatch final : public cluster::MetadataListener {
 public:
  explicit ImageWatch(GroupState& state) : state_(state) {}
  void on_metadata(const cluster::Delta& delta) override;

 private:
  void expect_whole(const std::vector<std::string>& broken, const cluster::Image& image);
  void note_partitions(const cluster::Delta& delta);

  GroupState& state_;
  LogIndex latest_ = LogIndex(-1);
};

// What of a node alone is judged: through all of its lives, on its own disk.
void watch_node(World& world, Machine& machine, const GroupState& state);
// Adds the checker HW-MONO over the nodes of `state`.
void watch_watermarks(World& world, const GroupState& state);
// One node leads the metadata in a term (ONE-LEADER).
void watch_leaders(World& world, GroupState& state);
// Adds the checker IN-SYNC over them. min_in_sync: min.insync.replicas, of all topics.
void watch_in_sync(World& world, GroupState& state, std::size_t min_in_sync);

// At the end, all healed: everybody serves, with one image. False where that was a finding. `nodes`: who is to serve.
bool judge_images(World& world, const GroupState& state, std::size_t nodes);
inline bool judge_images(World& world, const GroupState& state) { return judge_images(world, state, state.nodes()); }

}  // namespace chronik::sim
