// What the network does when it is broken. What it does when it is not is a matter of the conformance suite.
#include "sim/network.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/sim_support.h"

namespace chronik::sim::network_test {
namespace {

constexpr std::uint16_t kPort = 99;

// Two machines: "server" counts what it reads until the end and notes how that came; "client" does as the test says.
struct Two {
  explicit Two(Program talks, std::uint64_t seed = 1) : small(seed) {
    server = &small.machine("server", [this](ProcessContext& process) {
      const auto listener = process.ports.network.listen(Address::ipv4(0, 0, 0, 0, kPort));
      ASSERT_TRUE(listener.ok());
      const auto connection = (*listener)->accept(fiber::for_ever());
      if (!connection.ok()) {
        return;
      }
      for (;;) {
        std::uint8_t into[100];
        const StatusOr<std::size_t> read =
            (*connection)->read(into, fiber::within(Duration::seconds(600), Expiry::kNormal));
        ended = small.world.now();
        if (!read.ok() || *read == 0) {
          end = read.ok() ? "end" : std::string(absl::StatusCodeToString(read.status().code()));
          return;
        }
        got += *read;
        last = small.world.now();
      }
    });
    client = &small.machine("client", std::move(talks));
    server->start();
    client->start();
  }
  Address address() const { return Address::ipv4(10, 0, 0, 1, kPort); }

  SmallWorld small;
  Machine* server = nullptr;
  Machine* client = nullptr;
  std::size_t got = 0;
  std::string end;
  VirtualTime last;
  VirtualTime ended;
};

// Connects, sends ten bytes at once and then each second, for as long as it can.
Program chatter(std::string& outcome) {
  return [&outcome](ProcessContext& process) {
    const auto connection = process.ports.network.connect(Address::ipv4(10, 0, 0, 1, kPort), patience());
    if (!connection.ok()) {
      outcome = "no connection";
      return;
    }
    for (;;) {
      const Slice part = Slice::copy_of("0123456789");
      const Status written = (*connection)->write({&part, 1}, patience());
      if (!written.ok()) {
        outcome = "write failed";
        return;
      }
      CHECK_OK(fiber::sleep(Duration::seconds(1)));
    }
  };
}

std::int64_t seconds(VirtualTime at) { return at.nanoseconds() / 1'000'000'000; }

TEST(Network, WhatAPartitionHoldsBackArrivesOnceItIsOver) {
  std::string outcome;
  Two two(chatter(outcome));
  NetworkFabric& network = two.small.world.network();
  two.small.world.after(Duration::milliseconds(2500), [&] { network.block(*two.client, *two.server); });
  std::size_t during = 0;
  two.small.world.after(Duration::milliseconds(9500), [&] {
    during = two.got;
    network.unblock(*two.client, *two.server);
  });
  two.small.world.run_for(Duration::milliseconds(10'400));
  EXPECT_EQ(during, 30u);
  EXPECT_EQ(two.got, 110u);
}

TEST(Network, APartitionOfOneDirectionLeavesTheOtherAlone) {
  std::string outcome;
  Two two(chatter(outcome));
  two.small.world.after(Duration::milliseconds(500),
                        [&] { two.small.world.network().block(*two.server, *two.client); });
  two.small.world.run_for(Duration::milliseconds(5'500));
  EXPECT_EQ(two.got, 60u);
}

TEST(Network, AConnectionCutOffForTooLongIsResetAtTheSenderAlone) {
  std::string outcome;
  Two two(chatter(outcome));
  two.small.world.network().knobs().give_up = Duration::seconds(30);
  two.small.world.after(Duration::milliseconds(500),
                        [&] { two.small.world.network().block(*two.client, *two.server); });
  two.small.world.run_for(Duration::seconds(60));
  EXPECT_EQ(outcome, "write failed");
  EXPECT_EQ(two.end, "") << "the reader has heard nothing";
}

TEST(Network, AKilledProcessIsHeardOfAndOneWithoutPowerIsNot) {
  for (const Death how : {Death::kProcessKill, Death::kPowerLoss}) {
    std::string outcome;
    Two two(chatter(outcome));
    two.small.world.after(Duration::milliseconds(2500), [&] { two.client->kill(how); });
    two.small.world.run_for(Duration::seconds(100));
    EXPECT_EQ(two.got, 30u);
    if (how == Death::kProcessKill) {
      EXPECT_TRUE(two.end == "end" || two.end == "UNAVAILABLE") << two.end;
      EXPECT_EQ(seconds(two.ended), 2);
    } else {
      EXPECT_EQ(two.end, "");
    }
  }
}

TEST(Network, AKilledProcessEndsItsStreamsNowGentlyNowNot) {
  std::set<std::string> ends;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::string outcome;
    Two two(chatter(outcome), seed);
    two.small.world.after(Duration::milliseconds(2500), [&] { two.client->kill(Death::kProcessKill); });
    two.small.world.run_for(Duration::seconds(10));
    ends.insert(two.end);
  }
  EXPECT_EQ(ends, (std::set<std::string>{"end", "UNAVAILABLE"}));
}

TEST(Network, AMachineThatComesBackResetsTheConnectionsOfItsFormerLife) {
  std::string outcome;
  Two two(chatter(outcome));
  two.small.world.after(Duration::milliseconds(2500), [&] { two.server->kill(Death::kPowerLoss); });
  two.small.world.after(Duration::seconds(8), [&] {
    EXPECT_EQ(outcome, "") << "silence until then";
    two.server->start();
  });
  two.small.world.run_for(Duration::seconds(15));
  EXPECT_EQ(outcome, "write failed");
}

TEST(Network, AHalfOpenConnectionIsNoticedByWritingOnly) {
  std::string outcome;
  Two two(chatter(outcome));
  // Whichever side breaks, the client writes, so it finds out; the server never writes.
  two.small.world.after(Duration::milliseconds(2500), [&] {
    Draws draws = two.small.world.draws("test", "half-open");
    EXPECT_TRUE(two.small.world.network().break_a_connection(draws, false));
  });
  two.small.world.run_for(Duration::seconds(20));
  EXPECT_EQ(outcome, "write failed");
}

TEST(Network, AClogDeliversEverythingAtItsEnd) {
  std::string outcome;
  Two two(chatter(outcome));
  two.small.world.after(Duration::milliseconds(2500), [&] {
    two.small.world.network().link(*two.client, *two.server).clog_until(VirtualTime::zero() + Duration::seconds(8));
  });
  two.small.world.run_for(Duration::milliseconds(7900));
  EXPECT_EQ(two.got, 30u);
  two.small.world.run_for(Duration::milliseconds(700));
  EXPECT_EQ(two.got, 90u);
}

// Connects, and sends 20,000 bytes at once.
void send_much(ProcessContext& process) {
  const auto connection = process.ports.network.connect(Address::ipv4(10, 0, 0, 1, kPort), patience());
  ASSERT_TRUE(connection.ok());
  const Slice much = Slice::copy_of(std::string(20'000, 'x'));
  EXPECT_TRUE((*connection)->write({&much, 1}, patience()).ok());
  CHECK_OK(fiber::sleep(Duration::seconds(60)));
}

TEST(Network, AThinLinkTakesItsTime) {
  Two two(send_much);
  two.small.world.network().link(*two.client, *two.server).set_bytes_per_second(1'000);
  two.small.world.run_for(Duration::seconds(50));
  EXPECT_EQ(two.got, 20'000u);
  EXPECT_NEAR(static_cast<double>(seconds(two.last)), 20, 2);
}

TEST(Network, WhatIsUnderWayOnAThinLinkArrivesOnceItIsWide) {
  for (const bool healed : {false, true}) {
    Two two(send_much);
    NetworkFabric& network = two.small.world.network();
    Link& link = network.link(*two.client, *two.server);
    link.set_bytes_per_second(1'000);
    two.small.world.after(Duration::seconds(5), [&] { healed ? network.calm() : network.widen(link); });
    two.small.world.run_for(Duration::milliseconds(4900));
    EXPECT_LT(two.got, 6'000u);
    two.small.world.run_for(Duration::milliseconds(1100));
    EXPECT_EQ(two.got, 20'000u);
  }
}

TEST(Network, AFullBacklogLosesConnectionsUntilThereIsRoom) {
  SmallWorld small;
  small.world.network().knobs().backlog = 2;
  int accepted = 0;
  small
      .machine("server",
               [&](ProcessContext& process) {
                 const auto listener = process.ports.network.listen(Address::ipv4(0, 0, 0, 0, kPort));
                 ASSERT_TRUE(listener.ok());
                 CHECK_OK(fiber::sleep(Duration::milliseconds(500)));
                 std::vector<std::unique_ptr<Connection>> kept;
                 for (;;) {
                   auto connection = (*listener)->accept(fiber::within(Duration::seconds(30), Expiry::kNormal));
                   if (!connection.ok()) {
                     return;
                   }
                   kept.push_back(*std::move(connection));
                   ++accepted;
                 }
               })
      .start();
  int connected_at_once = 0;
  small
      .machine("client",
               [&](ProcessContext& process) {
                 CHECK_OK(fiber::sleep(Duration::milliseconds(10)));
                 fiber::FiberScope scope;
                 std::vector<std::unique_ptr<Connection>> kept;
                 for (std::uint64_t i = 0; i < 5; ++i) {
                   scope.spawn({"dial", i}, [&] {
                     auto connection = process.ports.network.connect(Address::ipv4(10, 0, 0, 1, kPort), patience());
                     ASSERT_TRUE(connection.ok());
                     kept.push_back(*std::move(connection));
                     connected_at_once +=
                         process.machine.world().now() < VirtualTime::zero() + Duration::milliseconds(400) ? 1 : 0;
                   });
                 }
                 CHECK_OK(scope.join(patience()));
               })
      .start();
  small.world.run_for(Duration::seconds(40));
  EXPECT_EQ(connected_at_once, 2);
  EXPECT_EQ(accepted, 5);
}

}  // namespace
}  // namespace chronik::sim::network_test
