// Messages as real clients send them.
#include <gtest/gtest.h>

#include <string_view>

#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/describe_topic_partitions.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"
#include "tests/core/protocol/golden.h"

namespace chronik::protocol {
namespace {

TEST(Golden, ApiVersionsV3AsLibrdkafkaAsks) {
  expect_request(header(ApiKey::kApiVersions, 3, 1, "rdkafka"),
                 ApiVersionsRequest{.client_software_name = "librdkafka", .client_software_version = "2.0.2"},
                 bytes("0012 0003 00000001 0007'rdkafka' 00"  // flexible header, yet an old client id
                       "0b'librdkafka' 06'2.0.2' 00"));
}

TEST(Golden, ApiVersionsV0HasNoBodyAndMayHaveNoClientId) {
  expect_request(header(ApiKey::kApiVersions, 0, 7, std::nullopt), ApiVersionsRequest{},
                 bytes("0012 0000 00000007 ffff"));
}

TEST(Golden, AnswerToApiVersionsV3HasNoTagsInItsHeader) {
  ApiVersionsResponse response;
  response.api_keys = {{.api_key = ApiKey::kProduce, .min_version = 0, .max_version = 12},
                       {.api_key = ApiKey::kApiVersions, .min_version = 0, .max_version = 4}};
  expect_response(CorrelationId(1), response, 3,
                  bytes("00000001 0000"
                        "03 0000 0000 000c 00 0012 0000 0004 00"
                        "00000000 00"));
}

TEST(Golden, ApiVersionsV4CarriesFeaturesAsTaggedFields) {
  ApiVersionsResponse response;
  response.throttle_time_ms = 3;
  response.supported_features = {{.name = "kraft.version", .min_version = 0, .max_version = 1}};
  response.finalized_features_epoch = 9;
  expect_response(CorrelationId(2), response, 4,
                  bytes("00000002 0000 01 00000003"
                        "02"                                       // two tagged fields
                        "00 14 02 0e'kraft.version' 0000 0001 00"  // tag 0, 20 bytes
                        "01 08 0000000000000009"));                // tag 1, 8 bytes
}

TEST(Golden, UnsupportedApiVersionsIsAnsweredInVersion0) {
  ApiVersionsResponse response;
  response.error_code = ErrorCode::kUnsupportedVersion;
  response.api_keys = {{.api_key = ApiKey::kApiVersions, .min_version = 0, .max_version = 4}};
  expect_response(CorrelationId(-2), response, 0, bytes("fffffffe 0023 00000001 0012 0000 0004"));
}

TEST(Golden, MetadataV4) {
  MetadataRequest request;
  request.topics.emplace().push_back({.topic_id = {}, .name = "events"});
  request.allow_auto_topic_creation = false;
  expect_request(header(ApiKey::kMetadata, 4, 2, "rdkafka"), request,
                 bytes("0003 0004 00000002 0007'rdkafka' 00000001 0006'events' 00"));
  request.topics.reset();
  request.allow_auto_topic_creation = true;
  expect_request(header(ApiKey::kMetadata, 4, 3, "rdkafka"), request,
                 bytes("0003 0004 00000003 0007'rdkafka' ffffffff 01"));

  MetadataResponse response;
  response.brokers = {{.node_id = NodeId(1), .host = "127.0.0.1", .port = 9092, .rack = std::nullopt}};
  response.cluster_id = "c1";
  response.controller_id = NodeId(1);
  MetadataPartition partition;
  partition.partition_index = PartitionId(0);
  partition.leader_id = NodeId(1);
  partition.replica_nodes = {NodeId(1)};
  partition.isr_nodes = {NodeId(1)};
  MetadataTopic topic;
  topic.name = "events";
  topic.partitions = {partition};
  response.topics = {topic};
  expect_response(CorrelationId(2), response, 4,
                  bytes("00000002 00000000"
                        "00000001 00000001 0009'127.0.0.1' 00002384 ffff"
                        "0002'c1' 00000001"
                        "00000001 0000 0006'events' 00 00000001"
                        "0000 00000000 00000001 00000001 00000001 00000001 00000001"));
}

TEST(Golden, MetadataV12AsksByTopicId) {
  MetadataRequest request;
  MetadataRequestTopic topic;
  for (std::size_t i = 0; i < 16; ++i) {
    topic.topic_id.bytes[i] = static_cast<std::uint8_t>(i);
  }
  request.topics.emplace().push_back(topic);
  request.include_topic_authorized_operations = true;
  expect_request(header(ApiKey::kMetadata, 12, 5, ""), request,
                 bytes("0003 000c 00000005 0000 00"
                       "02 000102030405060708090a0b0c0d0e0f 00 00 01 01 00"));
}

ProduceRequest one_batch(std::string_view records) {
  ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 30'000;
  ProduceTopic& topic = request.topic_data.emplace_back();
  topic.name = "t";
  topic.partition_data.push_back({.index = PartitionId(3), .records = Slice::copy_of(records)});
  return request;
}

TEST(Golden, ProduceV7) {
  expect_request(header(ApiKey::kProduce, 7, 4, "rdkafka"), one_batch("BATCH"),
                 bytes("0000 0007 00000004 0007'rdkafka'"
                       "ffff ffff 00007530 00000001 0001't' 00000001 00000003 00000005'BATCH'"));
}

TEST(Golden, ProduceV9) {
  expect_request(header(ApiKey::kProduce, 9, 4, "p"), one_batch("BATCH"),
                 bytes("0000 0009 00000004 0001'p' 00"
                       "00 ffff 00007530 02 02't' 02 00000003 06'BATCH' 00 00 00"));
}

TEST(Golden, AnswersToProduce) {
  ProduceResponse response;
  ProduceTopicResponse& topic = response.responses.emplace_back();
  topic.name = "t";
  ProducePartitionResponse& partition = topic.partition_responses.emplace_back();
  partition.index = PartitionId(3);
  partition.base_offset = Offset(258);
  partition.log_start_offset = Offset(0);
  expect_response(CorrelationId(4), response, 7,
                  bytes("00000004 00000001 0001't' 00000001 00000003 0000 0000000000000102 ffffffffffffffff"
                        "0000000000000000 00000000"));
  expect_response(CorrelationId(4), response, 9,
                  bytes("00000004 00 02 02't' 02 00000003 0000 0000000000000102 ffffffffffffffff"
                        "0000000000000000 01 00 00 00 00000000 00"));

  partition.error_code = ErrorCode::kNotLeaderOrFollower;
  partition.current_leader = {.leader_id = NodeId(2), .leader_epoch = LeaderEpoch(5)};
  response.node_endpoints = {{.node_id = NodeId(2), .host = "h", .port = 1, .rack = std::nullopt}};
  expect_response(CorrelationId(4), response, 10,
                  bytes("00000004 00 02 02't' 02 00000003 0006 0000000000000102 ffffffffffffffff"
                        "0000000000000000 01 00 01 00 09 00000002 00000005 00 00 00000000"
                        "01 00 0d 02 00000002 02'h' 00000001 00 00"));
}

TEST(Golden, FetchV11AsLibrdkafkaAsks) {
  FetchRequest request;
  request.max_wait_ms = 500;
  request.min_bytes = 1;
  request.max_bytes = 52'428'800;
  request.isolation_level = 1;
  FetchTopic& topic = request.topics.emplace_back();
  topic.topic = "t";
  FetchPartition& partition = topic.partitions.emplace_back();
  partition.partition = PartitionId(0);
  partition.current_leader_epoch = LeaderEpoch(7);
  partition.fetch_offset = Offset(100);
  partition.partition_max_bytes = 1'048'576;
  expect_request(header(ApiKey::kFetch, 11, 6, "rdkafka"), request,
                 bytes("0001 000b 00000006 0007'rdkafka'"
                       "ffffffff 000001f4 00000001 03200000 01 00000000 ffffffff"
                       "00000001 0001't' 00000001 00000000 00000007 0000000000000064 ffffffffffffffff 00100000"
                       "00000000 0000"));
}

TEST(Golden, AnswersToFetch) {
  FetchResponse response;
  FetchTopicResponse& topic = response.responses.emplace_back();
  topic.topic = "t";
  FetchPartitionResponse& partition = topic.partitions.emplace_back();
  partition.partition_index = PartitionId(0);
  partition.high_watermark = Offset(101);
  partition.last_stable_offset = Offset(101);
  partition.log_start_offset = Offset(2);
  partition.records = Slice::copy_of("BATCH");
  expect_response(CorrelationId(6), response, 11,
                  bytes("00000006 00000000 0000 00000000 00000001 0001't' 00000001"
                        "00000000 0000 0000000000000065 0000000000000065 0000000000000002 ffffffff ffffffff"
                        "00000005'BATCH'"));
  partition.records = Slice();
  partition.aborted_transactions.emplace();
  partition.diverging_epoch = {.epoch = LeaderEpoch(3), .end_offset = Offset(80)};
  expect_response(CorrelationId(6), response, 12,
                  bytes("00000006 00 00000000 0000 00000000 02 02't' 02"
                        "00000000 0000 0000000000000065 0000000000000065 0000000000000002 01 ffffffff 01"
                        "01 00 0d 00000003 0000000000000050 00"
                        "00 00"));
}

TEST(Golden, FetchV17NamesTheReplicaInTaggedFields) {
  FetchRequest request;
  request.replica_state = {.replica_id = NodeId(2), .replica_epoch = BrokerEpoch(4)};
  request.cluster_id = "c";
  expect_request(header(ApiKey::kFetch, 17, 1, std::nullopt), request,
                 bytes("0001 0011 00000001 ffff 00"
                       "00000000 00000000 7fffffff 00 00000000 ffffffff 01 01 01"
                       "02 00 02 02'c' 01 0d 00000002 0000000000000004 00"));
}

TEST(Golden, NullableStructStartsWithAByte) {
  DescribeTopicPartitionsRequest request;
  expect_request(header(ApiKey::kDescribeTopicPartitions, 0, 1, "a"), request,
                 bytes("004b 0000 00000001 0001'a' 00 01 000007d0 ff 00"));
  request.cursor = {.topic_name = "t", .partition_index = PartitionId(9)};
  expect_request(header(ApiKey::kDescribeTopicPartitions, 0, 1, "a"), request,
                 bytes("004b 0000 00000001 0001'a' 00 01 000007d0 01 02't' 00000009 00 00"));
}

}  // namespace
}  // namespace chronik::protocol
