// Whose turn comes first when a sync of the log makes answers ready.
#include "core/broker/answer_sender.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/broker/connection.h"
#include "core/protocol/messages/api_versions.h"
#include "tests/support/fiber_world.h"

namespace chronik::broker {
namespace {

using Happened = std::vector<std::string>;

// A client that sends one request and takes every answer.
class OneRequest final : public Connection {
 public:
  explicit OneRequest(Happened& happened) : happened_(happened) {
    bytes_ = protocol::encode_request({.api = protocol::ApiKey::kApiVersions,
                                       .version = 0,
                                       .correlation_id = CorrelationId(1),
                                       .client_id = "one"},
                                      protocol::ApiVersionsRequest{})
                 .flat();
  }
  StatusOr<std::size_t> read(MutableByteSpan into, const Deadline& deadline) override {
    if (bytes_.empty()) {
      RETURN_IF_ERROR(more_.wait(WaitKey{WaitKind::kNetworkRead, 0, 0, 0}, deadline));
      return absl::UnavailableError("closed");
    }
    const std::size_t size = std::min(into.size(), bytes_.size());
    std::copy_n(bytes_.data(), size, into.data());
    bytes_ = bytes_.from(size);
    return size;
  }
  Status write(std::span<const Slice> /*parts*/, const Deadline& /*deadline*/) override {
    return absl::UnimplementedError("takes everything at once");
  }
  StatusOr<std::size_t> try_write(std::span<const Slice> parts) override {
    happened_.emplace_back("answered");
    std::size_t taken = 0;
    for (const Slice& part : parts) {
      taken += part.size();
    }
    return taken;
  }
  void shutdown_write() override {}
  void close() override { more_.notify_all(); }
  Address local() const override { return {}; }
  Address peer() const override { return {}; }

 private:
  Happened& happened_;
  Slice bytes_;
  fiber::Event more_;
};

// Keeps the request until it is told to answer.
class Keeper final : public RequestHandler {
 public:
  void handle(Request&& request) override { kept_.emplace(std::move(request)); }
  bool keeps() const { return kept_.has_value(); }
  void answer() {
    kept_->reply(protocol::ApiVersionsResponse{});
    kept_.reset();
  }

 private:
  std::optional<Request> kept_;
};

TEST(AnswerSender, SendsWhenTheNextSyncIsOnItsWay) {
  chronik::testing::FiberWorld world;
  Happened happened;
  const Limits limits;
  Keeper keeper;
  fiber::Budget requests(1 << 20, 1);
  fiber::Budget responses(1 << 20, 2);
  AnswerSender sender;
  const ConnectionContext context{limits, keeper, requests, responses, sender};
  world.spawn("sender", [&] { sender.run(); });
  world.spawn("connection", [&] {
    ClientConnection connection(context, std::make_unique<OneRequest>(happened), 1);
    connection.run();
  });
  world.run_for(Duration::milliseconds(1));
  ASSERT_TRUE(keeper.keeps());

  // As the write-ahead log does: it tells of one sync, lets the turn come to its end, and makes the next.
  world.spawn("committer", [&] {
    keeper.answer();
    fiber::yield_until_quiet();
    happened.emplace_back("synced");
  });
  world.spawn("reader", [&] { happened.emplace_back("appended"); });
  world.run_for(Duration::milliseconds(1));
  EXPECT_EQ(happened, (Happened{"appended", "synced", "answered"}));
  world.scope.cancel();
  world.run_for(Duration::milliseconds(1));
}

}  // namespace
}  // namespace chronik::broker
