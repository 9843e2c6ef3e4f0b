// Nodes of a group on a simulated network and stores that last: how they find each other, and who is in the group when
// nodes come, go, were away, or have lost their disks.
#include "core/raft/group_member.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/backup.h"
#include "tests/core/raft/no_machine.h"
#include "tests/sim/sim_support.h"
#include "tests/support/broker_machine.h"

namespace chronik::raft {
namespace {

constexpr std::uint16_t kGroupPort = 9093;

std::string group_host(int number) { return "host-" + std::to_string(number); }
MemberAddress group_address(int number) {
  return {.node = NodeId(number), .host = group_host(number), .port = kGroupPort};
}

// A node that is a member of its group and nothing else.
struct GroupNode final : GroupOwner {
  int number = 0;
  std::vector<int> peers;  // that its configuration names
  sim::Machine* machine = nullptr;
  std::deque<std::function<void(GroupMember&)>> orders;
  GroupMember* group = nullptr;  // while it runs and its group has begun
  int told_removed = 0;
  std::size_t nodes_heard = 0;
  Status refused;  // why its directory was, at its last start

  void on_removed() override { ++told_removed; }
  void run(sim::ProcessContext& process) {
    StatusOr<Identity> identity = open_identity(process.ports.store, process.ports.random, sim::patience());
    refused = identity.status();
    if (!refused.ok()) {
      return;
    }
    GroupOptions options{.self = {.node = NodeId(number), .directory = identity->directory},
                         .address = group_address(number),
                         .links = {},
                         .driver = {}};
    options.links.bind = Address::ipv4(0, 0, 0, 0, kGroupPort);
    for (const int peer : peers) {
      options.links.peers.push_back(group_address(peer));
    }
    options.driver.raft.seed = process.ports.random.next();
    testing::NoMachine applies;
    GroupMember member(process.ports.network, process.ports.store, process.ports.process, options);
    if (!member.form(*identity, fiber::within(Duration::seconds(1000), Expiry::kNormal)).ok() ||
        !member.open(applies, sim::patience()).ok()) {
      return;
    }
    member.attach(*this);
    member.start();
    struct Running {
      GroupNode& node;
      ~Running() { node.group = nullptr; }
    } const running{*this};
    group = &member;
    while (fiber::sleep(Duration::milliseconds(1)).ok()) {
      for (const std::function<void(GroupMember&)>& order : std::exchange(orders, {})) {
        order(member);
      }
      nodes_heard = member.nodes_heard();
    }
    member.stop();
  }
  const Driver& driver() const { return group->driver(); }
  Member self() const { return driver().raft().self(); }
  bool leads() const { return group != nullptr && driver().leadership().here; }
  // Of the voters and learners as it knows them.
  std::vector<int> voters() const { return nodes_of(driver().membership().voters); }
  std::vector<int> learners() const { return nodes_of(driver().membership().learners); }

 private:
  static std::vector<int> nodes_of(const std::vector<Member>& members) {
    std::vector<int> nodes;
    nodes.reserve(members.size());
    for (const Member& member : members) {
      nodes.push_back(member.node.value());
    }
    return nodes;
  }
};

class GroupWorld {
 public:
  GroupNode& node(int number, std::vector<int> peers) {
    GroupNode& made = nodes_.emplace_back();
    made.number = number;
    made.peers = std::move(peers);
    sim::MachineOptions options = chronik::testing::node_machine_options();
    options.name = group_host(number);
    options.address = Address::ipv4(10, 0, 0, static_cast<std::uint8_t>(number), 0);
    made.machine = &small.world.add_machine(options);
    made.machine->install([&made](sim::ProcessContext& process) { made.run(process); });
    return made;
  }
  void start(GroupNode& node) { node.machine->start(); }
  void kill(GroupNode& node) { node.machine->kill(sim::Death::kProcessKill); }
  void run_for(Duration duration) { small.world.run_for(duration); }
  GroupNode* leader() {
    for (GroupNode& node : nodes_) {
      if (node.leads()) {
        return &node;
      }
    }
    return nullptr;
  }
  // Asks whoever leads, again and again as the controller does, for at most that long. What it answered last.
  Status ask(const std::function<Status(Driver&)>& order, Duration patience) {
    Status status = absl::UnknownError("nobody leads");
    for (Duration waited = Duration::zero(); waited < patience && !status.ok(); waited = waited + kAskAgain) {
      if (GroupNode* leading = leader()) {
        leading->orders.emplace_back([&status, &order](GroupMember& group) { status = order(group.driver()); });
        run_for(Duration::milliseconds(10));
        leading->orders.clear();
      }
      run_for(kAskAgain - Duration::milliseconds(10));
    }
    return status;
  }
  Status add(int number, Duration patience = Duration::seconds(10)) {
    return ask([number](Driver& driver) { return driver.add_member(group_address(number)).status(); }, patience);
  }
  Status remove(int number, Duration patience = Duration::seconds(10)) {
    return ask([number](Driver& driver) { return driver.remove_member(NodeId(number)).status(); }, patience);
  }

 private:
  static constexpr Duration kAskAgain = Duration::milliseconds(500);
  std::deque<GroupNode> nodes_;  // outlives the world

 public:
  sim::SmallWorld small;
};

// Nodes 1 to 3, whose group has begun, and 4 and 5, which are configured with node 1 alone and do not run yet.
struct GroupOfThree : GroupWorld {
  GroupOfThree() {
    for (GroupNode* node : {&one, &two, &three}) {
      start(*node);
    }
    run_for(Duration::seconds(5));
  }
  // These two are added, and nodes 1 and 2 removed.
  void go_over_to_four_and_five() {
    for (GroupNode* node : {&four, &five}) {
      start(*node);
      EXPECT_TRUE(add(node->number).ok());
      run_for(Duration::seconds(2));
    }
    for (const int gone : {1, 2}) {
      // Whoever leads does not take itself out: it hands over first.
      const auto leave = [gone](Driver& driver) {
        if (driver.raft().self().node == NodeId(gone)) {
          driver.hand_over();
          return Status(absl::UnavailableError("it leads"));
        }
        return driver.remove_member(NodeId(gone)).status();
      };
      EXPECT_TRUE(ask(leave, Duration::seconds(20)).ok());
      run_for(Duration::seconds(2));
    }
  }
  GroupNode& one = node(1, {2, 3});
  GroupNode& two = node(2, {1, 3});
  GroupNode& three = node(3, {1, 2});
  GroupNode& four = node(4, {1});
  GroupNode& five = node(5, {1});
};

TEST(GroupMember, TheFirstVotersFindEachOtherAndOneLeads) {
  GroupOfThree group;
  ASSERT_NE(group.leader(), nullptr);
  EXPECT_EQ(group.leader()->nodes_heard, 3u);
  for (GroupNode* node : {&group.one, &group.two, &group.three}) {
    ASSERT_NE(node->group, nullptr);
    EXPECT_EQ(node->voters(), (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(node->driver().leadership().leader, NodeId(group.leader()->number));
  }
}

TEST(GroupMember, ABackupThatIsBroughtBackEndsAndDoesNotStartAgain) {
  GroupOfThree group;
  const sim::Backup backup(*group.three.machine);
  group.kill(group.three);
  group.start(group.three);
  group.run_for(Duration::seconds(2));
  ASSERT_NE(group.three.group, nullptr) << "the next start of the same directory is heard";
  group.kill(group.three);
  backup.bring_back(*group.three.machine);
  group.start(group.three);
  group.run_for(Duration::seconds(3));
  ASSERT_FALSE(group.three.machine->running());
  EXPECT_EQ(group.three.machine->last_exit()->status, ExitStatus::kDataDirectory);
  EXPECT_NE(group.three.machine->last_exit()->reason.find("an older copy of itself"), std::string::npos);
  group.start(group.three);
  group.run_for(Duration::seconds(1));
  EXPECT_FALSE(group.three.machine->running());
  EXPECT_EQ(group.three.refused.code(), absl::StatusCode::kDataLoss);
}

// As a clone of its machine, or a backup that somebody starts to look whether it works.
TEST(GroupMember, ACopyThatIsStartedBesideItsOriginalTakesNothingFromIt) {
  GroupOfThree group;
  const sim::Backup backup(*group.three.machine);
  GroupNode& copy = group.four;
  copy.number = 3;
  copy.peers = {1, 2};
  backup.bring_back(*copy.machine);
  group.start(copy);
  group.run_for(Duration::seconds(20));
  ASSERT_TRUE(group.three.machine->running()) << group.three.machine->last_exit()->reason;
  ASSERT_NE(group.leader(), nullptr);
  EXPECT_NE(group.leader(), &copy);
  group.kill(copy);
  // Two of three are left, and need each other.
  group.kill(group.leader() == &group.one ? group.one : group.two);
  group.run_for(Duration::seconds(10));
  ASSERT_NE(group.leader(), nullptr);
  EXPECT_EQ(group.three.driver().leadership().leader, NodeId(group.leader()->number));
}

// Its configuration names one of them, theirs does not name it.
TEST(GroupMember, ANewcomerAnnouncesItselfIsAddedAndFindsAll) {
  GroupOfThree group;
  EXPECT_EQ(group.add(4, Duration::seconds(3)).code(), absl::StatusCode::kNotFound) << "it does not run";
  group.start(group.four);
  EXPECT_TRUE(group.add(4).ok());
  group.run_for(Duration::seconds(3));
  for (GroupNode* node : {&group.one, &group.two, &group.three, &group.four}) {
    ASSERT_NE(node->group, nullptr) << node->number;
    EXPECT_EQ(node->voters(), (std::vector<int>{1, 2, 3, 4})) << node->number;
  }
  // Three of four agree: the newcomer is one of them, and has found the two that it was not told of.
  group.kill(group.one);
  group.run_for(Duration::seconds(5));
  ASSERT_NE(group.leader(), nullptr);
  EXPECT_EQ(group.four.driver().leadership().leader, NodeId(group.leader()->number));
}

// Those that it is configured with are no members any more by the time it comes back, and do not run.
TEST(GroupMember, OneThatWasAwayFindsThoseThatCameMeanwhile) {
  GroupOfThree group;
  group.kill(group.three);
  group.go_over_to_four_and_five();
  group.kill(group.one);
  group.kill(group.two);
  group.start(group.three);
  group.run_for(Duration::seconds(10));
  ASSERT_NE(group.three.group, nullptr);
  EXPECT_EQ(group.three.voters(), (std::vector<int>{3, 4, 5}));
  EXPECT_EQ(group.three.told_removed, 0);
  // And it is found by them: without it, one of three is left.
  group.kill(group.five);
  group.run_for(Duration::seconds(5));
  ASSERT_NE(group.leader(), nullptr);
}

// It knows nobody who is there, and nobody knows it: who adds it says where it is.
TEST(GroupMember, OneThatIsToBeAddedIsSought) {
  GroupOfThree group;
  group.kill(group.three);
  group.go_over_to_four_and_five();
  EXPECT_TRUE(group.remove(3).ok());
  group.kill(group.one);
  group.kill(group.two);
  group.start(group.three);
  group.run_for(Duration::seconds(5));
  ASSERT_NE(group.three.group, nullptr);
  EXPECT_EQ(group.three.told_removed, 0) << "nobody could tell it";
  EXPECT_TRUE(group.add(3).ok());
  group.run_for(Duration::seconds(3));
  EXPECT_EQ(group.three.voters(), (std::vector<int>{3, 4, 5}));
  EXPECT_FALSE(group.three.group->removed());
}

// ---- who is none of them ----

TEST(GroupMember, OneOfAnotherClusterIsNotLetIn) {
  GroupOfThree group;
  GroupNode& six = group.node(6, {7});
  GroupNode& seven = group.node(7, {6});
  group.start(six);
  group.start(seven);
  group.run_for(Duration::seconds(5));
  ASSERT_NE(six.group, nullptr);
  EXPECT_EQ(group.add(6, Duration::seconds(5)).code(), absl::StatusCode::kNotFound);
  // It hears of no leader of its own, and its file names one of the others by mistake: it announces itself to that one.
  group.kill(seven);
  group.kill(six);
  six.peers = {7, 1};
  group.start(six);
  group.run_for(Duration::seconds(5));
  ASSERT_NE(six.group, nullptr);
  EXPECT_EQ(group.add(6, Duration::seconds(5)).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(six.voters(), (std::vector<int>{6, 7}));
  EXPECT_EQ(six.told_removed, 0) << "others' members are nothing to it";
  EXPECT_EQ(group.one.voters(), (std::vector<int>{1, 2, 3}));
}

// ---- who is removed ----

TEST(GroupMember, OneThatIsRemovedWhileItRunsIsToldOnce) {
  GroupOfThree group;
  GroupNode& gone = group.leader() == &group.three ? group.two : group.three;
  EXPECT_TRUE(group.remove(gone.number).ok());
  group.run_for(Duration::seconds(10));
  ASSERT_NE(gone.group, nullptr);
  EXPECT_EQ(gone.told_removed, 1);
  EXPECT_TRUE(gone.group->removed());
  EXPECT_FALSE(group.one.group->removed());
  ASSERT_NE(group.leader(), nullptr);
  const Term term = group.leader()->driver().leadership().term;
  group.run_for(Duration::seconds(20));
  ASSERT_NE(group.leader(), nullptr);
  EXPECT_EQ(group.leader()->driver().leadership().term, term) << "it disturbs nobody";
}

TEST(GroupMember, OneThatIsRemovedWhileItIsAwayIsToldWhenItComesBackAndMayBeAddedAgain) {
  GroupOfThree group;
  GroupNode& gone = group.leader() == &group.three ? group.two : group.three;
  group.kill(gone);
  EXPECT_TRUE(group.remove(gone.number).ok());
  group.run_for(Duration::seconds(2));
  group.start(gone);
  group.run_for(Duration::seconds(10));
  ASSERT_NE(gone.group, nullptr);
  EXPECT_EQ(gone.told_removed, 1);
  EXPECT_TRUE(gone.group->removed());
  EXPECT_TRUE(group.add(gone.number).ok());
  group.run_for(Duration::seconds(3));
  EXPECT_EQ(gone.voters(), (std::vector<int>{1, 2, 3}));
  EXPECT_FALSE(gone.group->removed());
}

// ---- disks (rule R15) ----

TEST(GroupMember, AnEmptyNodeUnderAnOldIdDoesNotVoteUntilItIsReplaced) {
  GroupOfThree group;
  GroupNode* const leader = group.leader();
  ASSERT_NE(leader, nullptr);
  GroupNode& other = *leader;
  GroupNode& empty = leader == &group.three ? group.two : group.three;
  GroupNode& away = leader == &group.one ? (&empty == &group.two ? group.three : group.two) : group.one;
  const Member old = empty.self();
  group.kill(empty);
  empty.machine->replace_disk();
  group.start(empty);
  group.run_for(Duration::seconds(5));
  ASSERT_NE(empty.group, nullptr) << "the group has begun: it is told who is in it";
  EXPECT_EQ(empty.voters(), (std::vector<int>{1, 2, 3}));
  EXPECT_NE(empty.self(), old);
  EXPECT_FALSE(empty.driver().membership().contains(empty.self()));
  EXPECT_EQ(empty.driver().raft().log().last(), LogIndex(0)) << "it is sent nothing";
  // With its vote there would be two of three.
  group.kill(away);
  group.run_for(Duration::seconds(20));
  EXPECT_EQ(group.leader(), nullptr);
  EXPECT_EQ(empty.driver().raft().term(), Term(0));
  EXPECT_FALSE(empty.driver().raft().hard_state().vote.has_value());
  group.start(away);
  group.run_for(Duration::seconds(5));
  ASSERT_NE(group.leader(), nullptr);
  EXPECT_EQ(group.add(empty.number, Duration::seconds(2)).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(group.remove(empty.number).ok());
  EXPECT_TRUE(group.add(empty.number).ok());
  group.run_for(Duration::seconds(3));
  EXPECT_EQ(other.voters(), (std::vector<int>{1, 2, 3}));
  EXPECT_TRUE(other.driver().membership().is_voter(empty.self()));
  EXPECT_FALSE(other.driver().membership().contains(old));
  EXPECT_EQ(empty.told_removed, 0) << "it was never a member";
  group.kill(away);
  group.run_for(Duration::seconds(5));
  EXPECT_NE(group.leader(), nullptr) << "now its vote counts";
}

// Two of three come back empty: they found no group of their own.
TEST(GroupMember, AMajorityOfEmptyNodesIsNone) {
  GroupOfThree group;
  for (GroupNode* node : {&group.one, &group.two}) {
    group.kill(*node);
    node->machine->replace_disk();
  }
  group.start(group.one);
  group.start(group.two);
  group.run_for(Duration::seconds(30));
  EXPECT_EQ(group.leader(), nullptr);
  for (GroupNode* node : {&group.one, &group.two}) {
    ASSERT_NE(node->group, nullptr);
    EXPECT_FALSE(node->driver().membership().contains(node->self()));
  }
}

}  // namespace
}  // namespace chronik::raft
