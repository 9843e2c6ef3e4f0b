#include "sim/scenarios/fetch_session.h"

#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <limits>
#include <optional>

namespace chronik::sim {

using protocol::ErrorCode;
using protocol::FetchPartition;
using protocol::FetchPartitionResponse;
using protocol::FetchRequest;
using protocol::FetchResponse;
using protocol::FetchTopic;

namespace {

bool says_the_same(const FetchPartitionResponse& one, const FetchPartitionResponse& other) {
  return one.error_code == ErrorCode::kNone && other.error_code == ErrorCode::kNone &&
         one.high_watermark == other.high_watermark && one.last_stable_offset == other.last_stable_offset &&
         one.log_start_offset == other.log_start_offset && other.diverging_epoch.epoch == LeaderEpoch::none();
}

}  // namespace

void FetchSessionClient::begin(FetchRequest& request) {
  wanted_ = request.topics;
  if (begins_anew_) {
    request.session_id = id_;  // which goes
    request.session_epoch = 0;
    return;
  }
  request.session_id = id_;
  request.session_epoch = epoch_;
  leave_out_known(request);
}

void FetchSessionClient::leave_out_known(FetchRequest& request) const {
  absl::btree_set<Key> wanted;
  request.topics.clear();
  for (const FetchTopic& topic : wanted_) {
    FetchTopic changed{.topic = topic.topic, .topic_id = topic.topic_id, .partitions = {}};
    for (const FetchPartition& partition : topic.partitions) {
      wanted.insert(key_of(topic, partition));
      const auto known = known_.find(key_of(topic, partition));
      if (known == known_.end() || known->second.asked != partition) {
        changed.partitions.push_back(partition);
      }
    }
    if (!changed.partitions.empty()) {
      request.topics.push_back(std::move(changed));
    }
  }
  for (const auto& [key, known] : known_) {
    if (!wanted.contains(key)) {
      request.forgotten_topics_data.push_back(
          {.topic = key.first.second, .topic_id = key.first.first, .partitions = {key.second}});
    }
  }
}

void FetchSessionClient::take(const Key& key, FetchPartitionResponse& answer, bool first) {
  const auto known = known_.find(key);
  if (known == known_.end()) {
    return fail_(fmt::format("partition {} of {} is told of, and was forgotten or never asked for", key.second.value(),
                             key.first.second));
  }
  const bool records = answer.records.has_value() && !answer.records->empty();
  if (!first && !records && says_the_same(known->second.told, answer)) {
    fail_(fmt::format("partition {} of {} is told of, and nothing about it is new", key.second.value(),
                      key.first.second));
  }
  known->second.told = answer;
  known->second.told.records = Slice();
}

bool FetchSessionClient::end(FetchResponse& response) {
  if (response.error_code != ErrorCode::kNone) {
    if (begins_anew_ || (response.error_code != ErrorCode::kFetchSessionIdNotFound &&
                         response.error_code != ErrorCode::kInvalidFetchSessionEpoch)) {
      fail_(fmt::format("{} is no answer to request {} of session {}", protocol::error_name(response.error_code),
                        begins_anew_ ? 0 : epoch_, id_));
    }
    begins_anew_ = true;
    return false;
  }
  const bool first = begins_anew_;
  absl::btree_map<Key, Known> known;
  for (const FetchTopic& topic : wanted_) {
    for (const FetchPartition& partition : topic.partitions) {
      const Key key = key_of(topic, partition);
      const auto before = known_.find(key);
      FetchPartitionResponse told;
      told.partition_index = partition.partition;
      told.high_watermark = Offset::none();
      known[key] = {.asked = partition, .told = before == known_.end() || first ? told : before->second.told};
    }
  }
  known_ = std::move(known);
  absl::btree_map<Key, FetchPartitionResponse> answers;
  for (protocol::FetchTopicResponse& topic : response.responses) {
    for (FetchPartitionResponse& answer : topic.partitions) {
      const Key key{{topic.topic_id, topic.topic}, answer.partition_index};
      take(key, answer, first);
      answers[key] = std::move(answer);
    }
  }
  response.responses.clear();
  for (const FetchTopic& topic : wanted_) {
    auto& whole = response.responses.emplace_back();
    whole.topic = topic.topic;
    whole.topic_id = topic.topic_id;
    for (const FetchPartition& partition : topic.partitions) {
      const Key key = key_of(topic, partition);
      const auto answer = answers.find(key);
      whole.partitions.push_back(answer == answers.end() ? known_.at(key).told : std::move(answer->second));
    }
  }
  id_ = response.session_id;
  begins_anew_ = id_ == 0;
  epoch_ = first || epoch_ == std::numeric_limits<std::int32_t>::max() ? 1 : epoch_ + 1;
  return true;
}

}  // namespace chronik::sim
