#include "sim/scenarios/group_visitors.h"

#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_delete.h"
#include "core/protocol/messages/offset_fetch.h"
#include "sim/scenarios/one_node.h"

namespace chronik::sim {

namespace {

using protocol::ErrorCode;

Deadline visit_patience() { return fiber::within(Duration::seconds(20), Expiry::kNormal); }

protocol::OffsetFetchRequest fetch_of(const std::string& group, const VisitedGroups& visited) {
  protocol::OffsetFetchRequest request;
  protocol::OffsetFetchGroup& one = request.groups.emplace_back();
  one.group_id = group;
  one.topics.emplace();
  one.topics->push_back({.name = visited.topic, .partition_indexes = {}});
  for (int partition = 0; partition < visited.partitions; ++partition) {
    one.topics->back().partition_indexes.emplace_back(partition);
  }
  return request;
}

std::int64_t told_offset(const protocol::OffsetFetchPartitionResult& told) {
  return told.committed_offset == Offset::none() ? -1 : told.committed_offset.value();
}

bool observe_once(client::Client& client, const GroupState& state, GroupJudge& judge, const std::string& group,
                  const VisitedGroups& visited) {
  const VirtualTime asked = state.world->now();
  const auto got = client.call<protocol::OffsetFetchResponse>(fetch_of(group, visited), 8, visit_patience());
  if (!got.ok() || got->groups.at(0).error_code != ErrorCode::kNone) {
    return false;
  }
  for (const auto& one : got->groups[0].topics.at(0).partitions) {
    judge.fetched(group, one.partition_index.value(), told_offset(one), asked);
  }
  return true;
}

// One group without members, and whoever keeps its offsets.
class Keeper {
 public:
  Keeper(ProcessContext& process, const GroupState& state, GroupJudge& judge, const VisitedGroups& visited)
      : process_(process), state_(state), judge_(judge), visited_(visited), group_(visited.groups.at(0)) {}

  void run() {
    for (;;) {
      const auto coordinator = find();
      while (coordinator.ok() && !(*coordinator)->broken() && act(**coordinator)) {
        sleep_between(process_, 1, 500);
      }
      sleep_between(process_, 20, 400);
    }
  }

 private:
  StatusOr<std::unique_ptr<client::Client>> find() {
    ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> any, connect_to_any(process_, state_));
    RETURN_IF_ERROR(make_visited_topic(*any, visited_).status());
    return find_group_coordinator(process_, state_, group_);
  }

  bool act(client::Client& client) {
    const std::uint64_t what = process_.ports.random.next() % 100;
    if (what < 55) {
      return commit(client);
    }
    if (what < 75) {
      return fetch(client);
    }
    if (what < 85) {
      return forget(client);
    }
    // In the end all images are to be the same.
    return what < 93 || state_.world->now() > state_.healed ? remove(client) : renew(client);
  }

  bool commit(client::Client& client) {
    protocol::OffsetCommitRequest request;
    request.group_id = group_;
    protocol::OffsetCommitTopic& topic = request.topics.emplace_back();
    topic.name = visited_.topic;
    const std::int64_t next = judge_.next_kept(group_);
    for (int partition = 0; partition < visited_.partitions; ++partition) {
      judge_.keeps(group_, partition, next);
      protocol::OffsetCommitPartition& one = topic.partitions.emplace_back();
      one.partition_index = PartitionId(partition);
      one.committed_offset = Offset(next);
    }
    const auto got = client.call<protocol::OffsetCommitResponse>(request, 8, visit_patience());
    bool all = got.ok();
    for (std::size_t i = 0; got.ok() && i < got->topics.at(0).partitions.size(); ++i) {
      const auto& one = got->topics[0].partitions[i];
      all = all && one.error_code == ErrorCode::kNone;
      if (one.error_code == ErrorCode::kNone) {
        judge_.kept(group_, one.partition_index.value(), next);
      }
    }
    return all;
  }

  // none_left: whoever answers knows that the topic was made anew.
  bool fetch(client::Client& client, bool none_left = false) {
    const auto got = client.call<protocol::OffsetFetchResponse>(fetch_of(group_, visited_), 8, visit_patience());
    if (!got.ok() || got->groups.at(0).error_code != ErrorCode::kNone) {
      return false;
    }
    for (const auto& one : got->groups[0].topics.at(0).partitions) {
      if (none_left) {
        judge_.kept(group_, one.partition_index.value(), -1);
      }
      judge_.kept_fetched(group_, one.partition_index.value(), told_offset(one));
    }
    return true;
  }

  bool forget(client::Client& client) {
    const auto partition = static_cast<int>(process_.ports.random.next() % static_cast<unsigned>(visited_.partitions));
    protocol::OffsetDeleteRequest request;
    request.group_id = group_;
    request.topics.push_back({.name = visited_.topic, .partitions = {{.partition_index = PartitionId(partition)}}});
    judge_.keeps(group_, partition, -1);
    const auto got = client.call<protocol::OffsetDeleteResponse>(request, 0, visit_patience());
    if (!got.ok()) {
      return false;
    }
    if (got->error_code == ErrorCode::kGroupIdNotFound) {
      return nothing_is_kept();
    }
    if (got->error_code != ErrorCode::kNone || got->topics.at(0).partitions.at(0).error_code != ErrorCode::kNone) {
      return false;
    }
    judge_.kept(group_, partition, -1);
    return true;
  }

  bool remove(client::Client& client) {
    protocol::DeleteGroupsRequest request;
    request.groups_names = {group_};
    for (int partition = 0; partition < visited_.partitions; ++partition) {
      judge_.keeps(group_, partition, -1);
    }
    const auto got = client.call<protocol::DeleteGroupsResponse>(request, 2, visit_patience());
    if (!got.ok()) {
      return false;
    }
    const ErrorCode error = got->results.at(0).error_code;
    if (error == ErrorCode::kGroupIdNotFound) {
      return nothing_is_kept();
    }
    for (int partition = 0; error == ErrorCode::kNone && partition < visited_.partitions; ++partition) {
      judge_.kept(group_, partition, -1);
    }
    return error == ErrorCode::kNone;
  }

  // Makes the topic anew. Offsets of the old one are none from when the coordinator knows of that: so does every later
  // one, for it was elected by an image that came after.
  bool renew(client::Client& client) {
    protocol::DeleteTopicsRequest request;
    request.topics.push_back({.name = visited_.topic, .topic_id = {}});
    request.timeout_ms = 5'000;
    for (int partition = 0; partition < visited_.partitions; ++partition) {
      judge_.keeps(group_, partition, -1);
    }
    const auto got = client.call<protocol::DeleteTopicsResponse>(request, 6, visit_patience());
    if (!got.ok() || got->responses.at(0).error_code != ErrorCode::kNone) {
      return false;
    }
    const StatusOr<std::optional<Uuid>> made = make_visited_topic(client, visited_);
    if (!made.ok() || !made->has_value()) {
      return false;
    }
    for (int look = 0; look < 20; ++look) {
      const auto known = client.metadata(visited_.topic, visit_patience());
      if (!known.ok()) {
        return false;
      }
      if (known->topic_id == **made) {
        return fetch(client, /*none_left=*/true);
      }
      sleep_between(process_, 10, 200);
    }
    return false;
  }

  // The coordinator knows of no such group.
  bool nothing_is_kept() {
    for (int partition = 0; partition < visited_.partitions; ++partition) {
      judge_.kept_fetched(group_, partition, -1);
    }
    return true;
  }

  ProcessContext& process_;
  const GroupState& state_;
  GroupJudge& judge_;
  const VisitedGroups& visited_;
  const std::string& group_;
};

}  // namespace

StatusOr<std::optional<Uuid>> make_visited_topic(client::Client& client, const VisitedGroups& visited) {
  constexpr std::int16_t kNamesId = 7;
  protocol::CreateTopicsRequest create;
  create.timeout_ms = 5'000;
  create.topics.push_back({.name = visited.topic,
                           .num_partitions = visited.partitions,
                           .replication_factor = visited.replicas,
                           .assignments = {},
                           .configs = {}});
  ASSIGN_OR_RETURN(const auto made, client.call<protocol::CreateTopicsResponse>(create, kNamesId, visit_patience()));
  switch (made.topics.at(0).error_code) {
    case ErrorCode::kNone: return std::optional<Uuid>(made.topics[0].topic_id);
    case ErrorCode::kTopicAlreadyExists: return std::optional<Uuid>();
    default: return absl::UnavailableError("no topic yet");
  }
}

StatusOr<std::unique_ptr<client::Client>> find_group_coordinator(ProcessContext& process, const GroupState& state,
                                                                 const std::string& group) {
  ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> any, connect_to_any(process, state));
  protocol::FindCoordinatorRequest request;
  request.coordinator_keys = {group};
  ASSIGN_OR_RETURN(const auto found, any->call<protocol::FindCoordinatorResponse>(request, 4, visit_patience()));
  if (found.coordinators.at(0).error_code != ErrorCode::kNone) {
    return absl::UnavailableError("no coordinator yet");
  }
  return connect_to_group_node(process, found.coordinators[0].node_id);
}

void observe_groups(ProcessContext& process, const GroupState& state, GroupJudge& judge, const VisitedGroups& visited) {
  for (;;) {
    const std::string& group = visited.groups[process.ports.random.next() % visited.groups.size()];
    const auto coordinator = find_group_coordinator(process, state, group);
    while (coordinator.ok() && !(*coordinator)->broken() && observe_once(**coordinator, state, judge, group, visited)) {
      sleep_between(process, 1, 50);
      if (process.ports.random.next() % 64 == 0) {
        break;  // another group
      }
    }
    sleep_between(process, 20, 400);
  }
}

void keep_offsets(ProcessContext& process, const GroupState& state, GroupJudge& judge, const VisitedGroups& visited) {
  Keeper(process, state, judge, visited).run();
}

}  // namespace chronik::sim
