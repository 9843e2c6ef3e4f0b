#include "core/broker/broker.h"

#include <algorithm>

#include "core/base/log_line.h"
#include "core/broker/connection.h"
#include "core/broker/coordinators.h"
#include "core/broker/handlers.h"
#include "core/protocol/api_versions.h"

namespace chronik::broker {

using protocol::ApiKey;
using protocol::ErrorCode;

namespace {

Handler handler_of(ApiKey key) {
  switch (key) {
    case ApiKey::kProduce: return &handle_produce;
    case ApiKey::kFetch: return &handle_fetch;
    case ApiKey::kListOffsets: return &handle_list_offsets;
    case ApiKey::kOffsetCommit: return &handle_offset_commit;
    case ApiKey::kOffsetFetch: return &handle_offset_fetch;
    case ApiKey::kFindCoordinator: return &handle_find_coordinator;
    case ApiKey::kJoinGroup: return &handle_join_group;
    case ApiKey::kHeartbeat: return &handle_heartbeat;
    case ApiKey::kLeaveGroup: return &handle_leave_group;
    case ApiKey::kSyncGroup: return &handle_sync_group;
    case ApiKey::kDescribeGroups: return &handle_describe_groups;
    case ApiKey::kListGroups: return &handle_list_groups;
    case ApiKey::kApiVersions: return &handle_api_versions;
    case ApiKey::kMetadata: return &handle_metadata;
    case ApiKey::kCreateTopics: return &handle_create_topics;
    case ApiKey::kDeleteTopics: return &handle_delete_topics;
    case ApiKey::kDeleteRecords: return &handle_delete_records;
    case ApiKey::kInitProducerId: return &handle_init_producer_id;
    case ApiKey::kOffsetForLeaderEpoch: return &handle_offset_for_leader_epoch;
    case ApiKey::kDescribeConfigs: return &handle_describe_configs;
    case ApiKey::kAlterConfigs: return &handle_alter_configs;
    case ApiKey::kDescribeLogDirs: return &handle_describe_log_dirs;
    case ApiKey::kCreatePartitions: return &handle_create_partitions;
    case ApiKey::kDeleteGroups: return &handle_delete_groups;
    case ApiKey::kElectLeaders: return &handle_elect_leaders;
    case ApiKey::kIncrementalAlterConfigs: return &handle_incremental_alter_configs;
    case ApiKey::kAlterPartitionReassignments: return &handle_alter_partition_reassignments;
    case ApiKey::kListPartitionReassignments: return &handle_list_partition_reassignments;
    case ApiKey::kOffsetDelete: return &handle_offset_delete;
    case ApiKey::kDescribeCluster: return &handle_describe_cluster;
    case ApiKey::kDescribeProducers: return &handle_describe_producers;
    case ApiKey::kListConfigResources: return &handle_list_config_resources;
    case ApiKey::kDescribeTopicPartitions: return &handle_describe_topic_partitions;
    default: return nullptr;
  }
}

group::GroupPartitionOptions group_options(const cluster::GroupSettings& settings) {
  return {.groups = {.session_min = settings.session_min,
                     .session_max = settings.session_max,
                     .initial_delay = settings.initial_delay,
                     .size_max = settings.size_max},
          .offsets = {.metadata_max = settings.metadata_max, .retention_ms = settings.retention.milliseconds()},
          .expiry_interval = settings.expiry_interval,
          .commit_timeout = settings.commit_timeout};
}

}  // namespace

Broker::Broker(const Ports& ports, const BrokerIdentity& identity, const Limits& limits, const cluster::ConfigMap& file,
               cluster::Metadata& metadata, log::LogManager& logs, replication::Replication& replication,
               PartitionTable& table, Forwarding* forwarding)
    : ports_(ports),
      identity_(identity),
      limits_(limits),
      file_(file),
      metadata_(metadata),
      logs_(logs),
      replication_(replication),
      table_(table),
      forwarding_(forwarding),
      producer_ids_(metadata),
      fetch_sessions_(ports.random, limits.fetch_sessions_max, limits.session_partitions_per_node),
      groups_(
          logs, ports.clock, group_options(cluster::group_settings(layers())),
          [this](const std::string& topic, const Uuid& id) { return topic_is_gone(*metadata_.image(), topic, id); }) {}

cluster::ConfigLayers Broker::layers() const { return cluster::broker_layers(*metadata_.image(), self(), file_); }

void Broker::follow_groups() {
  const HostedTopic* hosted = table_.find(group::kGroupsTopic);
  const std::size_t partitions = hosted == nullptr ? 0 : hosted->partitions.size();
  for (std::size_t i = 0; i < std::max(partitions, groups_followed_); ++i) {
    groups_.follow(PartitionId(static_cast<std::int32_t>(i)),
                   i < partitions ? hosted->partitions[i] : Ref<replication::Partition>());
  }
  groups_followed_ = partitions;
}

void Broker::handle(Request&& request) {
  metrics_.requests.add();
  const protocol::Api* api = protocol::find_api(request.header.api);
  const Handler handler = api == nullptr ? nullptr : handler_of(api->key);
  if (handler == nullptr || (api->key != ApiKey::kApiVersions && !api->implemented.contains(request.header.version))) {
    log_warn("request refused: unknown api or version", field("peer", request.connection.peer().to_string()),
             field("api", request.header.api), field("version", request.header.version));
    return request.answer.close("unknown api or version");
  }
  handler(*this, std::move(request));
}

void Broker::refuse_malformed(Request& request, const Status& why) {
  metrics_.malformed_requests.add();
  log_warn("request refused: malformed", field("peer", request.connection.peer().to_string()),
           field("api", request.header.api), field("version", request.header.version),
           field("why", std::string(why.message())));
  request.answer.close("malformed request");
}

ErrorCode Broker::find_partition(std::string_view topic, PartitionId index, Ref<replication::Partition>& partition) {
  const HostedTopic* hosted = table_.find(topic);
  return hosted == nullptr ? ErrorCode::kUnknownTopicOrPartition : hosted->find(index, partition);
}

NodeId Broker::leader_elsewhere(const cluster::Topic* topic, PartitionId index) const {
  const cluster::Partition* partition = topic == nullptr ? nullptr : topic->partitions.find(index);
  return partition == nullptr || partition->leader == self() ? NodeId::none() : partition->leader;
}

NodeId Broker::leader_elsewhere(std::string_view topic, PartitionId index) const {
  return leader_elsewhere(metadata_.image()->find_topic(topic), index);
}

}  // namespace chronik::broker
