// DescribeLogDirs: the data directory, what it holds and how much room is left.
#include <string>
#include <vector>

#include "core/broker/answering.h"
#include "core/broker/named_once.h"
#include "core/protocol/messages/describe_log_dirs.h"

namespace chronik::broker {

using protocol::DescribeLogDirsRequest;
using protocol::DescribeLogDirsResponse;
using protocol::ErrorCode;

namespace {

// Held by reference: the topic may be deleted while its log is measured.
struct HostedLog {
  std::string topic;
  PartitionId index;
  Ref<replication::Partition> partition;
};

void add_log(const HostedTopic& topic, PartitionId index, std::vector<HostedLog>& logs) {
  const auto at = static_cast<std::size_t>(index.value());
  if (index.value() >= 0 && at < topic.partitions.size() && topic.partitions[at]) {
    logs.push_back({.topic = topic.name, .index = index, .partition = topic.partitions[at]});
  }
}

// The logs that are asked about, a topic's side by side. What is not hosted here is left out, as Kafka does.
std::vector<HostedLog> find_logs(Broker& broker, const DescribeLogDirsRequest& asked) {
  std::vector<HostedLog> logs;
  if (!asked.topics.has_value()) {
    broker.metadata().image()->topics.for_each([&](const cluster::TopicRef& topic) {
      const HostedTopic* hosted = broker.table().find(topic->id);
      for (std::size_t i = 0; hosted != nullptr && i < hosted->partitions.size(); ++i) {
        add_log(*hosted, PartitionId(static_cast<std::int32_t>(i)), logs);
      }
    });
    return logs;
  }
  for (const protocol::DescribeLogDirsTopicRequest& topic : *asked.topics) {
    if (const HostedTopic* hosted = broker.table().find(topic.topic); hosted != nullptr) {
      for (const PartitionId index : topic.partitions) {
        add_log(*hosted, index, logs);
      }
    }
  }
  return logs;
}

Status describe_logs(const std::vector<HostedLog>& logs, protocol::DescribeLogDirsResult& directory,
                     const Deadline& deadline) {
  for (const HostedLog& log : logs) {
    const StatusOr<std::uint64_t> bytes = log.partition->log().stored_bytes(deadline);
    if (!bytes.ok() && log.partition->closed()) {
      continue;  // deleted meanwhile
    }
    RETURN_IF_ERROR(bytes.status());
    if (directory.topics.empty() || directory.topics.back().name != log.topic) {
      directory.topics.push_back({.name = log.topic, .partitions = {}});
    }
    auto& described = directory.topics.back().partitions.emplace_back();
    described.partition_index = log.index;
    described.partition_size = static_cast<std::int64_t>(*bytes);
  }
  return ok();
}

void describe_log_dirs(Broker& broker, Request& request, DescribeLogDirsRequest asked) {
  if (asked.topics.has_value()) {
    name_each_once(*asked.topics);
  }
  const Deadline deadline = deadline_of(broker);
  DescribeLogDirsResponse response;
  auto& directory = response.results.emplace_back();
  directory.log_dir = broker.log_directory();
  const Status described = describe_logs(find_logs(broker, asked), directory, deadline);
  const StatusOr<std::uint64_t> free = broker.ports().disk.free_bytes(deadline);
  if (free.ok()) {
    directory.usable_bytes = static_cast<std::int64_t>(*free);
  }
  if (!described.ok() || !free.ok()) {
    directory.error_code = ErrorCode::kKafkaStorageError;
    directory.topics.clear();
  }
  request.reply(response);
}

}  // namespace

void handle_describe_log_dirs(Broker& broker, Request&& request) {
  decode_and_answer<DescribeLogDirsRequest, &describe_log_dirs>("describe-log-dirs", broker, std::move(request));
}

}  // namespace chronik::broker
