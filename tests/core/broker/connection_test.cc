// What a connection keeps to: order, bounds, limits, and how it ends.
#include "core/protocol/api_versions.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"
#include "tests/core/broker/broker_world.h"

namespace chronik::broker::testing {
namespace {

using protocol::ErrorCode;

constexpr std::int16_t kFetchVersion = 12;
constexpr std::int16_t kMetadataVersion = 12;
constexpr std::int16_t kApiVersionsVersion = 3;

protocol::FetchRequest parked_fetch(const std::string& topic, Offset from, std::int32_t max_wait_ms) {
  protocol::FetchRequest request;
  request.max_wait_ms = max_wait_ms;
  request.min_bytes = 1;
  request.max_bytes = 1 << 20;
  auto& asked = request.topics.emplace_back();
  asked.topic = topic;
  asked.partitions.push_back({.partition = PartitionId(0), .fetch_offset = from, .partition_max_bytes = 1 << 20});
  return request;
}

protocol::ProduceRequest produce_request(const std::string& topic, Slice batch, std::int16_t acks) {
  protocol::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 10'000;
  auto& asked = request.topic_data.emplace_back();
  asked.name = topic;
  asked.partition_data.push_back({.index = PartitionId(0), .records = std::move(batch)});
  return request;
}

std::int32_t next_correlation_id(RawConnection& raw) {
  const StatusOr<Slice> frame = raw.receive();
  EXPECT_TRUE(frame.ok()) << frame.status();
  return frame.ok() ? protocol::peek_correlation_id(*frame)->value() : -1;
}

void expect_closed(RawConnection& raw) {
  const StatusOr<Slice> frame = raw.receive();
  EXPECT_TRUE(absl::IsOutOfRange(frame.status()) || absl::IsUnavailable(frame.status())) << frame.status();
}

// A header without a body, for APIs and versions that have no message.
std::string request_bytes(std::int16_t api, std::int16_t version, std::int32_t correlation_id, std::string_view body) {
  std::string bytes;
  const auto put = [&](std::uint64_t value, int width) {
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(value >> shift));
    }
  };
  put(10 + body.size(), 4);
  put(static_cast<std::uint64_t>(api), 2);
  put(static_cast<std::uint64_t>(version), 2);
  put(static_cast<std::uint64_t>(correlation_id), 4);
  put(0xffff, 2);  // no client id
  return bytes + std::string(body);
}

template <typename M>
std::string frame_of(const M& message, std::int16_t version, std::int32_t correlation_id) {
  const protocol::Frame frame = protocol::encode_request(
      {.api = M::kTraits.api, .version = version, .correlation_id = CorrelationId(correlation_id), .client_id = {}},
      message);
  return std::string(frame.flat().text());
}

TEST(Connections, AnswersLeaveInTheOrderOfTheRequests) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    make_topic(*visit.connect(), "t", 1);
    const auto raw = visit.connect_raw();
    const MonotonicTime sent = visit.ports.clock.monotonic();
    ASSERT_TRUE(raw->send(parked_fetch("t", Offset(0), 3000), kFetchVersion, 1).ok());
    ASSERT_TRUE(raw->send(protocol::MetadataRequest{}, kMetadataVersion, 2).ok());
    ASSERT_TRUE(raw->send(protocol::ApiVersionsRequest{}, kApiVersionsVersion, 3).ok());
    ASSERT_TRUE(raw->send(produce_request("t", batch_of({"x"}), -1), 9, 4).ok());
    // The produce is carried out while the fetch waits, wakes it, and is answered behind it.
    EXPECT_EQ(next_correlation_id(*raw), 1);
    EXPECT_LT(visit.ports.clock.monotonic() - sent, Duration::seconds(1));
    for (const std::int32_t id : {2, 3, 4}) {
      EXPECT_EQ(next_correlation_id(*raw), id);
    }
    // Here nothing wakes it, and everybody waits.
    ASSERT_TRUE(raw->send(parked_fetch("t", Offset(1), 3000), kFetchVersion, 5).ok());
    ASSERT_TRUE(raw->send(protocol::ApiVersionsRequest{}, kApiVersionsVersion, 6).ok());
    const MonotonicTime parked = visit.ports.clock.monotonic();
    EXPECT_EQ(next_correlation_id(*raw), 5);
    EXPECT_GE(visit.ports.clock.monotonic() - parked, Duration::milliseconds(2900));
    EXPECT_EQ(next_correlation_id(*raw), 6);
    // An answer does not wait for the ones behind it.
    const std::string three = frame_of(protocol::ApiVersionsRequest{}, kApiVersionsVersion, 7) +
                              frame_of(parked_fetch("t", Offset(1), 3000), kFetchVersion, 8) +
                              frame_of(protocol::ApiVersionsRequest{}, kApiVersionsVersion, 9);
    ASSERT_TRUE(raw->send_bytes(three).ok());
    const MonotonicTime again = visit.ports.clock.monotonic();
    EXPECT_EQ(next_correlation_id(*raw), 7);
    EXPECT_LT(visit.ports.clock.monotonic() - again, Duration::milliseconds(500));
    EXPECT_EQ(next_correlation_id(*raw), 8);
    EXPECT_GE(visit.ports.clock.monotonic() - again, Duration::milliseconds(2900));
    EXPECT_EQ(next_correlation_id(*raw), 9);
  });
}

TEST(Connections, AtTheBoundOfRequestsTheReaderStopsAndNothingFails) {
  node::NodeConfig config = small_node();
  config.limits.requests_per_connection = 4;
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    make_topic(*visit.connect(), "t", 1);
    const auto raw = visit.connect_raw();
    const MonotonicTime sent = visit.ports.clock.monotonic();
    for (std::int32_t id = 0; id < 10; ++id) {
      ASSERT_TRUE(raw->send(parked_fetch("t", Offset(0), 1000), kFetchVersion, id).ok());
    }
    // Four wait side by side, then the next four: the others were not even read before.
    for (std::int32_t id = 0; id < 10; ++id) {
      EXPECT_EQ(next_correlation_id(*raw), id);
      const Duration took = visit.ports.clock.monotonic() - sent;
      EXPECT_GE(took, Duration::milliseconds(1000 * (id / 4 + 1) - 10)) << id;
      EXPECT_LT(took, Duration::milliseconds(1000 * (id / 4 + 1) + 500)) << id;
    }
  });
}

TEST(Connections, AtTheBoundOfFibersTheReaderStopsAndNothingFails) {
  node::NodeConfig config = small_node();
  config.limits.fibers_per_connection = 2;
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    make_topic(*visit.connect(), "t", 1);
    const auto raw = visit.connect_raw();
    const MonotonicTime sent = visit.ports.clock.monotonic();
    for (std::int32_t id = 0; id < 6; ++id) {
      ASSERT_TRUE(raw->send(parked_fetch("t", Offset(0), 1000), kFetchVersion, id).ok());
    }
    for (std::int32_t id = 0; id < 6; ++id) {
      EXPECT_EQ(next_correlation_id(*raw), id);
      const Duration took = visit.ports.clock.monotonic() - sent;
      EXPECT_GE(took, Duration::milliseconds(1000 * (id / 2 + 1) - 10)) << id;
      EXPECT_LT(took, Duration::milliseconds(1000 * (id / 2 + 1) + 500)) << id;
    }
  });
}

TEST(Connections, AtTheBoundOfBytesReadersStopAndNothingFails) {
  node::NodeConfig config = small_node();
  config.limits.request_bytes_per_node = 10'000;
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    make_topic(*visit.connect(), "t", 1);
    const fiber::Budget& bytes = world.node().server().request_bytes();
    const MonotonicTime began = visit.ports.clock.monotonic();
    std::vector<Duration> answered;
    fiber::FiberScope clients;
    for (std::uint64_t c = 0; c < 6; ++c) {
      clients.spawn({"client", c}, [&] {
        const auto raw = visit.connect_raw();
        protocol::FetchRequest request = parked_fetch("t", Offset(0), 1000);
        request.rack_id = std::string(4000, 'x');
        ASSERT_TRUE(raw->send(request, kFetchVersion, 1).ok());
        EXPECT_EQ(next_correlation_id(*raw), 1);
        answered.push_back(visit.ports.clock.monotonic() - began);
      });
    }
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(500)).ok());
    EXPECT_GT(bytes.used(), 8'000u);
    ASSERT_TRUE(clients.join(patience()).ok());
    // Two fit; the others were not read before those were answered.
    ASSERT_EQ(answered.size(), 6u);
    for (std::size_t i = 0; i < answered.size(); ++i) {
      EXPECT_GE(answered[i], Duration::milliseconds(1000 * (static_cast<std::int64_t>(i) / 2 + 1) - 10)) << i;
      EXPECT_LT(answered[i], Duration::milliseconds(1000 * (static_cast<std::int64_t>(i) / 2 + 1) + 500)) << i;
    }
    // A frame that is larger than the bound goes alone.
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send(produce_request("t", batch_of({std::string(15'000, 'x')}), -1), 9, 7).ok());
    EXPECT_EQ(next_correlation_id(*raw), 7);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(bytes.used(), 0u);
  });
}

TEST(Connections, AFrameLongerThanAllowedEndsIt) {
  node::NodeConfig config = small_node();
  config.broker["socket.request.max.bytes"] = "1000";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const std::string length_of_1000("\0\0\x03\xe8", 4);
    const std::string just_right =
        length_of_1000 +
        request_bytes(18, 0, 5, std::string(990, 'x')).substr(4);  // bytes behind a message are ignored
    const auto served = visit.connect_raw();
    ASSERT_TRUE(served->send_bytes(just_right).ok());
    EXPECT_EQ(next_correlation_id(*served), 5);
    for (const std::string& length :
         {std::string("\0\0\x03\xe9", 4), std::string("\x7f\xff\xff\xff", 4), std::string("\xff\xff\xff\xff", 4)}) {
      const auto raw = visit.connect_raw();
      ASSERT_TRUE(raw->send_bytes(length).ok());
      expect_closed(*raw);
    }
    EXPECT_EQ(world.node().server().request_bytes().used(), 0u);
  });
}

TEST(Connections, AFrameThatDoesNotComeToItsEndEndsIt) {
  node::NodeConfig config = small_node();
  config.limits.frame = Duration::seconds(5);
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto raw = visit.connect_raw();
    const MonotonicTime sent = visit.ports.clock.monotonic();
    ASSERT_TRUE(raw->send_bytes(request_bytes(18, 0, 5, "").substr(0, 9)).ok());
    expect_closed(*raw);
    const Duration took = visit.ports.clock.monotonic() - sent;
    EXPECT_GT(took, Duration::milliseconds(4900));
    EXPECT_LT(took, Duration::seconds(6));
    EXPECT_EQ(world.node().server().request_bytes().used(), 0u);
  });
}

TEST(Connections, AnIdleOneIsClosed) {
  node::NodeConfig config = small_node();
  config.broker["connections.max.idle.ms"] = "5000";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto raw = visit.connect_raw();
    for (std::int32_t id = 0; id < 4; ++id) {
      ASSERT_TRUE(fiber::sleep(Duration::seconds(4)).ok());
      ASSERT_TRUE(raw->send(protocol::ApiVersionsRequest{}, kApiVersionsVersion, id).ok());
      EXPECT_EQ(next_correlation_id(*raw), id);
    }
    const MonotonicTime last = visit.ports.clock.monotonic();
    expect_closed(*raw);
    const Duration took = visit.ports.clock.monotonic() - last;
    EXPECT_GT(took, Duration::milliseconds(4900));
    EXPECT_LT(took, Duration::seconds(6));
    EXPECT_EQ(world.node().server().connections(), 0u);
  });
}

TEST(Connections, WhoseClientWaitsForAnAnswerIsNotIdle) {
  node::NodeConfig config = small_node();
  config.broker["connections.max.idle.ms"] = "5000";
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    make_topic(*visit.connect(), "t", 1);
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send(parked_fetch("t", Offset(0), 12'000), kFetchVersion, 1).ok());
    EXPECT_EQ(next_correlation_id(*raw), 1);
    const MonotonicTime last = visit.ports.clock.monotonic();
    expect_closed(*raw);
    EXPECT_GT(visit.ports.clock.monotonic() - last, Duration::seconds(1));
  });
}

TEST(Connections, BeyondTheMostOneIsClosedAtOnce) {
  node::NodeConfig config = small_node();
  config.limits.connections_max = 2;
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    auto first = visit.connect_raw();
    const auto second = visit.connect_raw();
    ASSERT_TRUE(second->send(protocol::ApiVersionsRequest{}, kApiVersionsVersion, 2).ok());
    EXPECT_EQ(next_correlation_id(*second), 2);
    const auto third = visit.connect_raw();
    expect_closed(*third);
    first.reset();
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    const auto fourth = visit.connect_raw();
    ASSERT_TRUE(fourth->send(protocol::ApiVersionsRequest{}, kApiVersionsVersion, 4).ok());
    EXPECT_EQ(next_correlation_id(*fourth), 4);
  });
}

TEST(Connections, AProduceWithoutAcknowledgementGetsNoAnswer) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send(produce_request("t", batch_of({"a"}), 0), 9, 1).ok());
    ASSERT_TRUE(raw->send(produce_request("t", batch_of({"b"}), 0), 9, 2).ok());
    ASSERT_TRUE(raw->send(protocol::ApiVersionsRequest{}, kApiVersionsVersion, 3).ok());
    EXPECT_EQ(next_correlation_id(*raw), 3);
    ASSERT_TRUE(fiber::sleep(Duration::seconds(1)).ok());
    EXPECT_EQ(read_values(*client, "t", 0), (std::vector<std::string>{"a", "b"}));
    // The only way to learn of an error.
    ASSERT_TRUE(raw->send(produce_request("absent", batch_of({"c"}), 0), 9, 4).ok());
    expect_closed(*raw);
  });
}

TEST(Connections, UnknownApisAndVersionsEndItButForApiVersions) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    // WriteTxnMarkers, nothing at all, Produce 2 (advertised and refused), Fetch 3 and 99, Metadata 14.
    const std::pair<std::int16_t, std::int16_t> unknown[] = {{27, 0}, {999, 0}, {-1, 0}, {0, 2},
                                                             {1, 3},  {1, 99},  {3, 14}};
    for (const auto& [api, version] : unknown) {
      const auto raw = visit.connect_raw();
      ASSERT_TRUE(raw->send_bytes(request_bytes(api, version, 1, std::string(20, '\0'))).ok());
      expect_closed(*raw);
    }
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send_bytes(request_bytes(18, 99, 8, std::string("\0what a later version may say", 29))).ok());
    const auto answer = raw->receive_as<protocol::ApiVersionsResponse>(0);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->error_code, ErrorCode::kUnsupportedVersion);
    ASSERT_EQ(answer->api_keys.size(), 1u);
    EXPECT_EQ(answer->api_keys[0].api_key, protocol::ApiKey::kApiVersions);
    EXPECT_EQ(answer->api_keys[0].max_version, 4);
    // The client asks again on the same connection.
    const protocol::ApiVersionsRequest named{.client_software_name = "a-client", .client_software_version = "1.0"};
    ASSERT_TRUE(raw->send(named, kApiVersionsVersion, 9).ok());
    const auto again = raw->receive_as<protocol::ApiVersionsResponse>(kApiVersionsVersion);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->error_code, ErrorCode::kNone);
    EXPECT_GT(again->api_keys.size(), 10u);
  });
}

TEST(Connections, WhoHasNoProperNameIsNotToldTheVersions) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    const auto versions = [&](const std::string& name, const std::string& version) {
      return ask<protocol::ApiVersionsResponse>(
          *client, protocol::ApiVersionsRequest{.client_software_name = name, .client_software_version = version}, 3);
    };
    for (const auto& [name, version] : {std::pair("", "1"), std::pair("a", ""), std::pair("a client", "1"),
                                        std::pair("a-", "1"), std::pair(".a", "1")}) {
      const auto answer = versions(name, version);
      EXPECT_EQ(answer.error_code, ErrorCode::kInvalidRequest) << name << ' ' << version;
      EXPECT_TRUE(answer.api_keys.empty());
    }
    EXPECT_EQ(versions("a", "2.0.2-rc1").error_code, ErrorCode::kNone);
  });
}

TEST(Connections, EveryAdvertisedApiHasAHandler) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send(protocol::ApiVersionsRequest{}, kApiVersionsVersion, 1).ok());
    const auto advertised = raw->receive_as<protocol::ApiVersionsResponse>(kApiVersionsVersion);
    ASSERT_TRUE(advertised.ok());
    for (const auto& api : advertised->api_keys) {
      const auto asking = visit.connect_raw();
      const auto key = static_cast<std::int16_t>(api.api_key);
      // Zeros are a request of nothing, or nearly, in each of them but three.
      std::string body(64, '\0');
      if (api.api_key == protocol::ApiKey::kDescribeTopicPartitions) {
        body = std::string("\0\1\0\0\0\0\xff\0", 8);
      } else if (api.api_key == protocol::ApiKey::kAlterPartitionReassignments) {
        body = std::string("\0\0\0\0\0\1\0", 7);
      } else if (api.api_key == protocol::ApiKey::kDescribeProducers) {
        body = std::string("\0\1\0", 3);
      }
      const std::int16_t version = key == 0 ? std::int16_t{3} : api.min_version;
      ASSERT_TRUE(asking->send_bytes(request_bytes(key, version, 77, body)).ok());
      if (key == 0) {
        continue;  // acks=0: there is no answer
      }
      EXPECT_EQ(next_correlation_id(*asking), 77) << protocol::api_name(api.api_key);
    }
  });
}

TEST(Connections, WhatCannotBeDecodedEndsOneAloneAndIsCounted) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send_bytes(request_bytes(1, 12, 1, "nonsense")).ok());
    expect_closed(*raw);
    const auto headless = visit.connect_raw();
    ASSERT_TRUE(headless->send_bytes(std::string("\0\0\0\3abc", 7)).ok());
    expect_closed(*headless);
    EXPECT_EQ(produce(*client, "t", 0, batch_of({"a"})).error_code, ErrorCode::kNone);
  });
}

TEST(Connections, AnAnswerThatBecomesReadyWhileTheClientIsSlowToTakeAnotherIsSentBehindIt) {
  BrokerWorld world;
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    for (int i = 0; i < 8; ++i) {
      produce(*client, "t", 0, batch_of({std::string(40'000, 'x')}));
    }
    const auto raw = visit.connect_raw();
    ASSERT_TRUE(raw->send(parked_fetch("t", Offset(0), 0), kFetchVersion, 1).ok());  // more than sockets hold
    ASSERT_TRUE(raw->send(parked_fetch("t", Offset(8), 500), kFetchVersion, 2).ok());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_GT(world.node().server().response_bytes().used(), 300'000u) << "the first one has been taken";
    EXPECT_EQ(next_correlation_id(*raw), 1);
    EXPECT_EQ(next_correlation_id(*raw), 2);
  });
}

TEST(Connections, AClientThatSendsAndNeverReadsCostsBoundedMemoryAndIsLeft) {
  node::NodeConfig config = small_node();
  config.limits.requests_per_connection = 8;
  config.limits.response_bytes_per_node = 400'000;
  config.limits.request_bytes_per_node = 100'000;
  config.limits.write = Duration::seconds(10);
  BrokerWorld world(config);
  world.run([&](Visit& visit) {
    const auto client = visit.connect();
    make_topic(*client, "t", 1);
    for (int i = 0; i < 4; ++i) {
      produce(*client, "t", 0, batch_of({std::string(40'000, 'x')}));
    }
    const Server& server = world.node().server();
    const MonotonicTime began = visit.ports.clock.monotonic();
    std::uint64_t most = 0;
    fiber::FiberScope scope;
    auto deaf = visit.connect_raw();
    scope.spawn({"deaf", 0}, [&] {
      // Far more than may be under way; at some point nobody takes the requests any more.
      for (std::int32_t id = 0; id < 10'000; ++id) {
        if (!deaf->send(parked_fetch("t", Offset(0), 0), kFetchVersion, id).ok()) {
          return;
        }
      }
    });
    while (server.connections() > 1 && visit.ports.clock.monotonic() - began < Duration::seconds(60)) {
      most = std::max(most, server.response_bytes().used());
      ASSERT_TRUE(fiber::sleep(Duration::milliseconds(5)).ok());
    }
    EXPECT_GT(most, 100'000u);
    EXPECT_LE(most, 400'000u);
    EXPECT_EQ(server.connections(), 1u) << "the deaf client was not left";
    EXPECT_LT(visit.ports.clock.monotonic() - began, Duration::seconds(20));
    deaf->connection().close();
    ASSERT_TRUE(scope.join(patience()).ok());
    EXPECT_EQ(server.response_bytes().used(), 0u);
    EXPECT_EQ(server.request_bytes().used(), 0u);
    EXPECT_EQ(read_values(*client, "t", 0).size(), 4u) << "others are served as before";
  });
}

}  // namespace
}  // namespace chronik::broker::testing
