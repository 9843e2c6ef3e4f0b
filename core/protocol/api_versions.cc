#include "core/protocol/api_versions.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/protocol/messages/alter_configs.h"
#include "core/protocol/messages/alter_partition_reassignments.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/create_partitions.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_groups.h"
#include "core/protocol/messages/delete_records.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/describe_cluster.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/describe_groups.h"
#include "core/protocol/messages/describe_log_dirs.h"
#include "core/protocol/messages/describe_producers.h"
#include "core/protocol/messages/describe_topic_partitions.h"
#include "core/protocol/messages/elect_leaders.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/incremental_alter_configs.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/list_config_resources.h"
#include "core/protocol/messages/list_groups.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/list_partition_reassignments.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_delete.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "core/protocol/messages/produce.h"
#include "core/protocol/messages/sync_group.h"

namespace chronik::protocol {

namespace {

#define CHRONIK_API(name, advertised, implemented, flexible_since)                                 \
  Api {                                                                                            \
    ApiKey::k##name, #name, advertised, implemented, flexible_since, &message_type<name##Request>, \
        &message_type<name##Response>                                                              \
  }

// By ascending key: name, advertised versions, implemented versions, first flexible version.
// clang-format off
constexpr Api kApis[] = {
    CHRONIK_API(Produce,                     versions(0, 12), versions(3, 12), 9),
    CHRONIK_API(Fetch,                       versions(4, 17), versions(4, 17), 12),
    CHRONIK_API(ListOffsets,                 versions(1, 10), versions(1, 10), 6),
    CHRONIK_API(Metadata,                    versions(0, 13), versions(0, 13), 9),
    CHRONIK_API(OffsetCommit,                versions(2, 9),  versions(2, 9),  8),
    CHRONIK_API(OffsetFetch,                 versions(1, 9),  versions(1, 9),  6),
    CHRONIK_API(FindCoordinator,             versions(0, 6),  versions(0, 6),  3),
    CHRONIK_API(JoinGroup,                   versions(0, 9),  versions(0, 9),  6),
    CHRONIK_API(Heartbeat,                   versions(0, 4),  versions(0, 4),  4),
    CHRONIK_API(LeaveGroup,                  versions(0, 5),  versions(0, 5),  4),
    CHRONIK_API(SyncGroup,                   versions(0, 5),  versions(0, 5),  4),
    CHRONIK_API(DescribeGroups,              versions(0, 6),  versions(0, 6),  5),
    CHRONIK_API(ListGroups,                  versions(0, 5),  versions(0, 5),  3),
    CHRONIK_API(ApiVersions,                 versions(0, 4),  versions(0, 4),  3),
    CHRONIK_API(CreateTopics,                versions(2, 7),  versions(2, 7),  5),
    CHRONIK_API(DeleteTopics,                versions(1, 6),  versions(1, 6),  4),
    CHRONIK_API(DeleteRecords,               versions(0, 2),  versions(0, 2),  2),
    CHRONIK_API(InitProducerId,              versions(0, 5),  versions(0, 5),  2),
    CHRONIK_API(OffsetForLeaderEpoch,        versions(2, 4),  versions(2, 4),  4),
    CHRONIK_API(DescribeConfigs,             versions(1, 4),  versions(1, 4),  4),
    CHRONIK_API(AlterConfigs,                versions(0, 2),  versions(0, 2),  2),
    CHRONIK_API(DescribeLogDirs,             versions(1, 4),  versions(1, 4),  2),
    CHRONIK_API(CreatePartitions,            versions(0, 3),  versions(0, 3),  2),
    CHRONIK_API(DeleteGroups,                versions(0, 2),  versions(0, 2),  2),
    CHRONIK_API(ElectLeaders,                versions(0, 2),  versions(0, 2),  2),
    CHRONIK_API(IncrementalAlterConfigs,     versions(0, 1),  versions(0, 1),  1),
    CHRONIK_API(AlterPartitionReassignments, versions(0, 1),  versions(0, 1),  0),
    CHRONIK_API(ListPartitionReassignments,  versions(0, 0),  versions(0, 0),  0),
    CHRONIK_API(OffsetDelete,                versions(0, 0),  versions(0, 0),  kNeverFlexible),
    CHRONIK_API(DescribeCluster,             versions(0, 2),  versions(0, 2),  0),
    CHRONIK_API(DescribeProducers,           versions(0, 0),  versions(0, 0),  0),
    CHRONIK_API(ListConfigResources,         versions(0, 1),  versions(0, 1),  0),
    CHRONIK_API(DescribeTopicPartitions,     versions(0, 0),  versions(0, 0),  0),
};
// clang-format on

#undef CHRONIK_API

constexpr bool ascending() {
  return std::adjacent_find(std::begin(kApis), std::end(kApis),
                            [](const Api& a, const Api& b) { return a.key >= b.key; }) == std::end(kApis);
}
static_assert(ascending());

// Where an API stands in kApis, by its key; asked twice for every request.
constexpr std::size_t kKeys = static_cast<std::size_t>(std::end(kApis)[-1].key) + 1;
constexpr std::array<const Api*, kKeys> by_key() {
  std::array<const Api*, kKeys> table{};
  for (const Api& api : kApis) {
    table[static_cast<std::size_t>(api.key)] = &api;
  }
  return table;
}
constexpr std::array<const Api*, kKeys> kByKey = by_key();

}  // namespace

std::span<const Api> all_apis() { return kApis; }

const Api* find_api(ApiKey key) {
  const auto place = static_cast<std::size_t>(key);  // a negative one is beyond all
  return place < kByKey.size() ? kByKey[place] : nullptr;
}

std::string_view api_name(ApiKey key) {
  const Api* found = find_api(key);
  return found == nullptr ? "Unknown" : found->name;
}

}  // namespace chronik::protocol
