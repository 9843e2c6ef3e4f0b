// Who comes to the coordinators of consumer groups beside their members: observers that read at any moment what is
// committed, and keepers of groups without members, who commit, forget, delete, and make their topic anew.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/client/client.h"
#include "sim/group_judge.h"
#include "sim/scenarios/group.h"

namespace chronik::sim {

struct VisitedGroups {
  std::vector<std::string> groups;
  std::string topic;
  int partitions = 1;  // of the topic
  std::int16_t replicas = 1;
};

// Its id; none where it was there already.
StatusOr<std::optional<Uuid>> make_visited_topic(client::Client& client, const VisitedGroups& visited);

// Any node is asked who coordinates the group; the connection is to that one.
StatusOr<std::unique_ptr<client::Client>> find_group_coordinator(ProcessContext& process, const GroupState& state,
                                                                 const std::string& group);

// Programs: they go on until they are killed.
void observe_groups(ProcessContext& process, const GroupState& state, GroupJudge& judge, const VisitedGroups& visited);
// visited: one group and a topic, which nobody else uses.
void keep_offsets(ProcessContext& process, const GroupState& state, GroupJudge& judge, const VisitedGroups& visited);

}  // namespace chronik::sim
