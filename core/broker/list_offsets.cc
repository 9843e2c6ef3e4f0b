// ListOffsets and OffsetForLeaderEpoch: where a log begins, ends, and had a time or an epoch.
#include <absl/container/btree_map.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/broker/broker.h"
#include "core/broker/connection.h"
#include "core/broker/forward_parts.h"
#include "core/broker/handlers.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::ListOffsetsPartition;
using protocol::ListOffsetsPartitionResponse;

namespace {

void answer_position(Offset offset, const replication::Partition& partition, ListOffsetsPartitionResponse& answer) {
  answer.offset = offset;
  answer.leader_epoch = partition.epoch();
}

void answer_timestamp(const std::optional<log::TimestampOffset>& found, ListOffsetsPartitionResponse& answer) {
  if (found.has_value()) {
    answer.timestamp = found->timestamp.milliseconds();
    answer.offset = found->offset;
    answer.leader_epoch = found->epoch;
  }
}

void refuse(const Status& why, ListOffsetsPartitionResponse& answer) {
  answer.error_code = absl::IsAborted(why) ? ErrorCode::kNotLeaderOrFollower : ErrorCode::kKafkaStorageError;
}

// From which version on a client may ask for a time that is none.
std::int16_t first_version_of(std::int64_t timestamp) {
  switch (timestamp) {
    case protocol::kMaxTimestamp: return 7;
    case protocol::kEarliestLocalTimestamp: return 8;
    case protocol::kLatestTieredTimestamp: return 9;
    default: return 0;
  }
}

void look_up(Broker& broker, std::string_view topic, const ListOffsetsPartition& asked, std::int16_t version,
             ListOffsetsPartitionResponse& answer, const Deadline& deadline) {
  answer.partition_index = asked.partition_index;
  Ref<replication::Partition> partition;
  answer.error_code = broker.find_partition(topic, asked.partition_index, partition);
  if (answer.error_code == ErrorCode::kNone) {
    answer.error_code = partition->check_leadership(asked.current_leader_epoch);
  }
  if (answer.error_code != ErrorCode::kNone) {
    return;
  }
  if (version < first_version_of(asked.timestamp)) {
    answer.error_code = ErrorCode::kUnsupportedVersion;
    return;
  }
  log::PartitionLog& log = partition->log();
  switch (asked.timestamp) {
    case protocol::kLatestTimestamp:
      if (!partition->end_is_known()) {
        answer.error_code = version >= 5 ? ErrorCode::kOffsetNotAvailable : ErrorCode::kLeaderNotAvailable;
        return;
      }
      return answer_position(partition->high_watermark(), *partition, answer);
    // There is no remote tier: the local log is all of it, and nothing is tiered.
    case protocol::kEarliestTimestamp:
    case protocol::kEarliestLocalTimestamp: return answer_position(log.log_start(), *partition, answer);
    case protocol::kLatestTieredTimestamp: answer.leader_epoch = LeaderEpoch::none(); return;
    case protocol::kMaxTimestamp: {
      const StatusOr<std::optional<log::TimestampOffset>> found =
          log.max_timestamp(partition->high_watermark(), deadline);
      return found.ok() ? answer_timestamp(*found, answer) : refuse(found.status(), answer);
    }
    default: break;
  }
  if (asked.timestamp < 0) {
    answer.error_code = ErrorCode::kUnsupportedVersion;
    return;
  }
  const StatusOr<std::optional<log::TimestampOffset>> found =
      log.find_timestamp(WallTime::from_milliseconds(asked.timestamp), partition->high_watermark(), deadline);
  if (!found.ok()) {
    return refuse(found.status(), answer);
  }
  answer_timestamp(*found, answer);
}

// A partition that is named twice is refused, and that is said once.
void refuse_repeated(protocol::ListOffsetsTopicResponse& topic) {
  absl::btree_map<PartitionId, int> named;
  for (const ListOffsetsPartitionResponse& partition : topic.partitions) {
    ++named[partition.partition_index];
  }
  std::erase_if(topic.partitions, [&named](ListOffsetsPartitionResponse& partition) {
    int& times = named.at(partition.partition_index);
    if (times > 1) {
      const PartitionId index = partition.partition_index;
      partition = {};
      partition.partition_index = index;
      partition.error_code = ErrorCode::kInvalidRequest;
      times = 0;
      return false;
    }
    return times == 0;
  });
}

}  // namespace

void handle_list_offsets(Broker& broker, Request&& request) {
  StatusOr<protocol::ListOffsetsRequest> asked =
      protocol::decode<protocol::ListOffsetsRequest>(request.body, request.header.version);
  if (!asked.ok()) {
    return broker.refuse_malformed(request, asked.status());
  }
  // A search by time may read segments.
  ClientConnection& connection = request.connection;
  connection.spawn("list-offsets", [&broker, request = std::move(request), asked = *std::move(asked)]() mutable {
    const Deadline deadline = fiber::within(broker.limits().request, Expiry::kPeer);
    protocol::ListOffsetsResponse response;
    auto elsewhere = forward_by_name<protocol::ListOffsetsResponse>(broker, request, asked);
    for (const protocol::ListOffsetsTopic& topic : asked.topics) {
      auto& answers = response.topics.emplace_back();
      answers.name = topic.name;
      for (const ListOffsetsPartition& partition : topic.partitions) {
        look_up(broker, topic.name, partition, request.header.version, answers.partitions.emplace_back(), deadline);
      }
    }
    elsewhere.gather_all(broker, response, deadline);
    std::for_each(response.topics.begin(), response.topics.end(), &refuse_repeated);
    request.reply(response);
  });
}

}  // namespace chronik::broker
