#include "server/bench/cluster.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"

namespace chronik::bench {

namespace {

using protocol::ErrorCode;

constexpr std::int16_t kMetadataVersion = 12;
constexpr std::int16_t kCreateTopicsVersion = 5;
constexpr std::int16_t kDeleteTopicsVersion = 4;
constexpr Duration kPrepareTimeout = Duration::seconds(15);
constexpr Duration kPauseBetweenLooks = Duration::milliseconds(100);

Status refused(std::string_view what, ErrorCode code, const std::optional<std::string>& message = {}) {
  return absl::FailedPreconditionError(
      fmt::format("{}: {}{}{}", what, protocol::error_name(code), message ? ": " : "", message.value_or("")));
}

}  // namespace

StatusOr<std::unique_ptr<client::Client>> Cluster::connect(const Address& to, const Deadline& deadline) {
  return client::Client::connect(network_, to, {.client_id = "chronik-bench", .in_flight_max = 10'000}, deadline);
}

StatusOr<std::unique_ptr<client::Client>> Cluster::connect_to_any(const Deadline& deadline) {
  std::string why;
  const auto note = [&](const server::HostPort& server, const Status& status) {
    why += fmt::format("{}{}: {}", why.empty() ? "" : "; ", server.to_string(), server::message_of(status));
  };
  for (const server::HostPort& server : options_.servers) {
    const StatusOr<std::vector<Address>> found = network_.resolve(server.host, *server.port, deadline);
    if (!found.ok()) {
      note(server, found.status());
      continue;
    }
    for (const Address& address : *found) {
      StatusOr<std::unique_ptr<client::Client>> client = connect(address, deadline);
      if (client.ok()) {
        return client;
      }
      note(server, client.status());
    }
  }
  return absl::UnavailableError(why);
}

Status Cluster::prepare() {
  const Deadline deadline = fiber::within(kPrepareTimeout, Expiry::kPeer);
  ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> client, connect_to_any(deadline));
  if (options_.create_topic) {
    RETURN_IF_ERROR(create_topic(*client, deadline));
  }
  for (;;) {
    Status asked = ask(*client, deadline);
    if (!absl::IsUnavailable(asked)) {
      RETURN_IF_ERROR(asked);
      break;
    }
    if (fiber::Scheduler::current().now() + kPauseBetweenLooks >= deadline.at()) {
      return asked;
    }
    RETURN_IF_ERROR(fiber::sleep(kPauseBetweenLooks));
  }
  if (options_.create_topic && partitions() != options_.partitions) {
    return absl::FailedPreconditionError(
        fmt::format("--partitions: '{}': must be {}, as many as topic {} has already, or the topic another one",
                    options_.partitions, partitions(), options_.topic));
  }
  return ok();
}

Status Cluster::create_topic(client::Client& client, const Deadline& deadline) {
  protocol::CreateTopicsRequest request;
  request.timeout_ms = 10'000;
  auto& topic = request.topics.emplace_back();
  topic.name = options_.topic;
  topic.num_partitions = options_.partitions;
  topic.replication_factor = options_.replication_factor;
  ASSIGN_OR_RETURN(const protocol::CreateTopicsResponse response,
                   client.call<protocol::CreateTopicsResponse>(request, kCreateTopicsVersion, deadline));
  if (response.topics.size() != 1) {
    return absl::DataLossError("an answer about other topics than were to be created");
  }
  const protocol::CreateTopicsTopicResult& result = response.topics.front();
  return result.error_code == ErrorCode::kNone || result.error_code == ErrorCode::kTopicAlreadyExists
             ? ok()
             : refused("--create-topic", result.error_code, result.error_message);
}

// kUnavailable: not yet.
Status Cluster::ask(client::Client& client, const Deadline& deadline) {
  protocol::MetadataRequest request;
  request.topics.emplace();
  request.topics->push_back({.topic_id = {}, .name = options_.topic});
  request.allow_auto_topic_creation = options_.mode != Mode::kConsume;
  ASSIGN_OR_RETURN(const protocol::MetadataResponse response,
                   client.call<protocol::MetadataResponse>(request, kMetadataVersion, deadline));
  if (response.topics.size() != 1) {
    return absl::DataLossError("metadata of another number of topics than asked for");
  }
  const protocol::MetadataTopic& topic = response.topics.front();
  if (topic.error_code == ErrorCode::kUnknownTopicOrPartition && options_.mode == Mode::kConsume) {
    return absl::FailedPreconditionError(fmt::format("--topic: '{}': must be a topic that exists", options_.topic));
  }
  if (topic.error_code != ErrorCode::kNone) {
    const std::string what = fmt::format("topic {}: {}", options_.topic, protocol::error_name(topic.error_code));
    const bool soon =
        topic.error_code == ErrorCode::kUnknownTopicOrPartition || topic.error_code == ErrorCode::kLeaderNotAvailable;
    return soon ? absl::UnavailableError(what) : absl::FailedPreconditionError(what);
  }
  std::vector<Address> leaders(topic.partitions.size());
  for (const protocol::MetadataPartition& partition : topic.partitions) {
    const auto broker = std::find_if(response.brokers.begin(), response.brokers.end(),
                                     [&](const auto& one) { return one.node_id == partition.leader_id; });
    const auto index = static_cast<std::size_t>(partition.partition_index.value());
    if (broker == response.brokers.end() || index >= leaders.size()) {
      return absl::UnavailableError(fmt::format("topic {}: a partition without a leader", options_.topic));
    }
    ASSIGN_OR_RETURN(const std::vector<Address> found,
                     network_.resolve(broker->host, static_cast<std::uint16_t>(broker->port), deadline));
    leaders[index] = found.front();
  }
  if (leaders.empty()) {
    return absl::UnavailableError(fmt::format("topic {} has no partitions", options_.topic));
  }
  leaders_ = std::move(leaders);
  return ok();
}

Status Cluster::refresh(const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> client, connect_to_any(deadline));
  const std::int32_t before = partitions();
  RETURN_IF_ERROR(ask(*client, deadline));
  return partitions() >= before ? ok() : absl::FailedPreconditionError("the topic lost partitions");
}

Status Cluster::delete_topic(const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> client, connect_to_any(deadline));
  protocol::DeleteTopicsRequest request;
  request.timeout_ms = 10'000;
  request.topic_names.push_back(options_.topic);
  ASSIGN_OR_RETURN(const protocol::DeleteTopicsResponse response,
                   client->call<protocol::DeleteTopicsResponse>(request, kDeleteTopicsVersion, deadline));
  if (response.responses.size() != 1) {
    return absl::DataLossError("an answer about other topics than were to be deleted");
  }
  const ErrorCode code = response.responses.front().error_code;
  return code == ErrorCode::kNone ? ok() : refused("--delete-topic-after", code);
}

bool Lane::finish(const Deadline& deadline) {
  bool all = true;
  for (const auto& [address, client] : connections_) {
    all &= client->broken() || client->finish(deadline).ok();
  }
  return all;
}

StatusOr<std::shared_ptr<client::Client>> Lane::to_leader(PartitionId partition, const Deadline& deadline) {
  const Address address = cluster_.leader(partition);
  std::shared_ptr<client::Client>& kept = connections_[address];
  if (kept != nullptr && !kept->broken()) {
    return kept;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<client::Client> made, cluster_.connect(address, deadline));
  // Somebody else of this lane may have been faster; whoever uses the other one holds it.
  connections_[address] = made;
  return made;
}

}  // namespace chronik::bench
