// One handler for each API. Each is called on the reader of its connection, in the order of the requests, and answers
// or goes on in a fiber of the connection (request.h).
#pragma once

#include "core/broker/request.h"

namespace chronik::broker {

class Broker;

using Handler = void (*)(Broker& broker, Request&& request);

void handle_produce(Broker& broker, Request&& request);
void handle_fetch(Broker& broker, Request&& request);
void handle_list_offsets(Broker& broker, Request&& request);
void handle_api_versions(Broker& broker, Request&& request);
void handle_metadata(Broker& broker, Request&& request);
void handle_create_topics(Broker& broker, Request&& request);
void handle_delete_topics(Broker& broker, Request&& request);
void handle_create_partitions(Broker& broker, Request&& request);
void handle_delete_records(Broker& broker, Request&& request);
void handle_init_producer_id(Broker& broker, Request&& request);
void handle_describe_producers(Broker& broker, Request&& request);
void handle_offset_for_leader_epoch(Broker& broker, Request&& request);
void handle_describe_configs(Broker& broker, Request&& request);
void handle_alter_configs(Broker& broker, Request&& request);
void handle_incremental_alter_configs(Broker& broker, Request&& request);
void handle_list_config_resources(Broker& broker, Request&& request);
void handle_elect_leaders(Broker& broker, Request&& request);
void handle_alter_partition_reassignments(Broker& broker, Request&& request);
void handle_list_partition_reassignments(Broker& broker, Request&& request);
void handle_describe_log_dirs(Broker& broker, Request&& request);
void handle_describe_cluster(Broker& broker, Request&& request);
void handle_describe_topic_partitions(Broker& broker, Request&& request);
void handle_find_coordinator(Broker& broker, Request&& request);
void handle_join_group(Broker& broker, Request&& request);
void handle_sync_group(Broker& broker, Request&& request);
void handle_heartbeat(Broker& broker, Request&& request);
void handle_leave_group(Broker& broker, Request&& request);
void handle_offset_commit(Broker& broker, Request&& request);
void handle_offset_fetch(Broker& broker, Request&& request);
void handle_offset_delete(Broker& broker, Request&& request);
void handle_list_groups(Broker& broker, Request&& request);
void handle_describe_groups(Broker& broker, Request&& request);
void handle_delete_groups(Broker& broker, Request&& request);

}  // namespace chronik::broker
