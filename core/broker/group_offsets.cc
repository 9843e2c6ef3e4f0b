// OffsetCommit, OffsetFetch, OffsetDelete: how far groups have come.
#include <algorithm>

#include "core/broker/answering.h"
#include "core/broker/coordinators.h"
#include "core/broker/forward_group.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_delete.h"
#include "core/protocol/messages/offset_fetch.h"

namespace chronik::broker {

using protocol::ErrorCode;

namespace {

bool partition_exists(const cluster::Image& image, const std::string& topic, PartitionId partition) {
  const cluster::Topic* found = image.find_topic(topic);
  return found != nullptr && found->partitions.find(partition) != nullptr;
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
      if (!partition_exists(*image, topic.name, partition.partition_index)) {
        answer.error_code = ErrorCode::kUnknownTopicOrPartition;
        continue;
      }
      group::OffsetValue value;
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

void offset_commit(Broker& broker, Request& request, const protocol::OffsetCommitRequest& asked) {
  if (answered_by_coordinator<protocol::OffsetCommitResponse>(broker, request, asked)) {
    return;
  }
  protocol::OffsetCommitResponse response;
  std::vector<protocol::OffsetCommitPartitionResult*> places;
  const group::CommitCall call = call_of(broker, asked, response, places);
  ErrorCode error = ErrorCode::kNone;
  const Ref<group::GroupPartition> coordinator = find_coordinator(broker, asked.group_id, error);
  std::vector<ErrorCode> errors;
  if (error == ErrorCode::kNone) {
    error = coordinator->commit_offsets(call, errors);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    const bool own = i < errors.size() && errors[i] != ErrorCode::kNone;
    places[i]->error_code = own ? errors[i] : error;
  }
  request.reply(response);
}

// ---- fetching ----

void add_offset(const std::optional<group::OffsetValue>& value, PartitionId partition,
                protocol::OffsetFetchTopicResult& topic) {
  auto& answer = topic.partitions.emplace_back();
  answer.partition_index = partition;
  answer.metadata = std::string();
  if (value.has_value()) {
    answer.committed_offset = value->offset;
    answer.committed_leader_epoch = value->leader_epoch;
    answer.metadata = value->metadata;
  }
}

void fetch_all(const group::Coordinator& coordinator, protocol::OffsetFetchGroupResult& answer) {
  for (auto& [partition, value] : coordinator.committed_offsets(answer.group_id)) {
    if (answer.topics.empty() || answer.topics.back().name != partition.topic) {
      answer.topics.emplace_back().name = partition.topic;
    }
    add_offset(std::move(value), partition.partition, answer.topics.back());
  }
}

void fetch_group(Broker& broker, const protocol::OffsetFetchGroup& asked, std::int16_t version,
                 protocol::OffsetFetchGroupResult& answer) {
  constexpr std::int16_t kOneError = 2;
  answer.group_id = asked.group_id;
  const Ref<group::GroupPartition> coordinator = find_coordinator(broker, asked.group_id, answer.error_code);
  const bool refused = answer.error_code != ErrorCode::kNone;
  if (!asked.topics.has_value()) {
    if (!refused) {
      fetch_all(coordinator->coordinator(), answer);
    }
    return;
  }
  if (refused && version >= kOneError) {
    return;
  }
  for (const protocol::OffsetFetchTopic& topic : *asked.topics) {
    auto& answers = answer.topics.emplace_back();
    answers.name = topic.name;
    for (const PartitionId partition : topic.partition_indexes) {
      const group::OffsetValue* value =
          refused ? nullptr : coordinator->coordinator().committed_offset(asked.group_id, {topic.name, partition});
      add_offset(value == nullptr ? std::nullopt : std::optional(*value), partition, answers);
      answers.partitions.back().error_code = answer.error_code;
    }
  }
}

void offset_fetch(Broker& broker, Request& request, const protocol::OffsetFetchRequest& asked) {
  protocol::OffsetFetchResponse response;
  for (const protocol::OffsetFetchGroup& one : asked.groups) {
    auto told = part_of_coordinator<protocol::OffsetFetchResponse>(broker, request, one.group_id, [&] {
      return protocol::OffsetFetchRequest{.groups = {one}, .require_stable = asked.require_stable};
    });
    if (told.has_value() && told->groups.size() == 1) {
      response.groups.push_back(std::move(told->groups.front()));
      response.groups.back().group_id = one.group_id;  // old versions do not say it
      continue;
    }
    fetch_group(broker, one, request.header.version, response.groups.emplace_back());
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
      there.push_back(partition_exists(*image, topic.name, partition.partition_index));
      if (there.back()) {
        known.push_back(partitions.back());
      }
    }
  }
  const Ref<group::GroupPartition> coordinator = find_coordinator(broker, asked.group_id, response.error_code);
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

void handle_offset_commit(Broker& broker, Request&& request) {
  decode_and_answer<protocol::OffsetCommitRequest, &offset_commit>("offset-commit", broker, std::move(request));
}

void handle_offset_fetch(Broker& broker, Request&& request) {
  decode_and_answer<protocol::OffsetFetchRequest, &offset_fetch>("offset-fetch", broker, std::move(request));
}

void handle_offset_delete(Broker& broker, Request&& request) {
  decode_and_answer<protocol::OffsetDeleteRequest, &offset_delete>("offset-delete", broker, std::move(request));
}

}  // namespace chronik::broker
