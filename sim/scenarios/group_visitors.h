// Who comes to the coordinators of consumer groups beside their members: observers that read at any moment what is
// committed, and keepers of groups without members, who commit, forget and delete.
#pragma once

#include <memory>
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
};

// Any node is asked who coordinates the group; the connection is to that one.
StatusOr<std::unique_ptr<client::Client>> find_group_coordinator(ProcessContext& process, const GroupState& state,
                                                                 const std::string& group);

// Programs: they go on until they are killed.
void observe_groups(ProcessContext& process, const GroupState& state, GroupJudge& judge, const VisitedGroups& visited);
// visited: one group, which nobody else uses.
void keep_offsets(ProcessContext& process, const GroupState& state, GroupJudge& judge, const VisitedGroups& visited);

}  // namespace chronik::sim
