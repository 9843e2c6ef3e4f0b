// Members of a group as the driver lets them in and out: whole drivers on stores in memory, with a network between them
// that loses what is said to or by whoever is cut off.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/raft/driver.h"
#include "tests/core/raft/no_machine.h"
#include "tests/core/raft/raft_group.h"
#include "tests/support/fiber_world.h"
#include "tests/support/memory_store.h"

namespace chronik::raft {
namespace {

using chronik::testing::FiberWorld;
using chronik::testing::MemoryStore;
using chronik::testing::NotedProcess;
using testing::member;
using testing::NoMachine;

MemberAddress address_of(std::int32_t node) {
  return {.node = NodeId(node), .host = "host-" + std::to_string(node), .port = 9093};
}

// A node, and the others as it sees them.
struct DriverNode final : Peers {
  DriverNode(std::int32_t node, std::map<std::int32_t, std::unique_ptr<DriverNode>>& all, FiberWorld& on,
             std::uint64_t disk = 1)
      : self(member(node, disk)), nodes(all), world(on) {
    DriverOptions options;
    options.raft.self = self;
    options.raft.seed = static_cast<std::uint64_t>(node);
    driver.emplace(store, process, machine, this, options);
  }
  void send(NodeId to, const PeerMessage& message) override {
    if (!nodes.contains(to.value()) || cut || nodes.at(to.value())->cut) {
      return;
    }
    world.spawn("message", [this, to, message] {
      if (fiber::sleep(Duration::milliseconds(1)).ok()) {
        nodes.at(to.value())->driver->receive(self.node, message);
      }
    });
  }
  void on_group_change() override { ++changes; }
  const MemberAddress* configured_address_of(NodeId node) const override {
    return configured.contains(node) ? &configured.at(node) : nullptr;
  }
  std::optional<Member> find_stranger(NodeId node) const override {
    return announced.contains(node) ? std::optional<Member>(announced.at(node)) : std::nullopt;
  }
  void seek(const MemberAddress& at) override { sought.push_back(at); }

  Member self;
  std::map<std::int32_t, std::unique_ptr<DriverNode>>& nodes;
  FiberWorld& world;
  MemoryStore store;
  NotedProcess process;
  NoMachine machine;
  std::optional<Driver> driver;
  bool cut = false;
  std::map<NodeId, MemberAddress> configured;
  std::map<NodeId, Member> announced;
  std::vector<MemberAddress> sought;
  int changes = 0;
};

// Voters 1 to `count`, of whom one leads soon.
class Drivers {
 public:
  explicit Drivers(std::int32_t count) {
    Membership first;
    for (std::int32_t node = 1; node <= count; ++node) {
      first.voters.push_back(member(node));
    }
    for (std::int32_t node = 1; node <= count; ++node) {
      begin(node, first);
    }
    pass(Duration::seconds(4));
  }
  ~Drivers() { world.scheduler.kill_all(); }

  DriverNode& begin(std::int32_t node, const Membership& first, std::uint64_t disk = 1) {
    auto made = std::make_unique<DriverNode>(node, nodes, world, disk);
    DriverNode& there = *made;
    if (std::unique_ptr<DriverNode> before = std::exchange(nodes[node], std::move(made))) {
      before->cut = true;
      retired.push_back(std::move(before));
    }
    world.spawn("open", [this, &there, first] {
      CHECK_OK(there.driver->open(first, fiber::for_ever()));
      there.driver->start(world.scope);
    });
    pass(Duration::milliseconds(10));
    return there;
  }
  // One that waits to be added, and that the leader has heard.
  DriverNode& newcomer(std::int32_t node, std::uint64_t disk = 1) {
    DriverNode& there = begin(node, leading().driver->membership(), disk);
    leading().announced[there.self.node] = there.self;
    return there;
  }
  void pass(Duration duration) { world.run_for(duration); }

  DriverNode& leading() {
    for (const auto& [number, node] : nodes) {
      if (node->driver->leadership().here) {
        return *node;
      }
    }
    ADD_FAILURE() << "nobody leads";
    return *nodes.begin()->second;
  }
  // The ones that do not lead, the least first.
  std::vector<std::int32_t> others() {
    std::vector<std::int32_t> found;
    for (const auto& [number, node] : nodes) {
      if (!node->driver->leadership().here) {
        found.push_back(number);
      }
    }
    return found;
  }
  Status add(DriverNode& at, std::int32_t node) {
    return within_fiber([&] { return at.driver->add_member(address_of(node)).status(); });
  }
  Status remove(DriverNode& at, std::int32_t node) {
    return within_fiber([&] { return at.driver->remove_member(NodeId(node)).status(); });
  }
  void propose(int count) {
    DriverNode& at = leading();
    for (int i = 0; i < count; ++i) {
      CHECK_OK(within_fiber([&] { return at.driver->propose(Slice::copy_of(std::string_view("x"))).status(); }));
    }
  }

  FiberWorld world;
  std::map<std::int32_t, std::unique_ptr<DriverNode>> nodes;
  std::vector<std::unique_ptr<DriverNode>> retired;  // whose places others have taken; they are said and hear nothing

 private:
  template <typename Body>
  Status within_fiber(const Body& body) {
    Status status = absl::UnknownError("not yet");
    world.spawn("test", [&] { status = body(); });
    pass(Duration::zero());
    return status;
  }
};

// ---- who is added ----

TEST(DriverMembers, OnlyTheLeaderAddsAndRemoves) {
  Drivers drivers(3);
  DriverNode& follower = *drivers.nodes.at(drivers.others().front());
  follower.announced[NodeId(4)] = member(4);
  EXPECT_EQ(drivers.add(follower, 4).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(drivers.remove(follower, 3).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(follower.sought.empty());
}

TEST(DriverMembers, AMemberIsNotAddedOnceMore) {
  Drivers drivers(3);
  // Also not under another directory: the one that is a member goes first (rule R15).
  drivers.leading().announced[NodeId(2)] = member(2, 7);
  EXPECT_EQ(drivers.add(drivers.leading(), 2).code(), absl::StatusCode::kAlreadyExists);
}

TEST(DriverMembers, WhoHasNotBeenHeardIsSought) {
  Drivers drivers(3);
  DriverNode& leader = drivers.leading();
  EXPECT_EQ(drivers.add(leader, 4).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(leader.sought, std::vector<MemberAddress>{address_of(4)});
  EXPECT_EQ(leader.driver->membership().find(NodeId(4)), nullptr);
}

TEST(DriverMembers, ANewcomerLearnsAndThenVotes) {
  Drivers drivers(3);
  DriverNode& leader = drivers.leading();
  DriverNode& newcomer = drivers.newcomer(4);
  EXPECT_TRUE(drivers.add(leader, 4).ok());
  EXPECT_TRUE(leader.driver->membership().is_learner(newcomer.self)) << "it has nothing yet";
  ASSERT_NE(leader.driver->membership().address_of(NodeId(4)), nullptr);
  EXPECT_EQ(*leader.driver->membership().address_of(NodeId(4)), address_of(4));
  drivers.pass(Duration::seconds(2));
  for (const auto& [number, node] : drivers.nodes) {
    EXPECT_TRUE(node->driver->membership().is_voter(newcomer.self)) << number;
    EXPECT_TRUE(node->driver->membership_is_committed()) << number;
    EXPECT_GT(node->changes, 0) << number;
  }
  EXPECT_EQ(*newcomer.driver->membership().address_of(NodeId(4)), address_of(4));
}

// Of others than the newcomer, too: it may know none of them.
TEST(DriverMembers, AddressesGoWithAChangeAndTheOwnConfigurationFirst) {
  Drivers drivers(2);
  DriverNode& leader = drivers.leading();
  const std::int32_t other = drivers.others().front();
  drivers.newcomer(3);
  leader.configured[NodeId(other)] = address_of(other);
  leader.configured[NodeId(3)] = {.node = NodeId(3), .host = "configured", .port = 1};
  EXPECT_TRUE(drivers.add(leader, 3).ok());
  drivers.pass(Duration::seconds(2));
  const Membership& members = drivers.nodes.at(3)->driver->membership();
  ASSERT_NE(members.address_of(NodeId(other)), nullptr);
  EXPECT_EQ(members.address_of(NodeId(other))->host, address_of(other).host);
  ASSERT_NE(members.address_of(NodeId(3)), nullptr);
  EXPECT_EQ(members.address_of(NodeId(3))->host, "configured");
}

// ---- who may vote ----

TEST(DriverMembers, WhoIsSilentDoesNotVoteUntilItIsHeard) {
  Drivers drivers(3);
  DriverNode& leader = drivers.leading();
  DriverNode& newcomer = drivers.newcomer(4);
  newcomer.cut = true;
  EXPECT_TRUE(drivers.add(leader, 4).ok());
  drivers.pass(Duration::seconds(20));
  drivers.propose(3);
  drivers.pass(Duration::seconds(1));
  EXPECT_TRUE(leader.driver->membership().is_learner(newcomer.self));
  EXPECT_EQ(leader.driver->raft().commit(), leader.driver->raft().log().last()) << "nobody waits for it";
  newcomer.cut = false;
  drivers.pass(Duration::seconds(2));
  EXPECT_TRUE(leader.driver->membership().is_voter(newcomer.self));
}

// It hears and answers, but its disk keeps nothing yet: with a vote it would hold up whatever needs it.
TEST(DriverMembers, WhoLagsDoesNotVoteUntilItHasCaughtUp) {
  Drivers drivers(3);
  DriverNode& leader = drivers.leading();
  drivers.propose(30);
  DriverNode& newcomer = drivers.newcomer(4);
  newcomer.store.commit_time = Duration::seconds(1);  // for the leader's term, without which it answers nothing
  EXPECT_TRUE(drivers.add(leader, 4).ok());
  drivers.pass(Duration::milliseconds(500));
  newcomer.store.commit_time = Duration::seconds(10);
  drivers.pass(Duration::seconds(5));
  EXPECT_TRUE(leader.driver->membership().is_learner(newcomer.self));
  EXPECT_LT(leader.world.now - leader.driver->raft().progress().at(newcomer.self).heard, Duration::seconds(1));
  newcomer.store.commit_time = Duration::milliseconds(1);
  drivers.pass(Duration::seconds(30));
  EXPECT_TRUE(leader.driver->membership().is_voter(newcomer.self));
}

TEST(DriverMembers, OneIsPromotedAtATime) {
  Drivers drivers(3);
  DriverNode& leader = drivers.leading();
  drivers.newcomer(4).cut = true;
  drivers.newcomer(5).cut = true;
  EXPECT_TRUE(drivers.add(leader, 4).ok());
  EXPECT_EQ(drivers.add(leader, 5).code(), absl::StatusCode::kAborted) << "the change before is not committed";
  drivers.pass(Duration::seconds(1));
  EXPECT_TRUE(drivers.add(leader, 5).ok());
  drivers.pass(Duration::seconds(1));
  EXPECT_EQ(leader.driver->membership().learners.size(), 2u);
  const LogIndex before = leader.driver->raft().log().membership_index();
  drivers.nodes.at(4)->cut = drivers.nodes.at(5)->cut = false;
  drivers.pass(Duration::seconds(2));
  EXPECT_EQ(leader.driver->membership().voters.size(), 5u);
  EXPECT_EQ(leader.driver->raft().log().membership_index(), before + 2) << "a change for each";
}

// ---- who is removed ----

TEST(DriverMembers, NobodyIsRemovedWhoIsNoMember) {
  Drivers drivers(3);
  EXPECT_EQ(drivers.remove(drivers.leading(), 9).code(), absl::StatusCode::kNotFound);
}

TEST(DriverMembers, TheLastVoterStays) {
  Drivers drivers(1);
  drivers.newcomer(2).cut = true;
  EXPECT_TRUE(drivers.add(drivers.leading(), 2).ok());
  drivers.pass(Duration::seconds(2));
  EXPECT_EQ(drivers.remove(drivers.leading(), 1).code(), absl::StatusCode::kFailedPrecondition)
      << "who learns cannot lead";
  EXPECT_TRUE(drivers.remove(drivers.leading(), 2).ok());
}

TEST(DriverMembers, NobodyIsRemovedWithoutWhomTooFewWouldBeThere) {
  Drivers drivers(3);
  DriverNode& leader = drivers.leading();
  const std::int32_t silent = drivers.others().at(0);
  const std::int32_t living = drivers.others().at(1);
  drivers.nodes.at(silent)->cut = true;
  drivers.pass(Duration::seconds(3));
  EXPECT_EQ(drivers.remove(leader, living).code(), absl::StatusCode::kUnavailable)
      << "of the two that would be left, one is away";
  EXPECT_NE(leader.driver->membership().find(NodeId(living)), nullptr);
  EXPECT_TRUE(drivers.remove(leader, silent).ok()) << "its going makes it better";
  drivers.pass(Duration::seconds(1));
  EXPECT_TRUE(leader.driver->membership_is_committed());
  EXPECT_EQ(leader.driver->membership().voters.size(), 2u);
}

TEST(DriverMembers, WhoLostItsDiskIsReplacedUnderItsNumber) {
  Drivers drivers(3);
  DriverNode& leader = drivers.leading();
  const std::int32_t node = drivers.others().front();
  DriverNode& empty = drivers.newcomer(node, /*disk=*/2);
  drivers.pass(Duration::seconds(3));
  EXPECT_EQ(empty.driver->raft().log().last(), LogIndex(0)) << "it is sent nothing that is the old one's";
  EXPECT_EQ(drivers.add(leader, node).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(drivers.remove(leader, node).ok());
  drivers.pass(Duration::seconds(1));
  EXPECT_TRUE(drivers.add(leader, node).ok());
  drivers.pass(Duration::seconds(2));
  EXPECT_TRUE(leader.driver->membership().is_voter(empty.self));
  EXPECT_FALSE(leader.driver->membership().contains(drivers.retired.at(0)->self));
}

}  // namespace
}  // namespace chronik::raft
