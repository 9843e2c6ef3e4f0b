// What reader and writer do at the edges: hostile lengths, unknown tags, nulls, and records by reference.
#include <gtest/gtest.h>

#include <string>

#include "core/base/endian.h"
#include "core/base/varint.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/headers.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"

namespace chronik::protocol {
namespace {

Slice raw(std::initializer_list<int> bytes) {
  const Slice slice = Slice::allocate(bytes.size());
  std::uint8_t* at = slice.mutable_data();
  for (const int byte : bytes) {
    *at++ = static_cast<std::uint8_t>(byte);
  }
  return slice;
}

template <typename M>
std::string refusal(const Slice& body, std::int16_t version) {
  const StatusOr<M> result = decode<M>(body, version);
  return result.ok() ? "decoded: " + to_text(*result, version) : std::string(result.status().message());
}

TEST(Reader, ReceivedRecordsArePartOfTheFrameAndKeepItAlive) {
  ProduceRequest request;
  request.topic_data.emplace_back().partition_data.push_back(
      {.index = PartitionId(0), .records = Slice::copy_of("twelve bytes")});
  ProduceRequest decoded;
  const std::uint8_t *begin = nullptr, *end = nullptr;
  {
    const Slice body = encode(request, 9);
    begin = body.data();
    end = body.data() + body.size();
    decoded = *decode<ProduceRequest>(body, 9);
  }
  const Slice records = *decoded.topic_data[0].partition_data[0].records;
  EXPECT_GE(records.data(), begin);
  EXPECT_LE(records.data() + records.size(), end);
  EXPECT_EQ(records.text(), "twelve bytes");
}

TEST(Writer, SentRecordsAreReferredToAndNotCopied) {
  FetchResponse response;
  FetchTopicResponse& topic = response.responses.emplace_back();
  const Slice first = Slice::copy_of("first"), second = Slice::copy_of("second");
  topic.partitions.resize(3);
  topic.partitions[0].records = first;
  topic.partitions[1].records = Slice();
  topic.partitions[2].records = second;
  for (const std::int16_t version : std::initializer_list<std::int16_t>{4, 11, 12, 17}) {
    const Frame frame = *encode_response(CorrelationId(1), response, version);
    std::vector<const std::uint8_t*> at;
    std::size_t size = 0;
    for (const Slice& part : frame.parts) {
      at.push_back(part.data());
      size += part.size();
      EXPECT_FALSE(part.empty());
    }
    ASSERT_GE(frame.parts.size(), 4u);
    EXPECT_EQ(frame.parts[1].data(), first.data());
    EXPECT_EQ(frame.parts[3].data(), second.data());
    EXPECT_EQ(size, frame.size);
    EXPECT_EQ(load_big<std::int32_t>(frame.parts[0].data()), static_cast<std::int32_t>(size - kFrameLengthBytes));
  }
}

TEST(Reader, RefusalNamesMessageFieldAndPlace) {
  // Topics of a Metadata v4 request: one, whose name has nine bytes of which none is there.
  EXPECT_EQ(refusal<MetadataRequest>(raw({0, 0, 0, 1, 0, 9}), 4),
            "MetadataRequest v4, field Name at byte 6: a length beyond the bytes left");
  EXPECT_EQ(refusal<MetadataRequest>(raw({0, 0, 0}), 4),
            "MetadataRequest v4, field Topics at byte 0: the bytes end too early");
}

TEST(Reader, CountIsCheckedAgainstTheBytesLeftBeforeAnythingIsReserved) {
  EXPECT_NE(refusal<MetadataRequest>(raw({0x7f, 0xff, 0xff, 0xff, 0}), 4).find("a length beyond the bytes left"),
            std::string::npos);
  // Five bytes cannot hold two replicas of four bytes each: broker ids of a CreateTopics assignment.
  const Slice body = raw({0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0});
  EXPECT_NE(refusal<CreateTopicsRequest>(body, 2).find("BrokerIds at byte 25: more elements than the bytes left"),
            std::string::npos);
}

TEST(Reader, MemoryForElementsIsBounded) {
  // A million topics of one byte each cannot be: a count that the bytes left allow and the budget does not.
  const Slice body = Slice::allocate(std::size_t{8} << 20);
  std::memset(body.mutable_data(), 0, body.size());
  store_big<std::int32_t>(body.mutable_data(), (8 << 20) - 100);
  EXPECT_NE(refusal<MetadataRequest>(body, 4).find("more elements than a message may have"), std::string::npos);
}

TEST(Reader, NullIsRefusedWhereTheVersionHasNone) {
  EXPECT_NE(refusal<MetadataRequest>(raw({0xff, 0xff, 0xff, 0xff}), 0).find("null where this version has none"),
            std::string::npos);
  EXPECT_TRUE(decode<MetadataRequest>(raw({0xff, 0xff, 0xff, 0xff}), 1).ok());
  // The software name of ApiVersions v3, a compact string, sent as null.
  EXPECT_NE(refusal<ApiVersionsRequest>(raw({0, 1, 0}), 3).find("null where this version has none"), std::string::npos);
}

TEST(Reader, StringBeyondKafkasLimitIsRefused) {
  const Slice body = Slice::allocate(40'000);
  std::memset(body.mutable_data(), 'a', body.size());
  const auto with_length = [&](std::uint64_t size) {
    varint_write(body.mutable_data(), size + 1);
    return refusal<ApiVersionsRequest>(body, 3);
  };
  EXPECT_NE(with_length(32'768).find("a string longer than 32767 bytes"), std::string::npos);
  EXPECT_EQ(with_length(32'767).find("a string longer than 32767 bytes"), std::string::npos);
}

TEST(Reader, UnknownTaggedFieldsAreSkipped) {
  const StatusOr<ApiVersionsRequest> request =
      decode<ApiVersionsRequest>(raw({2, 'a', 2, 'b', 2, 5, 3, 1, 2, 3, 0xff, 0x7f, 0}), 3);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->client_software_name, "a");
  EXPECT_EQ(request->client_software_version, "b");
}

TEST(Reader, TaggedFieldsAreBounded) {
  EXPECT_NE(refusal<ApiVersionsRequest>(raw({1, 1, 1, 5, 3, 1, 2}), 3).find("a tagged field beyond the bytes left"),
            std::string::npos);
  EXPECT_NE(refusal<ApiVersionsRequest>(raw({1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}), 3).find("varint"),
            std::string::npos);
  EXPECT_NE(refusal<ApiVersionsRequest>(raw({1, 1, 0xff, 0xff, 0xff, 0xff, 0xff}), 3).find("varint"),
            std::string::npos);
  // FinalizedFeaturesEpoch (tag 1) takes eight bytes; nine and seven were announced.
  EXPECT_NE(refusal<ApiVersionsResponse>(raw({0, 0, 1, 0, 0, 0, 0, 1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0}), 3)
                .find("a tagged field shorter than its size"),
            std::string::npos);
  EXPECT_NE(refusal<ApiVersionsResponse>(raw({0, 0, 1, 0, 0, 0, 0, 1, 1, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0}), 3)
                .find("FinalizedFeaturesEpoch at byte 10: the bytes end too early"),
            std::string::npos);
}

TEST(Reader, BytesAfterTheMessageAreIgnored) { EXPECT_TRUE(decode<ApiVersionsRequest>(raw({1, 2, 3}), 0).ok()); }

TEST(Writer, WhatTheVersionCannotSayIsLeftOut) {
  DeleteTopicsRequest request;
  request.topics = {{.name = "by state", .topic_id = {}}};
  request.topic_names = {"by name"};
  const DeleteTopicsRequest old = *decode<DeleteTopicsRequest>(encode(request, 5), 5);
  EXPECT_TRUE(old.topics.empty());
  EXPECT_EQ(old.topic_names, request.topic_names);
  const DeleteTopicsRequest current = *decode<DeleteTopicsRequest>(encode(request, 6), 6);
  EXPECT_EQ(current.topics, request.topics);
  EXPECT_TRUE(current.topic_names.empty());
}

TEST(Writer, NullBecomesEmptyWhereTheVersionHasNoNull) {
  MetadataResponse response;
  response.topics.emplace_back().name = std::nullopt;
  EXPECT_EQ(decode<MetadataResponse>(encode(response, 12), 12)->topics[0].name, std::nullopt);
  EXPECT_EQ(decode<MetadataResponse>(encode(response, 11), 11)->topics[0].name, "");
  EXPECT_EQ(decode<MetadataRequest>(encode(MetadataRequest{}, 0), 0)->topics->size(), 0u);
}

TEST(Writer, StringIsCutAtKafkasLimit) {
  ApiVersionsRequest request;
  request.client_software_name = std::string(40'000, 'x');
  EXPECT_EQ(decode<ApiVersionsRequest>(encode(request, 3), 3)->client_software_name, std::string(32'767, 'x'));
  RequestHeader header{.api = ApiKey::kApiVersions, .version = 3, .client_id = std::string(40'000, 'c')};
  const StatusOr<ReceivedRequest> received =
      decode_request_header(encode_request(header, request).flat().from(kFrameLengthBytes));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->header.client_id, std::string(32'767, 'c'));
}

TEST(Headers, UnknownApiIsToldFromNoise) {
  EXPECT_TRUE(absl::IsNotFound(decode_request_header(raw({0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff})).status()));
  EXPECT_TRUE(absl::IsNotFound(decode_request_header(raw({0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff})).status()));
  const Slice whole = raw({0, 18, 0, 3, 0, 0, 0, 1, 0, 1, 'a', 0});
  EXPECT_TRUE(decode_request_header(whole).ok());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(absl::IsInvalidArgument(decode_request_header(whole.sub(0, size)).status())) << size;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(peek_correlation_id(raw({0, 0, 0})).status()));
  EXPECT_EQ(*peek_correlation_id(raw({0, 0, 1, 2, 9})), CorrelationId(258));
}

TEST(Headers, VersionThatWeDoNotHaveStillHasAHeader) {
  const StatusOr<ReceivedRequest> received = decode_request_header(raw({0, 18, 0, 99, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0}));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->header.version, 99);
  EXPECT_EQ(received->header.correlation_id, CorrelationId(1));
  EXPECT_EQ(received->header.client_id, "");
  EXPECT_EQ(received->body.size(), 3u);
}

TEST(Headers, UnknownTagsInAHeaderAreSkipped) {
  const StatusOr<ReceivedRequest> received =
      decode_request_header(raw({0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 1, 4, 2, 9, 9, 1, 1, 0}));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->body.size(), 3u);
}

TEST(Text, RecordsAppearAsTheirSizeAndHostileNamesStayOnTheLine) {
  ProduceRequest request;
  request.acks = 1;
  ProduceTopic& topic = request.topic_data.emplace_back();
  topic.name = "a\"\n\x01\xff";
  topic.partition_data.push_back({.index = PartitionId(2), .records = Slice::copy_of("1234")});
  EXPECT_EQ(to_text(request, 9),
            "ProduceRequest v9 {TransactionalId=null, Acks=1, TimeoutMs=0, TopicData=[{Name=\"a\\\"\\x0a\\x01\\xff\", "
            "PartitionData=[{Index=2, Records=<4 bytes>}]}]}");
}

TEST(Text, LongListsAreCut) {
  FetchRequest request;
  request.topics.resize(10'000);
  EXPECT_NE(to_text(request, 11).find("and 9984 more]"), std::string::npos);
  EXPECT_LT(to_text(request, 11).size(), 5000u);
}

TEST(Errors, NamesAndRetriabilityAreKafkas) {
  EXPECT_EQ(error_name(ErrorCode::kUnknownServerError), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(error_name(ErrorCode::kNone), "NONE");
  EXPECT_EQ(error_name(ErrorCode::kNotLeaderOrFollower), "NOT_LEADER_OR_FOLLOWER");
  EXPECT_EQ(error_name(ErrorCode::kControllerIdNotRegistered), "CONTROLLER_ID_NOT_REGISTERED");
  EXPECT_EQ(error_name(static_cast<ErrorCode>(137)), "UNKNOWN_ERROR_CODE");
  EXPECT_EQ(error_name(static_cast<ErrorCode>(-2)), "UNKNOWN_ERROR_CODE");
  EXPECT_TRUE(retriable(ErrorCode::kNotLeaderOrFollower));
  EXPECT_TRUE(retriable(ErrorCode::kKafkaStorageError));
  EXPECT_FALSE(retriable(ErrorCode::kMessageTooLarge));
  EXPECT_FALSE(retriable(static_cast<ErrorCode>(999)));
}

TEST(Apis, AreFoundByKey) {
  ASSERT_NE(find_api(ApiKey::kFetch), nullptr);
  EXPECT_EQ(find_api(ApiKey::kFetch)->advertised, versions(4, 17));
  EXPECT_EQ(find_api(ApiKey::kProduce)->advertised, versions(0, 12));
  EXPECT_EQ(find_api(ApiKey::kProduce)->implemented, versions(3, 12));
  EXPECT_EQ(find_api(static_cast<ApiKey>(4)), nullptr);
  EXPECT_EQ(find_api(static_cast<ApiKey>(-1)), nullptr);
  EXPECT_EQ(api_name(ApiKey::kDescribeCluster), "DescribeCluster");
  EXPECT_EQ(api_name(static_cast<ApiKey>(4)), "Unknown");
}

TEST(EncodeResponse, SaysWhereTheAnswerIsTooLargeAndWhereNoFrameHoldsIt) {
  const Slice records = Slice::allocate(64 << 20);
  FetchResponse response;
  response.responses.emplace_back().partitions.resize(1);
  response.responses[0].partitions[0].records = records;
  EXPECT_TRUE(encode_response(CorrelationId(1), response, 12, 1000).ok()) << "the records are not counted";
  EXPECT_TRUE(absl::IsResourceExhausted(encode_response(CorrelationId(1), response, 12, 50).status()));
  response.responses[0].partitions.resize(32, response.responses[0].partitions[0]);
  EXPECT_TRUE(absl::IsResourceExhausted(encode_response(CorrelationId(1), response, 12).status())) << "2 GiB";
}

}  // namespace
}  // namespace chronik::protocol
