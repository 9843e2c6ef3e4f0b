#include "core/client/dial.h"

#include "tests/support/fiber_world.h"

namespace chronik::client {
namespace {

// Port 1 refuses, port 2 never answers, port 3 is connected.
class ThreePorts final : public Network {
 public:
  StatusOr<std::unique_ptr<Listener>> listen(const Address&) override { return absl::UnimplementedError(""); }
  StatusOr<std::unique_ptr<Connection>> connect(const Address& to, const Deadline& deadline) override {
    tried.push_back(to.port);
    if (to.port == 1) {
      return absl::UnavailableError("refused");
    }
    if (to.port == 2) {
      return never_.wait({WaitKind::kConnect, 0, 0, 0}, deadline);
    }
    return std::make_unique<Nothing>();
  }
  StatusOr<std::vector<Address>> resolve(std::string_view, std::uint16_t, const Deadline&) override {
    std::vector<Address> addresses;
    for (const std::uint16_t port : ports) {
      addresses.push_back(Address::ipv4(10, 0, 0, 1, port));
    }
    return addresses;
  }

  std::vector<std::uint16_t> ports;
  std::vector<std::uint16_t> tried;

 private:
  class Nothing final : public Connection {
   public:
    StatusOr<std::size_t> read(MutableByteSpan, const Deadline&) override { return absl::UnimplementedError(""); }
    Status write(std::span<const Slice>, const Deadline&) override { return absl::UnimplementedError(""); }
    StatusOr<std::size_t> try_write(std::span<const Slice>) override { return absl::UnimplementedError(""); }
    void shutdown_write() override {}
    void close() override {}
    Address local() const override { return {}; }
    Address peer() const override { return {}; }
  };
  fiber::Event never_;
};

// How dialling went, within a second.
struct Dialled {
  Status status;
  std::vector<std::uint16_t> tried;
  Duration took;
};
Dialled dial_ports(const std::vector<std::uint16_t>& ports) {
  testing::FiberWorld world;
  Dialled dialled;
  world.spawn("test", [&] {
    ThreePorts network;
    network.ports = ports;
    const MonotonicTime began = fiber::Scheduler::current().now();
    dialled.status = dial(network, "host", 9092, fiber::within(Duration::seconds(1), Expiry::kPeer)).status();
    dialled.tried = network.tried;
    dialled.took = fiber::Scheduler::current().now() - began;
  });
  world.run();
  return dialled;
}

TEST(Dial, TheFirstAddressThatAnswersIsTaken) {
  const Dialled dialled = dial_ports({1, 3, 2});
  EXPECT_TRUE(dialled.status.ok()) << dialled.status;
  EXPECT_EQ(dialled.tried, (std::vector<std::uint16_t>{1, 3}));
}

TEST(Dial, AnAddressThatDoesNotAnswerLeavesTimeForTheOthers) {
  const Dialled dialled = dial_ports({2, 2, 3});
  EXPECT_TRUE(dialled.status.ok()) << dialled.status;
  EXPECT_EQ(dialled.tried.size(), 3u);
  EXPECT_LT(dialled.took, Duration::milliseconds(700));
}

TEST(Dial, TheLastAddressesErrorIsTold) {
  EXPECT_TRUE(absl::IsUnavailable(dial_ports({2, 1}).status));
  EXPECT_TRUE(absl::IsDeadlineExceeded(dial_ports({1, 2}).status));
  EXPECT_TRUE(absl::IsNotFound(dial_ports({}).status));
}

}  // namespace
}  // namespace chronik::client
