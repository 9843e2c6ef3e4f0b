// The broker of one shard: what its handlers share. It dispatches requests, follows the image and serves clients.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/broker/fetch_sessions.h"
#include "core/broker/forwarding.h"
#include "core/broker/limits.h"
#include "core/broker/metrics.h"
#include "core/broker/partition_table.h"
#include "core/broker/producer_ids.h"
#include "core/broker/request.h"
#include "core/cluster/metadata.h"
#include "core/cluster/settings.h"
#include "core/group/groups.h"
#include "core/ports/ports.h"
#include "core/protocol/compression.h"
#include "core/protocol/errors.h"
#include "core/replication/replication.h"

namespace chronik::broker {

// Who a broker is, and where it keeps its logs, as clients are told.
struct BrokerIdentity {
  NodeId node;
  std::string log_directory;
};

class Broker final : public RequestHandler {
 public:
  // All references outlive the broker. forwarding: null where requests for other leaders' partitions are refused.
  Broker(const Ports& ports, const BrokerIdentity& identity, const Limits& limits, const cluster::ConfigMap& file,
         cluster::Metadata& metadata, log::LogManager& logs, replication::Replication& replication,
         PartitionTable& table, Forwarding* forwarding);

  // Dispatches by API and version. What this broker does not speak closes the connection, as Kafka does.
  void handle(Request&& request) override;

  // Closes the connection of a request that cannot be decoded, and counts it.
  void refuse_malformed(Request& request, const Status& why);

  protocol::ErrorCode find_partition(std::string_view topic, PartitionId index, Ref<replication::Partition>& partition);

  // Whether what the request wants of other nodes is taken to them.
  bool forwards(const Request& request) const {
    return forwarding_ != nullptr && !Forwarding::is_forwarded(request.header.client_id);
  }
  Forwarding* forwarding() { return forwarding_; }
  // The other node that leads the partition; none: this one, or nobody, or there is no such partition.
  NodeId leader_elsewhere(const cluster::Topic* topic, PartitionId index) const;
  NodeId leader_elsewhere(std::string_view topic, PartitionId index) const;

  // What is in force now, of the settings of this broker.
  cluster::BrokerSettings settings() const { return cluster::broker_settings(layers()); }
  cluster::GroupTopicSettings group_topic_settings() const { return cluster::group_topic_settings(layers()); }

  NodeId self() const { return identity_.node; }
  const std::string& log_directory() const { return identity_.log_directory; }
  // Where clients connect; known once the port is bound.
  const Address& bound() const { return bound_; }
  void note_bound(const Address& bound) { bound_ = bound; }
  const cluster::ConfigMap& file() const { return file_; }
  cluster::Metadata& metadata() { return metadata_; }
  const Ports& ports() const { return ports_; }
  const Limits& limits() const { return limits_; }
  // For another node's answer to what this one asks of it for a client, beyond what it is to wait for.
  Duration node_patience() const { return std::min(limits_.request, limits_.node_answer); }
  log::LogManager& logs() { return logs_; }
  replication::Replication& replication() { return replication_; }
  PartitionTable& table() { return table_; }
  ProducerIds& producer_ids() { return producer_ids_; }
  FetchSessions& fetch_sessions() { return fetch_sessions_; }
  group::Groups& groups() { return groups_; }
  const group::Groups& groups() const { return groups_; }
  // The image has spoken, or a log was made: groups follow the partitions that keep them. Does not suspend.
  void follow_groups();
  BrokerMetrics& metrics() { return metrics_; }
  protocol::Codecs& codecs() { return codecs_; }

 private:
  cluster::ConfigLayers layers() const;

  Ports ports_;
  BrokerIdentity identity_;
  Address bound_;
  const Limits& limits_;
  const cluster::ConfigMap& file_;
  cluster::Metadata& metadata_;
  log::LogManager& logs_;
  replication::Replication& replication_;
  PartitionTable& table_;
  Forwarding* forwarding_;
  ProducerIds producer_ids_;
  FetchSessions fetch_sessions_;
  group::Groups groups_;
  std::size_t groups_followed_ = 0;  // partitions
  BrokerMetrics metrics_;
  protocol::Codecs codecs_;
};

}  // namespace chronik::broker
