// OffsetCommit, OffsetFetch, OffsetDelete: how far groups have come.
#include <absl/container/btree_map.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/broker/answer_room.h"
#include "core/broker/answering.h"
#include "core/broker/coordinators.h"
#include "core/broker/forward_group.h"
#include "core/broker/named_once.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_delete.h"
#include "core/protocol/messages/offset_fetch.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

// Null: there is no such partition.
const cluster::Topic* topic_with(const cluster::Image& image, const std::string& topic, PartitionId partition) {
  const cluster::Topic* found = image.find_topic(topic);
  return found != nullptr && found->partitions.find(partition) != nullptr ? found : nullptr;
}

// ---- committing ----

constexpr std::int64_t kRetentionMostMs = std::int64_t{1000} * 365 * 24 * 3'600'000;  // a thousand years

// Those whose partitions there are go to the coordinator; where its answers belong is told by `places`.
group::CommitCall call_of(Broker& broker, const protocol::OffsetCommitRequest& asked,
                          protocol::OffsetCommitResponse& response,
                          std::vector<protocol::OffsetCommitPartitionResult*>& places) {
  const cluster::ImageRef image = broker.metadata().image();
  const std::int64_t now_ms = broker.ports().clock.wall().milliseconds();
  group::CommitCall call{.group = asked.group_id,
                         .member_id = asked.member_id,
                         .instance_id = asked.group_instance_id,
                         .generation = asked.generation_id_or_member_epoch.value(),
                         .offsets = {}};
  response.topics.reserve(asked.topics.size());
  for (const protocol::OffsetCommitTopic& topic : asked.topics) {
    auto& answers = response.topics.emplace_back();
    answers.name = topic.name;
    answers.partitions.reserve(topic.partitions.size());
    for (const protocol::OffsetCommitPartition& partition : topic.partitions) {
      auto& answer = answers.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      const cluster::Topic* found = topic_with(*image, topic.name, partition.partition_index);
      if (found == nullptr) {
        answer.error_code = ErrorCode::kUnknownTopicOrPartition;
        continue;
      }
      group::OffsetValue value;
      value.topic_id = found->id;
      value.offset = partition.committed_offset;
      value.leader_epoch = partition.committed_leader_epoch;
      value.metadata = partition.committed_metadata.value_or("");
      value.commit_timestamp_ms = now_ms;
      value.expire_timestamp_ms =
          asked.retention_time_ms < 0 ? -1 : now_ms + std::min(asked.retention_time_ms, kRetentionMostMs);
      call.offsets.emplace_back(group::PartitionName{topic.name, partition.partition_index}, std::move(value));
      places.push_back(&answer);
    }
  }
  return call;
}

// A commit that the coordinator has, until it is recorded.
struct CommitUnderWay {
  protocol::OffsetCommitResponse response;
  std::vector<protocol::OffsetCommitPartitionResult*> places;  // in it, of what the coordinator was given
  Ref<group::GroupPartition> coordinator;
  group::GroupPartition::OffsetCommit commit;
  std::unique_ptr<NodeCall> elsewhere = {};  // where another node coordinates, and this one forwards
};

void begin_commit(Broker& broker, const protocol::OffsetCommitRequest& asked, CommitUnderWay& work) {
  const group::CommitCall call = call_of(broker, asked, work.response, work.places);
  work.coordinator = find_coordinator(broker, asked.group_id, GroupName::kAny, work.commit.error);
  if (work.commit.error == ErrorCode::kNone) {
    work.commit = work.coordinator->begin_commit(call);
  }
}

void finish_commit(Request& request, CommitUnderWay& work) {
  const ErrorCode error =
      work.commit.error != ErrorCode::kNone ? work.commit.error : work.coordinator->finish(work.commit);
  for (std::size_t i = 0; i < work.places.size(); ++i) {
    const bool own = i < work.commit.errors.size() && work.commit.errors[i] != ErrorCode::kNone;
    work.places[i]->error_code = own ? work.commit.errors[i] : error;
  }
  request.reply(work.response);
}

void finish_commit_elsewhere(Broker& broker, Request& request, const protocol::OffsetCommitRequest& asked,
                             CommitUnderWay& work) {
  const auto told = work.elsewhere->wait<protocol::OffsetCommitResponse>(
      broker, request.header.version, fiber::within(broker.node_patience(), Expiry::kPeer));
  if (told.has_value()) {
    return request.reply(*told);
  }
  // Not made here where this node has come to coordinate meanwhile: what the client committed after it may be recorded.
  call_of(broker, asked, work.response, work.places);
  work.commit.error = ErrorCode::kNotCoordinator;
  finish_commit(request, work);
}

// ---- fetching ----

constexpr Duration kConfirmPatience = Duration::seconds(3);  // an election, and its winner found

// A coordinator that has been deposed and has not heard of it would answer what was committed before, and its client
// would read again what is committed elsewhere. What was decided before the client asked is known here after a read
// index (Raft thesis, 6.4). kNotCoordinator: nobody can tell.
ErrorCode confirm_leadership(Broker& broker) {
  const Duration patience = std::min(kConfirmPatience, broker.limits().request);
  const Status caught_up = broker.metadata().catch_up(fiber::within(patience, Expiry::kNormal));
  return caught_up.ok() ? ErrorCode::kNone : ErrorCode::kNotCoordinator;
}

using OffsetsRoom = AnswerRoom<protocol::OffsetFetchResponse>;

// False: there is no room for it any more.
bool add_offset(const group::OffsetValue* value, PartitionId partition, protocol::OffsetFetchTopicResult& topic,
                OffsetsRoom& room) {
  auto& answer = topic.partitions.emplace_back();
  answer.partition_index = partition;
  answer.metadata = std::string();
  if (value != nullptr) {
    answer.committed_offset = value->offset;
    answer.committed_leader_epoch = value->leader_epoch;
    answer.metadata = value->metadata;
  }
  return room.take(sizeof answer + (value == nullptr ? 0 : value->metadata.size()));
}

bool fetch_all(const cluster::Image& image, const group::Coordinator& coordinator,
               protocol::OffsetFetchGroupResult& answer, OffsetsRoom& room) {
  for (const auto& [partition, value] : coordinator.committed_offsets(answer.group_id)) {
    if (topic_is_gone(image, partition.topic, value.topic_id)) {
      continue;
    }
    if (answer.topics.empty() || answer.topics.back().name != partition.topic) {
      answer.topics.emplace_back().name = partition.topic;
    }
    if (!add_offset(&value, partition.partition, answer.topics.back(), room)) {
      return false;
    }
  }
  return true;
}

// `confirmed`: of confirm_leadership(), without a suspension since. False: there is no room for its answer.
bool fetch_group(Broker& broker, const protocol::OffsetFetchGroup& asked, std::int16_t version, ErrorCode confirmed,
                 protocol::OffsetFetchGroupResult& answer, OffsetsRoom& room) {
  constexpr std::int16_t kOneError = 2;
  answer.group_id = asked.group_id;
  const cluster::ImageRef image = broker.metadata().image();
  const Ref<group::GroupPartition> coordinator =
      find_coordinator(broker, asked.group_id, GroupName::kAny, answer.error_code);
  if (answer.error_code == ErrorCode::kNone) {
    answer.error_code = confirmed;
  }
  const bool refused = answer.error_code != ErrorCode::kNone;
  if (!asked.topics.has_value()) {
    return refused || fetch_all(*image, coordinator->coordinator(), answer, room);
  }
  if (refused && version >= kOneError) {
    return true;
  }
  for (const protocol::OffsetFetchTopic& topic : *asked.topics) {
    auto& answers = answer.topics.emplace_back();
    answers.name = topic.name;
    for (const PartitionId partition : topic.partition_indexes) {
      const group::OffsetValue* value =
          refused ? nullptr : coordinator->coordinator().committed_offset(asked.group_id, {topic.name, partition});
      const bool gone = value != nullptr && topic_is_gone(*image, topic.name, value->topic_id);
      if (!add_offset(gone ? nullptr : value, partition, answers, room)) {
        return false;
      }
      answers.partitions.back().error_code = answer.error_code;
    }
  }
  return true;
}

// Each group once with all that is asked of it, however often it is named.
std::vector<protocol::OffsetFetchGroup> each_group_once(std::vector<protocol::OffsetFetchGroup> asked) {
  std::vector<protocol::OffsetFetchGroup> groups;
  absl::btree_map<std::string, std::size_t> places;
  for (protocol::OffsetFetchGroup& one : asked) {
    const auto [place, is_new] = places.emplace(one.group_id, groups.size());
    if (is_new) {
      groups.push_back(std::move(one));
      continue;
    }
    auto& topics = groups[place->second].topics;
    if (topics.has_value() && one.topics.has_value()) {
      std::move(one.topics->begin(), one.topics->end(), std::back_inserter(*topics));
    } else {
      topics.reset();
    }
  }
  for (protocol::OffsetFetchGroup& group : groups) {
    if (group.topics.has_value()) {
      name_each_once(*group.topics);
    }
  }
  return groups;
}

void offset_fetch(Broker& broker, Request& request, protocol::OffsetFetchRequest asked) {
  asked.groups = each_group_once(std::move(asked.groups));
  OffsetsRoom room(request);
  std::vector<std::optional<protocol::OffsetFetchResponse>> told;
  told.reserve(asked.groups.size());
  const auto answered = [](const auto& part) { return part.has_value() && part->groups.size() == 1; };
  for (const protocol::OffsetFetchGroup& one : asked.groups) {
    told.push_back(part_of_coordinator<protocol::OffsetFetchResponse>(broker, request, one.group_id, [&] {
      return protocol::OffsetFetchRequest{.groups = {one}, .require_stable = asked.require_stable};
    }));
    if (answered(told.back()) && !room.take(&protocol::OffsetFetchResponse::groups, told.back()->groups.front())) {
      return room.refuse(request);
    }
  }
  const bool asks_here = !std::all_of(told.begin(), told.end(), answered);
  const ErrorCode confirmed = asks_here ? confirm_leadership(broker) : ErrorCode::kNone;
  protocol::OffsetFetchResponse response;
  for (std::size_t index = 0; index < asked.groups.size(); ++index) {
    const protocol::OffsetFetchGroup& one = asked.groups[index];
    protocol::OffsetFetchGroupResult& answer = response.groups.emplace_back();
    if (answered(told[index])) {
      answer = std::move(told[index]->groups.front());
      answer.group_id = one.group_id;  // old versions do not say it
    } else if (!fetch_group(broker, one, request.header.version, confirmed, answer, room)) {
      return room.refuse(request);
    }
  }
  request.reply(response);
}

// ---- deleting ----

void offset_delete(Broker& broker, Request& request, const protocol::OffsetDeleteRequest& asked) {
  if (answered_by_coordinator<protocol::OffsetDeleteResponse>(broker, request, asked)) {
    return;
  }
  protocol::OffsetDeleteResponse response;
  const cluster::ImageRef image = broker.metadata().image();
  std::vector<group::PartitionName> partitions;
  std::vector<ErrorCode> errors;
  std::vector<bool> there;
  std::vector<group::PartitionName> known;
  for (const protocol::OffsetDeleteTopic& topic : asked.topics) {
    for (const protocol::OffsetDeletePartition& partition : topic.partitions) {
      partitions.push_back({topic.name, partition.partition_index});
      there.push_back(topic_with(*image, topic.name, partition.partition_index) != nullptr);
      if (there.back()) {
        known.push_back(partitions.back());
      }
    }
  }
  const Ref<group::GroupPartition> coordinator =
      find_coordinator(broker, asked.group_id, GroupName::kNotEmpty, response.error_code);
  if (response.error_code == ErrorCode::kNone) {
    response.error_code = coordinator->coordinator().find(asked.group_id) == nullptr
                              ? ErrorCode::kGroupIdNotFound
                              : coordinator->delete_offsets(asked.group_id, known, errors);
  }
  // What concerns the whole group is said once.
  const auto of_group = [](ErrorCode error) {
    return error == ErrorCode::kGroupIdNotFound || error == ErrorCode::kNonEmptyGroup;
  };
  if (!errors.empty() && of_group(errors.front())) {
    response.error_code = errors.front();
  }
  std::size_t next = 0;
  for (std::size_t i = 0; response.error_code == ErrorCode::kNone && i < partitions.size(); ++i) {
    if (response.topics.empty() || response.topics.back().name != partitions[i].topic) {
      response.topics.emplace_back().name = partitions[i].topic;
    }
    response.topics.back().partitions.push_back(
        {.partition_index = partitions[i].partition,
         .error_code = there[i] ? errors[next++] : ErrorCode::kUnknownTopicOrPartition});
  }
  request.reply(response);
}

}  // namespace

// The coordinator is told on the connection's reader: commits that a client sends one behind the other are made in
// their order.
void handle_offset_commit(Broker& broker, Request&& request) {
  auto asked = protocol::decode<protocol::OffsetCommitRequest>(request.body, request.header.version);
  if (!asked.ok()) {
    return broker.refuse_malformed(request, asked.status());
  }
  CommitUnderWay work;
  ClientConnection& connection = request.connection;
  if (const NodeId node = coordinator_elsewhere(broker, request, asked->group_id); node != NodeId::none()) {
    work.elsewhere = std::make_unique<NodeCall>();
    work.elsewhere->start(broker, request, node, *asked);
    return connection.spawn(
        "offset-commit", [&broker, request = std::move(request), asked = *std::move(asked),
                          work = std::move(work)]() mutable { finish_commit_elsewhere(broker, request, asked, work); });
  }
  begin_commit(broker, *asked, work);
  connection.spawn("offset-commit",
                   [request = std::move(request), work = std::move(work)]() mutable { finish_commit(request, work); });
}

void handle_offset_fetch(Broker& broker, Request&& request) {
  decode_and_answer<protocol::OffsetFetchRequest, &offset_fetch>("offset-fetch", broker, std::move(request));
}

void handle_offset_delete(Broker& broker, Request&& request) {
  decode_and_answer<protocol::OffsetDeleteRequest, &offset_delete>("offset-delete", broker, std::move(request));
}

}  // namespace chronik::broker
