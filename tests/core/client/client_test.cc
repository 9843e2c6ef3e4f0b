#include "core/client/client.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/endian.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"
#include "tests/support/fiber_world.h"

namespace chronik::client {
namespace {

using chronik::testing::FiberWorld;

constexpr Duration kPatience = Duration::seconds(5);
Deadline soon() { return fiber::within(kPatience, Expiry::kNormal); }

// The broker's end of a connection, played by the test.
struct Peer {
  std::string to_client;
  std::vector<std::string> from_client;  // frames, each with its length
  int writes = 0;
  bool takes_bytes = true;
  bool closed = false;
  bool told_of_the_end = false;  // the client sends nothing more
  bool ends = false;             // nor does this one
  fiber::Event changed;

  void give(const protocol::Frame& frame) {
    to_client += frame.flat().text();
    changed.notify_all();
  }
};

class FakeConnection final : public Connection {
 public:
  explicit FakeConnection(Peer& peer) : peer_(peer) {}

  StatusOr<std::size_t> read(MutableByteSpan into, const Deadline& deadline) override {
    while (peer_.to_client.empty()) {
      if (peer_.closed) {
        return absl::UnavailableError("reset");
      }
      if (peer_.ends) {
        return std::size_t{0};
      }
      RETURN_IF_ERROR(peer_.changed.wait({WaitKind::kNetworkRead, 1, 2, 0}, deadline));
    }
    const std::size_t n = std::min(into.size(), peer_.to_client.size());
    std::memcpy(into.data(), peer_.to_client.data(), n);
    peer_.to_client.erase(0, n);
    return n;
  }
  Status write(std::span<const Slice> parts, const Deadline& deadline) override {
    while (!peer_.takes_bytes && !peer_.closed) {
      RETURN_IF_ERROR(peer_.changed.wait({WaitKind::kNetworkWrite, 1, 2, 0}, deadline));
    }
    if (peer_.closed) {
      return absl::UnavailableError("reset");
    }
    std::string written;
    for (const Slice& part : parts) {
      written += part.text();
    }
    ++peer_.writes;
    while (!written.empty()) {
      const auto length = load_big<std::int32_t>(as_bytes(written).data());
      peer_.from_client.push_back(written.substr(0, 4 + static_cast<std::size_t>(length)));
      written.erase(0, peer_.from_client.back().size());
    }
    return ok();
  }
  StatusOr<std::size_t> try_write(std::span<const Slice>) override { return std::size_t{0}; }
  void shutdown_write() override { peer_.told_of_the_end = true; }
  void close() override {
    peer_.closed = true;
    peer_.changed.notify_all();
  }
  Address local() const override { return Address::ipv4(127, 0, 0, 1, 1); }
  Address peer() const override { return Address::ipv4(127, 0, 0, 1, 2); }

 private:
  Peer& peer_;
};

class ClientTest : public ::testing::Test {
 protected:
  // Runs body(client) in a fiber, with the broker's end in peer_.
  template <typename Body>
  void run(const ClientOptions& options, Body body) {
    bool ended = false;
    world_.spawn("test", [&] {
      {
        Client client(std::make_unique<FakeConnection>(peer_), options);
        body(client);
      }
      ended = true;
    });
    world_.run();
    EXPECT_TRUE(ended);
  }
  // Asks for metadata of `topic` in another fiber.
  void ask(fiber::FiberScope& scope, Client& client, const std::string& topic, Status& into) {
    scope.spawn({"asker", 0}, [&client, topic, &into] {
      const StatusOr<protocol::MetadataTopic> answer = client.metadata(topic, soon());
      into = answer.ok() && answer->name != topic ? absl::InternalError("of another topic") : answer.status();
    });
  }
  static protocol::Frame answer_to(std::int32_t id, const std::string& topic) {
    protocol::MetadataResponse response;
    response.topics.push_back({.name = topic});
    return *protocol::encode_response(CorrelationId(id), response, 12);
  }

  FiberWorld world_;
  Peer peer_;
};

TEST_F(ClientTest, AnswersFindTheirRequests) {
  run({}, [&](Client& client) {
    fiber::FiberScope scope;
    Status first = absl::UnknownError("");
    Status second = first;
    ask(scope, client, "a", first);
    ask(scope, client, "b", second);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    EXPECT_EQ(peer_.from_client.size(), 2u);
    EXPECT_EQ(client.in_flight(), 2u);
    peer_.give(answer_to(1, "a"));
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    EXPECT_TRUE(first.ok()) << first;
    EXPECT_EQ(client.in_flight(), 1u);
    peer_.give(answer_to(2, "b"));
    EXPECT_TRUE(scope.join(soon()).ok());
    EXPECT_TRUE(second.ok()) << second;
    EXPECT_TRUE(client.violation().ok());
  });
}

TEST_F(ClientTest, AnAnswerOutOfOrderBreaksTheConnection) {
  run({}, [&](Client& client) {
    fiber::FiberScope scope;
    Status first = ok();
    Status second = ok();
    ask(scope, client, "a", first);
    ask(scope, client, "b", second);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    peer_.give(answer_to(2, "b"));
    peer_.give(answer_to(1, "a"));
    EXPECT_TRUE(scope.join(soon()).ok());
    EXPECT_TRUE(second.ok()) << second;
    EXPECT_TRUE(absl::IsUnavailable(first)) << first;
    EXPECT_TRUE(client.broken());
    EXPECT_TRUE(absl::IsInvalidArgument(client.violation())) << client.violation();
  });
}

TEST_F(ClientTest, ABrokenConnectionEndsEveryCallAndStaysBroken) {
  run({}, [&](Client& client) {
    fiber::FiberScope scope;
    Status first = ok();
    Status second = ok();
    ask(scope, client, "a", first);
    ask(scope, client, "b", second);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    peer_.closed = true;
    peer_.changed.notify_all();
    EXPECT_TRUE(scope.join(soon()).ok());
    EXPECT_TRUE(absl::IsUnavailable(first)) << first;
    EXPECT_TRUE(absl::IsUnavailable(second)) << second;
    EXPECT_TRUE(client.broken());
    EXPECT_TRUE(absl::IsFailedPrecondition(client.metadata("a", soon()).status()));
    EXPECT_TRUE(absl::IsFailedPrecondition(client.produce_unanswered("a", PartitionId(0), Slice(), soon())));
  });
}

TEST_F(ClientTest, AnAnswerAfterTheDeadlineIsDroppedAndTheConnectionLives) {
  run({}, [&](Client& client) {
    const StatusOr<protocol::MetadataTopic> late = client.metadata("a", soon());
    EXPECT_TRUE(absl::IsUnknown(late.status())) << late.status();
    peer_.give(answer_to(1, "a"));
    fiber::FiberScope scope;
    Status next = absl::UnknownError("");
    ask(scope, client, "b", next);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    peer_.give(answer_to(2, "b"));
    EXPECT_TRUE(scope.join(soon()).ok());
    EXPECT_TRUE(next.ok()) << next;
  });
}

TEST_F(ClientTest, NoMoreRequestsThanAllowedAreUnderWay) {
  run({.in_flight_max = 1}, [&](Client& client) {
    fiber::FiberScope scope;
    Status first = ok();
    ask(scope, client, "a", first);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    EXPECT_TRUE(absl::IsResourceExhausted(client.metadata("b", soon()).status()));
    EXPECT_EQ(peer_.from_client.size(), 1u);
    client.close();
    EXPECT_TRUE(scope.join(soon()).ok());
    EXPECT_TRUE(absl::IsUnavailable(first)) << first;
  });
}

TEST_F(ClientTest, AnAnswerOfAnImpossibleLengthBreaksTheConnection) {
  run({.frame_bytes_max = 1000}, [&](Client& client) {
    peer_.to_client = std::string("\x7f\0\0\0", 4);
    EXPECT_TRUE(absl::IsUnavailable(client.metadata("a", soon()).status()));
    EXPECT_TRUE(client.broken());
  });
}

TEST_F(ClientTest, WithoutAcksAMessageIsDoneWhenTheConnectionHasTakenIt) {
  run({}, [&](Client& client) {
    peer_.takes_bytes = false;
    fiber::FiberScope scope;
    std::vector<Status> done;
    for (int i = 0; i < 2; ++i) {
      scope.spawn({"producer", 0}, [&] {
        done.push_back(client.produce_unanswered("a", PartitionId(0), Slice::copy_of("batch"), soon()));
      });
    }
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    EXPECT_TRUE(done.empty());
    peer_.takes_bytes = true;
    peer_.changed.notify_all();
    EXPECT_TRUE(scope.join(soon()).ok());
    ASSERT_EQ(done.size(), 2u);
    EXPECT_TRUE(done[0].ok() && done[1].ok());
    EXPECT_EQ(client.in_flight(), 0u);
    EXPECT_EQ(peer_.from_client.size(), 2u);
  });
}

// Of many that wait each is woken by its own request, once, and those that gather go in one write.
TEST_F(ClientTest, WithoutAcksNobodyIsWokenForAnothersMessage) {
  run({}, [&](Client& client) {
    peer_.takes_bytes = false;
    constexpr std::size_t kMany = 60;
    fiber::FiberScope scope;
    std::vector<std::uint64_t> resumes;
    int late = 0;
    for (std::size_t i = 0; i < kMany; ++i) {
      scope.spawn({"producer", i}, [&] {
        EXPECT_TRUE(client.produce_unanswered("a", PartitionId(0), Slice::copy_of("batch"), soon()).ok());
        resumes.push_back(fiber::Fiber::current().resumes());
      });
    }
    scope.spawn({"impatient", 0}, [&] {
      const Deadline now = fiber::within(Duration::milliseconds(1), Expiry::kNormal);
      late += absl::IsDeadlineExceeded(client.produce_unanswered("a", PartitionId(0), Slice(), now)) ? 1 : 0;
    });
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(5)).ok());
    EXPECT_EQ(late, 1);
    peer_.takes_bytes = true;
    peer_.changed.notify_all();
    EXPECT_TRUE(scope.join(soon()).ok());
    EXPECT_EQ(resumes, std::vector<std::uint64_t>(kMany, 2)) << "to begin and to end";
    EXPECT_EQ(peer_.from_client.size(), kMany + 1);
    EXPECT_LT(peer_.writes, 10);
  });
}

TEST_F(ClientTest, WithoutAcksAMessageThatIsNotTakenFails) {
  run({}, [&](Client& client) {
    peer_.takes_bytes = false;
    EXPECT_TRUE(
        absl::IsDeadlineExceeded(client.produce_unanswered("a", PartitionId(0), Slice::copy_of("batch"), soon())));
    fiber::FiberScope scope;
    Status done = ok();
    scope.spawn({"producer", 0},
                [&] { done = client.produce_unanswered("a", PartitionId(0), Slice::copy_of("batch"), soon()); });
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    client.close();
    EXPECT_TRUE(scope.join(soon()).ok());
    EXPECT_TRUE(absl::IsUnavailable(done)) << done;
  });
}

// Notes what it is told.
class NotedCall final : public Client::Call {
 public:
  explicit NotedCall(std::vector<Status>& told) : told_(told) {}
  void on_answer(StatusOr<Slice> body) override { told_.push_back(body.status()); }

 private:
  std::vector<Status>& told_;
};

TEST_F(ClientTest, ACallIsToldOnceOfItsAnswerOrOfTheEnd) {
  run({.in_flight_max = 3}, [&](Client& client) {
    std::vector<Status> told;
    NotedCall first(told);
    NotedCall second(told);
    NotedCall refused(told);
    const protocol::MetadataRequest request;
    ASSERT_TRUE(client.start(request, 12, first).ok());
    {
      NotedCall forgotten(told);
      ASSERT_TRUE(client.start(request, 12, forgotten).ok());
    }
    ASSERT_TRUE(client.start(request, 12, second).ok());
    EXPECT_EQ(client.in_flight(), 2u);
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    EXPECT_EQ(peer_.from_client.size(), 3u);
    peer_.give(answer_to(1, "a"));
    peer_.give(answer_to(2, "b"));
    ASSERT_TRUE(fiber::sleep(Duration::milliseconds(1)).ok());
    ASSERT_EQ(told.size(), 1u);
    EXPECT_TRUE(told[0].ok()) << told[0];
    EXPECT_FALSE(first.under_way());
    EXPECT_TRUE(second.under_way());
    client.close();
    ASSERT_EQ(told.size(), 2u);
    EXPECT_TRUE(absl::IsUnavailable(told[1])) << told[1];
    EXPECT_TRUE(absl::IsFailedPrecondition(client.start(request, 12, refused)));
    EXPECT_EQ(told.size(), 2u);
  });
}

TEST_F(ClientTest, RequestsWithoutAnswersKeepTheConnection) {
  run({.idle = Duration::seconds(10)}, [&](Client& client) {
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(fiber::sleep(Duration::seconds(6)).ok());
      EXPECT_TRUE(client.produce_unanswered("a", PartitionId(0), Slice::copy_of("batch"), soon()).ok());
    }
    ASSERT_TRUE(fiber::sleep(Duration::seconds(9)).ok());
    EXPECT_FALSE(client.broken());
    ASSERT_TRUE(fiber::sleep(Duration::seconds(2)).ok());
    EXPECT_TRUE(client.broken());
  });
}

TEST_F(ClientTest, WhoFinishesWaitsUntilTheBrokerHasReadEverything) {
  run({}, [&](Client& client) {
    ASSERT_TRUE(client.produce_unanswered("a", PartitionId(0), Slice::copy_of("batch"), soon()).ok());
    EXPECT_FALSE(peer_.told_of_the_end);
    EXPECT_TRUE(absl::IsDeadlineExceeded(client.finish(soon())));
    EXPECT_TRUE(peer_.told_of_the_end);
    EXPECT_FALSE(peer_.closed);
    peer_.ends = true;
    peer_.changed.notify_all();
    EXPECT_TRUE(client.finish(soon()).ok());
    EXPECT_TRUE(client.broken());
    EXPECT_TRUE(absl::IsFailedPrecondition(client.finish(soon())));
  });
}

TEST_F(ClientTest, NobodyFinishesWhileAnAnswerIsToCome) {
  run({}, [&](Client& client) {
    std::vector<Status> told;
    NotedCall call(told);
    protocol::MetadataRequest request;
    ASSERT_TRUE(client.start(request, 12, call).ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(client.finish(soon())));
    EXPECT_FALSE(peer_.told_of_the_end);
  });
}

TEST_F(ClientTest, ProducingWithAnAnswerNeedsAcks) {
  run({}, [&](Client& client) {
    EXPECT_TRUE(absl::IsInvalidArgument(client.produce("a", PartitionId(0), Slice(), 0, soon()).status()));
  });
}

}  // namespace
}  // namespace chronik::client
