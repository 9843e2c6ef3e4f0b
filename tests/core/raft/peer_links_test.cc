// Links between nodes on a simulated network: who is a peer, who is not, and what becomes of connections that lead
// nowhere.
#include "core/raft/peer_links.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/core/raft/links_world.h"
#include "tests/sim/sim_support.h"

namespace chronik::raft {
namespace {

using testing::frame_saying;
using testing::introduction_in;
using testing::kLinksPort;
using testing::LinkedTwo;
using testing::LinksNode;
using testing::LinksWorld;
using testing::peer_at;
using testing::saying;

// Accepts at kLinksPort, one connection after the other, and counts them; reads what comes where it is to.
struct Acceptor {
  bool reads = false;
  std::size_t accepted = 0;
  std::size_t bytes = 0;
  std::size_t ended = 0;
  void run(sim::ProcessContext& process) {
    const auto listener = process.ports.network.listen(Address::ipv4(0, 0, 0, 0, kLinksPort));
    CHECK_OK(listener.status());
    for (;;) {
      StatusOr<std::unique_ptr<Connection>> taken = (*listener)->accept(fiber::for_ever());
      if (!taken.ok()) {
        return;
      }
      ++accepted;
      process.scope.spawn({"taken", accepted}, [this, connection = *std::move(taken)] { hold(*connection); });
    }
  }
  void hold(Connection& connection) {
    while (!reads) {
      if (!fiber::sleep(Duration::milliseconds(10)).ok()) {
        return;
      }
    }
    std::array<std::uint8_t, 1024> into{};
    for (;;) {
      const StatusOr<std::size_t> got = connection.read(into, fiber::for_ever());
      if (!got.ok() || *got == 0) {
        ++ended;
        return;
      }
      bytes += *got;
    }
  }
};

// Whether the other side ends the connection within that time; what it says is passed over.
bool ends_within(Connection& connection, Duration patience) {
  std::array<std::uint8_t, 64> into{};
  const Deadline deadline = fiber::within(patience, Expiry::kNormal);
  for (;;) {
    const StatusOr<std::size_t> got = connection.read(into, deadline);
    if (!got.ok() || *got == 0) {
      return !absl::IsDeadlineExceeded(got.status());
    }
  }
}

// ---- peers ----

TEST(PeerLinks, WhatIsSaidArrivesInOrder) {
  LinkedTwo two;
  std::vector<std::string> said;
  for (int i = 0; i < 100; ++i) {
    two.a.say(2, std::to_string(i));
    said.push_back("1: " + std::to_string(i));
  }
  two.b.say(1, "back");
  two.run_for(Duration::seconds(1));
  EXPECT_EQ(two.b.heard, said);
  EXPECT_EQ(two.a.heard, std::vector<std::string>{"2: back"});
  EXPECT_EQ(two.b.heard_lately, 1u);
  two.run_for(Duration::seconds(5));
  EXPECT_EQ(two.b.heard_lately, 0u) << "that was a while ago";
}

TEST(PeerLinks, OneThatIsDroppedIsNeitherHeardNorToldAnything) {
  LinkedTwo two;
  two.a.say(2, "before");
  two.b.say(1, "before");
  two.run_for(Duration::seconds(1));
  two.b.drop(1);
  two.run_for(Duration::milliseconds(100));
  two.b.say(1, "after");
  two.a.say(2, "after");
  two.run_for(Duration::seconds(1));
  two.a.say(2, "once more");
  two.run_for(Duration::seconds(1));
  EXPECT_EQ(two.b.heard, std::vector<std::string>{"1: before"});
  EXPECT_EQ(two.a.heard, std::vector<std::string>{"2: before"});
  EXPECT_FALSE(two.b.strangers.empty()) << "it has dialled again";
  two.b.put(peer_at(1, "a"));
  two.run_for(Duration::milliseconds(10));
  // What is said on the connection that has been closed is lost.
  for (int i = 0; i < 10; ++i) {
    two.a.say(2, "again");
    two.b.say(1, "again");
    two.run_for(Duration::milliseconds(300));
  }
  EXPECT_EQ(two.b.heard.back(), "1: again");
  EXPECT_EQ(two.a.heard.back(), "2: again");
}

TEST(PeerLinks, OneThatIsElsewhereNowIsReachedThere) {
  LinkedTwo two;
  LinksNode& moved = two.node(2, {peer_at(1, "a")});
  moved.machine->start();
  two.a.say(2, "here");
  two.run_for(Duration::seconds(1));
  two.a.put(peer_at(2, "c"));
  two.a.say(2, "there");
  two.run_for(Duration::seconds(1));
  moved.say(1, "from there");
  two.run_for(Duration::seconds(1));
  EXPECT_EQ(two.b.heard, std::vector<std::string>{"1: here"});
  EXPECT_EQ(moved.heard, std::vector<std::string>{"1: there"});
  EXPECT_EQ(two.a.heard, std::vector<std::string>{"2: from there"});
}

TEST(PeerLinks, OneWhoseProcessEndsIsGoneUntilItIsHeardAgain) {
  LinkedTwo two;
  two.a.say(2, "x");
  two.b.say(1, "x");
  two.run_for(Duration::seconds(1));
  EXPECT_TRUE(two.a.gone.empty());
  two.b.machine->kill(sim::Death::kProcessKill);
  two.run_for(Duration::milliseconds(200));
  EXPECT_FALSE(two.a.gone.empty()) << "though nothing is said to it";
  two.b.machine->start();
  two.b.say(1, "x");
  two.run_for(Duration::seconds(1));
  const std::size_t told = two.a.gone.size();
  two.run_for(Duration::seconds(5));
  EXPECT_EQ(two.a.gone.size(), told);
}

// Its machine does not say that it is gone.
TEST(PeerLinks, OneThatWasNeverHeardIsNotGone) {
  LinksWorld world;
  LinksNode& alone = world.node(1, {peer_at(2, "b")});
  world.machine([](sim::ProcessContext&) {});
  alone.machine->start();
  alone.say(2, "x");
  world.run_for(Duration::seconds(3));
  EXPECT_TRUE(alone.gone.empty());
}

// ---- greetings ----

TEST(PeerLinks, EachConnectionBeginsWithAGreeting) {
  LinkedTwo two;
  two.a.hello = "hello";
  two.run_for(Duration::seconds(1));
  EXPECT_TRUE(two.b.heard.empty()) << "there is nothing to be said, and no connection";
  two.a.say(2, "x");
  two.a.say(2, "y");
  two.run_for(Duration::seconds(1));
  EXPECT_EQ(two.b.heard, (std::vector<std::string>{"1: hello", "1: x", "1: y"}));
  two.a.machine->kill(sim::Death::kProcessKill);
  two.a.machine->start();
  two.a.say(2, "z");
  two.run_for(Duration::seconds(1));
  EXPECT_EQ(two.b.heard, (std::vector<std::string>{"1: hello", "1: x", "1: y", "1: hello", "1: z"}));
}

// A stranger is asked about with what it says first: nothing that it has to say is lost.
TEST(PeerLinks, AGreetingIsWhatAStrangerIsJudgedBy) {
  LinksWorld world;
  LinksNode& host = world.node(1, {});
  LinksNode& guest = world.node(2, {peer_at(1, "a")});
  guest.hello = "who I am";
  host.machine->start();
  guest.machine->start();
  PeerLinks* links = nullptr;
  host.orders.emplace_back([&links](PeerLinks& of) { links = &of; });
  host.on_strange = [&links](NodeId node) { links->put(peer_at(node.value(), "b")); };
  world.run_for(Duration::milliseconds(10));
  guest.say(1, "x");
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(host.heard, (std::vector<std::string>{"2: who I am", "2: x"}));
}

// When one connection ends, the other one's node asks whether its peer is still there, by dialling anew: what it closes
// for that must not make the peer ask in turn.
TEST(PeerLinks, ASuspicionDoesNotProvokeTheOthers) {
  for (const bool tell_peer : {true, false}) {
    LinkedTwo two;
    two.small.world.network().knobs().delay = Duration::milliseconds(30);
    two.a.hello = two.b.hello = "hello";
    two.a.say(2, "x");
    two.b.say(1, "x");
    two.run_for(Duration::seconds(1));
    sim::Draws draws = two.small.world.draws("test", "break");
    EXPECT_TRUE(two.small.world.network().break_a_connection(draws, tell_peer));
    for (int i = 0; i < 1000; ++i) {
      two.a.say(2, "x");
      two.b.say(1, "x");
      two.run_for(Duration::milliseconds(10));
    }
    const auto greetings = [](const LinksNode& node, const char* hello) {
      return std::count(node.heard.begin(), node.heard.end(), hello);
    };
    const std::ptrdiff_t heard = greetings(two.a, "2: hello") + greetings(two.b, "1: hello");
    EXPECT_GT(heard, 2) << "it has been asked";
    EXPECT_LT(heard, 10) << "and that was it";
    two.a.say(2, "y");
    two.b.say(1, "y");
    two.run_for(Duration::seconds(2));
    EXPECT_EQ(two.b.heard.back(), "1: y");
    EXPECT_EQ(two.a.heard.back(), "2: y");
  }
}

// ---- strangers ----

TEST(PeerLinks, AStrangerIsRefused) {
  LinksWorld world;
  LinksNode& host = world.node(1, {});
  LinksNode& guest = world.node(2, {peer_at(1, "a")});
  host.machine->start();
  guest.machine->start();
  for (int i = 0; i < 10; ++i) {
    guest.say(1, "let me in");
    world.run_for(Duration::seconds(1));
  }
  EXPECT_TRUE(host.heard.empty());
  EXPECT_TRUE(guest.heard.empty());
  EXPECT_GT(host.strangers.size(), 2u) << "it is asked about on each new connection";
}

TEST(PeerLinks, AStrangerThatIsLetInIsHeardFromThatMessageOn) {
  LinksWorld world;
  LinksNode& host = world.node(1, {});
  LinksNode& guest = world.node(2, {peer_at(1, "a")});
  host.machine->start();
  guest.machine->start();
  PeerLinks* links = nullptr;
  host.orders.emplace_back([&links](PeerLinks& of) { links = &of; });
  host.on_strange = [&links](NodeId node) { links->put(peer_at(node.value(), "b")); };
  world.run_for(Duration::milliseconds(10));
  guest.say(1, "let me in");
  world.run_for(Duration::milliseconds(500));
  guest.say(1, "thanks");
  host.say(2, "welcome");
  world.run_for(Duration::seconds(1));
  EXPECT_EQ(host.heard, (std::vector<std::string>{"2: let me in", "2: thanks"}));
  EXPECT_EQ(host.strangers.size(), 1u);
  EXPECT_EQ(guest.heard, std::vector<std::string>{"1: welcome"});
}

TEST(PeerLinks, AConnectionIsOneNodesAndOfFramesOnly) {
  LinkedTwo two;
  std::vector<bool> ended;
  sim::Machine& rogue = two.machine([&](sim::ProcessContext& process) {
    const std::vector<std::vector<Slice>> said{
        {introduction_in(2, {}), frame_saying(2, "x"), frame_saying(1, "in another's name")},
        {introduction_in(2, {}), introduction_in(2, {})},
        {introduction_in(0, {})},  // no start has that number
        {Slice::copy_of(std::string_view("\0\0\0\0", 4))},
        {Slice::copy_of(std::string_view("\x7f\xff\xff\xff", 4))},
        {Slice::copy_of(std::string_view("\0\0\0\x05noise", 9))},
        {frame_saying(2, "in no life of anybody's")},
        {},  // says nothing at all
    };
    for (const std::vector<Slice>& parts : said) {
      const auto connection = process.ports.network.connect(two.address_of(two.a), sim::patience());
      CHECK_OK(connection.status());
      CHECK_OK((*connection)->write(parts, sim::patience()));
      ended.push_back(ends_within(**connection, Duration::seconds(10)));
    }
  });
  rogue.start();
  two.run_for(Duration::seconds(20));
  EXPECT_EQ(ended, std::vector<bool>(8, true));
  two.b.say(1, "still here");
  two.run_for(Duration::seconds(1));
  EXPECT_EQ(two.a.heard, (std::vector<std::string>{"2: x", "2: still here"}));
}

TEST(PeerLinks, AnotherLifeOfAPeerIsARivalForAsLongAsItIsOnTheLine) {
  LinkedTwo two;
  sim::Machine& copy = two.machine([&](sim::ProcessContext& process) {
    const auto connection = process.ports.network.connect(two.address_of(two.a), sim::patience());
    CHECK_OK(connection.status());
    const Slice introduction = introduction_in(2, Uuid::from_random(1, 2));
    CHECK_OK((*connection)->write({&introduction, 1}, sim::patience()));
    CHECK_OK(fiber::sleep(Duration::milliseconds(100)));
  });
  const auto rival_met = [&] {
    two.a.rivals.clear();
    copy.start();
    two.run_for(Duration::seconds(1));
    return two.a.rivals;
  };
  two.b.say(1, "x");
  two.run_for(Duration::milliseconds(500));
  EXPECT_EQ(rival_met(), std::vector<Rival>{Rival::kSpeaks});
  two.run_for(Duration::seconds(2));
  EXPECT_EQ(rival_met(), std::vector<Rival>{Rival::kOpen});
  two.b.machine->kill(sim::Death::kProcessKill);
  two.run_for(Duration::seconds(2));
  EXPECT_EQ(rival_met(), std::vector<Rival>{Rival::kNone});
}

TEST(PeerLinks, ThereAreOnlySoManyConnections) {
  LinksWorld world;
  LinksNode& host = world.node(1, {peer_at(2, "b")});
  host.options.connections_max = 2;
  std::vector<bool> ended;
  sim::Machine& rogue = world.machine([&](sim::ProcessContext& process) {
    std::vector<std::unique_ptr<Connection>> held;
    held.reserve(3);
    for (int i = 0; i < 3; ++i) {
      held.push_back(*process.ports.network.connect(world.address_of(host), sim::patience()));
    }
    for (const std::unique_ptr<Connection>& connection : held) {
      ended.push_back(ends_within(*connection, Duration::milliseconds(100)));
    }
    // Those that say nothing do not keep others out for ever.
    CHECK_OK(fiber::sleep(Duration::seconds(6)));
    const auto late = process.ports.network.connect(world.address_of(host), sim::patience());
    const std::vector<Slice> frames{introduction_in(2, {}), frame_saying(2, "late")};
    CHECK_OK((*late)->write(frames, sim::patience()));
    ended.push_back(ends_within(**late, Duration::milliseconds(100)));
  });
  host.machine->start();
  rogue.start();
  world.run_for(Duration::seconds(10));
  EXPECT_EQ(ended, (std::vector<bool>{false, false, true, false}));
  EXPECT_EQ(host.heard, std::vector<std::string>{"2: late"});
}

// ---- connections that lead nowhere ----

// It is there and takes the connection, but nothing says that anything arrives.
TEST(PeerLinks, OneThatNeverAnswersIsDialledAnew) {
  LinksWorld world;
  LinksNode& node = world.node(1, {peer_at(2, "b")});
  Acceptor silent;
  silent.reads = true;
  world.machine([&silent](sim::ProcessContext& process) { silent.run(process); }).start();
  node.machine->start();
  for (int i = 0; i < 20; ++i) {
    node.say(2, "x");
    world.run_for(Duration::milliseconds(100));
  }
  EXPECT_EQ(silent.accepted, 2u) << "after 1.5 s";
  EXPECT_EQ(silent.ended, 1u);
  world.run_for(Duration::seconds(20));
  EXPECT_EQ(silent.accepted, 2u) << "silence counts from a word that goes unanswered";
}

// Its own connection is well, and says all the time that nothing has come over this one.
TEST(PeerLinks, WhatComesOverTheOtherConnectionSaysNothingOfThisOne) {
  LinksWorld world;
  LinksNode& node = world.node(1, {peer_at(2, "b")});
  Acceptor half_open;
  sim::Machine& machine = world.machine([&](sim::ProcessContext& process) {
    process.scope.spawn({"speaker", 0}, [&] {
      const auto connection = process.ports.network.connect(world.address_of(node), sim::patience());
      CHECK_OK(connection.status());
      const Slice introduction = introduction_in(2, {});
      const Slice frame = frame_saying(2, "y");
      CHECK_OK((*connection)->write({&introduction, 1}, sim::patience()));
      while ((*connection)->write({&frame, 1}, sim::patience()).ok() && fiber::sleep(Duration::milliseconds(50)).ok()) {
      }
    });
    half_open.run(process);
  });
  node.machine->start();
  machine.start();
  for (int i = 0; i < 20; ++i) {
    node.say(2, "x");
    world.run_for(Duration::milliseconds(100));
  }
  EXPECT_GT(node.heard.size(), 20u);
  EXPECT_EQ(half_open.accepted, 2u);
}

TEST(PeerLinks, OneThatAnswersKeepsItsConnection) {
  LinkedTwo two;
  for (int i = 0; i < 60; ++i) {
    two.a.say(2, "x");
    two.b.say(1, "x");
    two.run_for(Duration::milliseconds(100));
  }
  EXPECT_EQ(two.b.heard.size(), 60u);
  EXPECT_EQ(two.a.heard.size(), 60u);
  EXPECT_EQ(two.small.world.network().live_streams(), 2u);
}

TEST(PeerLinks, AFullQueueDropsWhatComesAndGoesOn) {
  LinksWorld world;
  LinksNode& node = world.node(1, {peer_at(2, "b")});
  LinksNode& other = world.node(2, {peer_at(1, "a")});
  node.options.queue_bytes_max = 10'000;
  other.machine->start();
  for (int i = 0; i < 100; ++i) {
    node.say(2, std::string(900, static_cast<char>('0' + i % 10)));
  }
  node.machine->start();
  world.run_for(Duration::seconds(1));
  ASSERT_GT(other.heard.size(), 5u);
  EXPECT_LT(other.heard.size(), 12u);
  for (std::size_t i = 0; i < other.heard.size(); ++i) {
    EXPECT_EQ(other.heard[i].back(), static_cast<char>('0' + i % 10)) << "the first ones, in order";
  }
  const std::size_t before = other.heard.size();
  node.say(2, std::string(20'000, 'l'));
  node.say(2, "dropped");
  world.run_for(Duration::seconds(1));
  node.say(2, "after");
  world.run_for(Duration::seconds(1));
  ASSERT_EQ(other.heard.size(), before + 2) << "one alone may be larger";
  EXPECT_EQ(other.heard.back(), "1: after");
}

}  // namespace
}  // namespace chronik::raft
