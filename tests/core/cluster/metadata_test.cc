#include "core/cluster/metadata.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/cluster/apply.h"
#include "core/cluster/invariants.h"
#include "core/cluster/snapshot.h"
#include "core/raft/driver.h"
#include "tests/core/cluster/image_world.h"
#include "tests/support/fiber_world.h"
#include "tests/support/memory_store.h"

namespace chronik::cluster {
namespace {

using testing::FiberWorld;
using testing::MemoryStore;
using testing::NotedProcess;

// Checks each published image, and that the deltas join without a gap.
class Follower final : public MetadataListener {
 public:
  explicit Follower(Metadata& metadata) : at_(metadata.image()) { metadata.subscribe(*this); }
  void on_metadata(const Delta& delta) override {
    EXPECT_EQ(delta.before, at_);
    EXPECT_EQ(broken_invariants(*delta.after), std::vector<std::string>());
    EXPECT_EQ(broken_invariants(*delta.before, *delta.after), std::vector<std::string>());
    at_ = delta.after;
    created += delta.created.size();
    ++published;
  }

  std::size_t created = 0;
  int published = 0;

 private:
  ImageRef at_;
};

const raft::Member kSelf{.node = NodeId(1), .directory = Uuid::from_random(1, 1)};

raft::DriverOptions of_member(raft::DriverOptions options) {
  options.raft.self = kSelf;
  return options;
}

// One start of node 1 on a store.
class Node {
 public:
  explicit Node(MemoryStore& store, std::int64_t start_counter = 1, const raft::DriverOptions& options = {})
      : metadata(uuid_of(1), NodeId(1), uuid_of(1000 + static_cast<std::uint64_t>(start_counter))),
        raft(store, process, metadata, nullptr, of_member(options)) {
    metadata.attach(raft);
    world.spawn("open", [this, start_counter] {
      CHECK_OK(raft.open({.voters = {kSelf}, .learners = {}}, fiber::for_ever()));
      follower = std::make_unique<Follower>(metadata);
      raft.start(world.scope);
      const auto result = metadata.propose(
          RegisterBroker{.directory = uuid_of(2), .start_counter = start_counter, .endpoints = {}, .rack = ""},
          in(Duration::seconds(10)));
      registered = result.ok() && result->whole.ok();
    });
    for (int i = 0; i < 100 && !registered; ++i) {
      world.run_for(Duration::milliseconds(1));
    }
    at_first = store.history.size();
  }
  ~Node() { world.scheduler.kill_all(); }

  Deadline in(Duration time) { return fiber::within(time, Expiry::kPeer); }

  // Creates a topic in a fiber of its own; what came of it goes to results, in the order of the ends.
  void create(const std::string& name, Duration patience = Duration::seconds(10)) {
    world.spawn("create", [this, name, patience] {
      const auto result = metadata.propose(CreateTopics{{ImageWorld::topic(name, {{1}})}}, in(patience));
      const bool created = result.ok() && result->items.at(0).ok();
      if (created) {
        CHECK(metadata.image()->find_topic(name) != nullptr);  // an answer never comes ahead of its image
        acknowledged.push_back(name);
      }
      codes.push_back(result.status().code());
    });
  }

  FiberWorld world;
  NotedProcess process;
  Metadata metadata;
  raft::Driver raft;
  std::unique_ptr<Follower> follower;
  bool registered = false;
  std::size_t at_first = 0;  // commits until it was registered
  std::vector<std::string> acknowledged;
  std::vector<absl::StatusCode> codes;
};

TEST(Metadata, AStartIsTwoCommits) {
  MemoryStore store;
  {
    const Node first(store);
    EXPECT_TRUE(first.registered);
    EXPECT_EQ(store.history.size(), 3u) << "the members, the vote, the term's first entry with the registration";
  }
  const Node again(store, 2);
  EXPECT_TRUE(again.registered);
  EXPECT_EQ(store.history.size(), 5u);
  EXPECT_TRUE(again.metadata.image()->is_live(NodeId(1)));
}

TEST(Metadata, AProposalTakesOneCommitAndNothingElse) {
  MemoryStore store;
  store.commit_time = Duration::milliseconds(7);
  Node node(store);
  const MonotonicTime began = node.world.now;
  MonotonicTime ended;
  node.world.spawn("create", [&] {
    const auto result =
        node.metadata.propose(CreateTopics{{ImageWorld::topic("t", {{1}})}}, node.in(Duration::seconds(10)));
    EXPECT_TRUE(result.ok());
    ended = fiber::Scheduler::current().now();
  });
  node.world.run_for(Duration::seconds(1));
  EXPECT_EQ(ended - began, Duration::milliseconds(7)) << "woken by its own apply, not by a timer";
}

TEST(Metadata, TenTopicsInOneRequestAreOneCommit) {
  MemoryStore store;
  Node node(store);
  CreateTopics ten;
  for (int i = 0; i < 10; ++i) {
    ten.topics.push_back(ImageWorld::topic("t" + std::to_string(i), {{1}, {1}, {1}}));
  }
  const std::size_t commits = store.history.size();
  node.world.spawn("create", [&] { EXPECT_TRUE(node.metadata.propose(ten, node.in(Duration::seconds(10))).ok()); });
  node.world.run_for(Duration::milliseconds(20));
  EXPECT_EQ(store.history.size(), commits + 1);
  EXPECT_EQ(node.follower->created, 10u);
}

TEST(Metadata, ConcurrentCreationsShareCommitsAndImages) {
  MemoryStore store;
  Node node(store);
  const std::size_t commits = store.history.size();
  const int published = node.follower->published;
  for (int i = 0; i < 200; ++i) {
    node.create("t" + std::to_string(i));
  }
  node.world.run_for(Duration::milliseconds(50));
  EXPECT_EQ(node.acknowledged.size(), 200u);
  EXPECT_LE(store.history.size() - commits, 2u);
  EXPECT_LE(node.follower->published - published, 2);
  EXPECT_EQ(node.metadata.proposals_in_flight(), 0u);
}

TEST(Metadata, AnImpatientProposerIsToldThatTheOutcomeIsUnknownAndLeavesNothingBehind) {
  MemoryStore store;
  Node node(store);
  store.commit_time = Duration::milliseconds(100);
  node.create("late", Duration::milliseconds(10));
  node.world.run_for(Duration::milliseconds(50));
  EXPECT_EQ(node.codes, std::vector<absl::StatusCode>{absl::StatusCode::kUnknown});
  EXPECT_EQ(node.metadata.proposals_in_flight(), 0u);
  EXPECT_EQ(node.metadata.image()->find_topic("late"), nullptr);
  node.world.run_for(Duration::milliseconds(100));
  EXPECT_NE(node.metadata.image()->find_topic("late"), nullptr) << "it happened all the same";
}

TEST(Metadata, ACancelledProposerLeavesNothingBehind) {
  MemoryStore store;
  Node node(store);
  store.commit_time = Duration::milliseconds(100);
  CancelSource source(node.world.scope.source());
  absl::StatusCode code = absl::StatusCode::kOk;
  node.world.spawn("create", [&] {
    const Deadline deadline(node.world.now + Duration::seconds(10), Expiry::kPeer, source);
    code = node.metadata.propose(AllocateProducerIds{1}, deadline).status().code();
  });
  node.world.run_for(Duration::milliseconds(10));
  EXPECT_EQ(node.metadata.proposals_in_flight(), 1u);
  source.cancel();
  node.world.run_for(Duration::milliseconds(10));
  EXPECT_EQ(code, absl::StatusCode::kCancelled);
  EXPECT_EQ(node.metadata.proposals_in_flight(), 0u);
  node.world.run_for(Duration::milliseconds(200));
}

TEST(Metadata, ARefusedCommandIsAResultNotAnError) {
  MemoryStore store;
  Node node(store);
  node.create("t");
  node.world.run_for(Duration::milliseconds(10));
  ErrorCode error = ErrorCode::kNone;
  node.world.spawn("again", [&] {
    const auto result =
        node.metadata.propose(CreateTopics{{ImageWorld::topic("t", {{1}})}}, node.in(Duration::seconds(1)));
    error = result->items.at(0).error;
  });
  node.world.run_for(Duration::milliseconds(10));
  EXPECT_EQ(error, ErrorCode::kTopicAlreadyExists);
}

TEST(Metadata, AfterACrashAtAnyCommitEverythingAcknowledgedIsThere) {
  MemoryStore store;
  // Before each commit but the first: what must be in the state that the one before it left.
  std::vector<std::vector<std::string>> acknowledged_before;
  const raft::DriverOptions options{.entries_per_snapshot = 5};
  {
    Node node(store, 1, options);
    acknowledged_before.resize(node.at_first);
    store.before_commit = [&] { acknowledged_before.push_back(node.acknowledged); };
    for (int i = 0; i < 40; ++i) {
      node.create("t" + std::to_string(i));
      if (i % 3 == 0) {
        node.world.run_for(Duration::milliseconds(1));
      }
    }
    node.world.run_for(Duration::milliseconds(50));
    EXPECT_EQ(node.acknowledged.size(), 40u);
    acknowledged_before.push_back(node.acknowledged);
  }
  ASSERT_EQ(acknowledged_before.size(), store.history.size() + 1);
  for (std::size_t i = 0; i < store.history.size(); ++i) {
    MemoryStore survivor(store.history[i]);
    Node again(survivor, 2, options);
    ASSERT_TRUE(again.registered) << i;
    EXPECT_EQ(broken_invariants(*again.metadata.image()), std::vector<std::string>());
    for (const std::string& name : acknowledged_before[i + 1]) {
      const Topic* topic = again.metadata.image()->find_topic(name);
      ASSERT_NE(topic, nullptr) << name << " after commit " << i;
      EXPECT_EQ(topic->partitions.first()->leader_epoch, LeaderEpoch(1)) << "rule R1";
    }
  }
}

TEST(Metadata, NothingIsAcknowledgedByACommitThatFails) {
  MemoryStore store;
  Node node(store);
  store.failures = {absl::InternalError("EIO")};
  node.create("t");
  node.world.run_for(Duration::seconds(60));
  EXPECT_EQ(node.process.ends, std::vector<ExitStatus>{ExitStatus::kStoreFailed});
  EXPECT_TRUE(node.acknowledged.empty());
  EXPECT_EQ(node.metadata.image()->find_topic("t"), nullptr);
}

TEST(Metadata, TheSameLogGivesTheSameImageWithAndWithoutSnapshots) {
  MemoryStore with_snapshots;
  MemoryStore without;
  std::vector<std::string> states;
  for (MemoryStore* store : {&with_snapshots, &without}) {
    const raft::DriverOptions options{.entries_per_snapshot = store == &without ? 1'000'000u : 3u};
    {
      Node node(*store, 1, options);
      for (int i = 0; i < 20; ++i) {
        node.create("t" + std::to_string(i));
        node.world.run_for(Duration::milliseconds(10));
      }
    }
    Node again(*store, 2, options);
    states.push_back(encode_snapshot(*again.metadata.image()));
  }
  EXPECT_EQ(states[0], states[1]);
}

TEST(Metadata, WaitingForAnIndexEndsWithItsImage) {
  MemoryStore store;
  Node node(store);
  const LogIndex next = node.metadata.image()->applied.next();
  Status waited = absl::UnknownError("not yet");
  Status barrier = absl::UnknownError("not yet");
  node.world.spawn("wait", [&] {
    barrier = node.metadata.read_barrier(node.in(Duration::seconds(1)));
    waited = node.metadata.wait_applied(next, node.in(Duration::seconds(1)));
  });
  node.world.run_for(Duration::milliseconds(10));
  EXPECT_TRUE(barrier.ok());
  EXPECT_EQ(waited.code(), absl::StatusCode::kUnknown) << "still waiting";
  node.create("t");
  node.world.run_for(Duration::milliseconds(10));
  EXPECT_TRUE(waited.ok());
}

// A consensus by hand: the test decides what is applied at an index.
class HandConsensus final : public raft::Consensus {
 public:
  StatusOr<raft::Proposed> propose(Slice data) override {
    if (!leads) {
      return absl::FailedPreconditionError("the leader is node 2");
    }
    proposed.push_back(data);
    return raft::Proposed{.index = LogIndex(static_cast<std::int64_t>(proposed.size())), .term = Term(1)};
  }
  raft::Leadership leadership() const override { return {.term = Term(1), .leader = NodeId(2), .here = leads}; }
  MonotonicTime last_heard(NodeId) const override { return {}; }
  StatusOr<LogIndex> read_barrier(const Deadline&) override { return barrier; }

  bool leads = true;
  LogIndex barrier{0};
  std::vector<Slice> proposed;
};

// Node 1's metadata above it.
class ByHand {
 public:
  explicit ByHand(const MetadataPatience& patience = {}) : metadata(uuid_of(1), NodeId(1), uuid_of(7), patience) {
    metadata.attach(consensus);
    world.spawn("register", [this] { end(metadata.propose(RegisterBroker{}, soon()).status()); });
    world.run_for(Duration::milliseconds(1));
    commit(consensus.proposed.back());
    codes.clear();
  }
  ~ByHand() { world.scheduler.kill_all(); }

  static Deadline soon() { return fiber::within(Duration::seconds(1), Expiry::kPeer); }
  void end(const Status& status) { codes.push_back(status.code()); }
  void propose() {
    world.spawn("propose", [this] { end(metadata.propose(AllocateProducerIds{10}, soon()).status()); });
    world.run_for(Duration::milliseconds(1));
  }
  void lead(bool here) {
    consensus.leads = here;
    world.spawn("lead", [this] { metadata.on_leadership(consensus.leadership()); });
    world.run_for(Duration::milliseconds(1));
  }
  void commit(const Slice& command) {
    world.spawn("apply", [this, command] {
      const std::vector<raft::Entry> entries{
          {.index = metadata.image()->applied.next(), .term = Term(1), .data = command}};
      CHECK_OK(metadata.apply(entries));
    });
    world.run_for(Duration::milliseconds(1));
  }
  void install(const Image& image) {
    world.spawn("install", [this, &image] {
      CHECK_OK(metadata.install_snapshot(image.applied, as_bytes(encode_snapshot(image))));
    });
    world.run_for(Duration::milliseconds(1));
  }

  FiberWorld world;
  HandConsensus consensus;
  Metadata metadata;
  std::vector<absl::StatusCode> codes;
};

// How long `wait` of a patient caller takes with that patience.
template <typename Wait>
Duration time_of(const MetadataPatience& patience, Wait&& wait) {
  ByHand node(patience);
  Duration took;
  node.world.spawn("wait", [&] {
    const MonotonicTime began = fiber::Scheduler::current().now();
    node.end(wait(node, fiber::within(Duration::seconds(100), Expiry::kPeer)));
    took = fiber::Scheduler::current().now() - began;
  });
  node.world.run_for(Duration::seconds(101));
  return took;
}

TEST(MetadataPatience, AProposalThatNobodyCommitsIsWaitedForAsLongAsIsSet) {
  for (const int seconds : {2, 7}) {
    const auto propose = [](ByHand& node, const Deadline& deadline) {
      Status status = node.metadata.propose(AllocateProducerIds{10}, deadline).status();
      EXPECT_TRUE(absl::IsUnknown(status)) << status;
      return status;
    };
    EXPECT_EQ(time_of({.proposal = Duration::seconds(seconds)}, propose), Duration::seconds(seconds));
  }
}

TEST(MetadataPatience, WhatOthersHaveCommittedIsWaitedForAsLongAsIsSet) {
  for (const int seconds : {3, 8}) {
    const auto catch_up = [](ByHand& node, const Deadline& deadline) {
      node.consensus.barrier = node.metadata.image()->applied.next();
      Status status = node.metadata.catch_up(deadline);
      EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
      return status;
    };
    EXPECT_EQ(time_of({.apply = Duration::seconds(seconds)}, catch_up), Duration::seconds(seconds));
  }
}

using Codes = std::vector<absl::StatusCode>;

TEST(Metadata, WhatNoLeaderTakesIsNotAppliedAndIsSaidToBe) {
  ByHand node;
  node.consensus.leads = false;
  node.propose();
  node.world.run_for(Duration::seconds(2));
  EXPECT_EQ(node.codes, Codes{absl::StatusCode::kDeadlineExceeded});
  EXPECT_EQ(node.metadata.proposals_in_flight(), 0u);
}

// Rule R17.
TEST(Metadata, EachNewLeaderIsHandedWhatIsUnderWayAndItIsAppliedOnce) {
  ByHand node;
  node.consensus.leads = false;
  node.propose();
  node.propose();
  const std::size_t before = node.consensus.proposed.size();
  node.lead(true);
  ASSERT_EQ(node.consensus.proposed.size(), before + 2);
  const Slice first = node.consensus.proposed[before];
  const Slice second = node.consensus.proposed[before + 1];
  node.lead(false);
  node.lead(true);
  ASSERT_EQ(node.consensus.proposed.size(), before + 4);
  EXPECT_EQ(node.consensus.proposed[before + 2].text(), first.text()) << "in the order of their sequences";
  for (const Slice& each : {first, first, second, first, second}) {
    node.commit(each);
  }
  EXPECT_EQ(node.codes, (Codes{absl::StatusCode::kOk, absl::StatusCode::kOk}));
  EXPECT_EQ(node.metadata.image()->next_producer_id, 20);
}

TEST(Metadata, ASnapshotThatCameInsteadSaysWhatBecameOfAProposal) {
  ByHand node;
  node.propose();
  const Command command = *decode_command(node.consensus.proposed.back().bytes());
  node.propose();
  Image ahead = *apply(node.metadata.image(), node.metadata.image()->applied.next(), command).image;
  ahead.applied = LogIndex(9);
  node.install(ahead);
  EXPECT_EQ(node.codes, Codes{absl::StatusCode::kOk}) << "the second may still come";
  Command later = command;
  later.proposal.sequence += 2;
  Image forgetful = *apply(ImageRef::make(ahead), LogIndex(10), later).image;
  node.install(forgetful);
  EXPECT_EQ(node.codes, (Codes{absl::StatusCode::kOk, absl::StatusCode::kUnknown}));
}

TEST(Metadata, ASnapshotOfAnotherClusterIsRefused) {
  Metadata metadata(uuid_of(1), NodeId(1), uuid_of(7));
  const ImageRef foreign = empty_image(uuid_of(2));
  EXPECT_EQ(metadata.install_snapshot(LogIndex(0), as_bytes(encode_snapshot(*foreign))).code(),
            absl::StatusCode::kDataLoss);
}

TEST(Metadata, ACommittedEntryThatCannotBeReadIsAnError) {
  Metadata metadata(uuid_of(1), NodeId(1), uuid_of(7));
  const std::vector<raft::Entry> entries{{.index = LogIndex(1), .term = Term(1), .data = Slice::copy_of("junk")}};
  EXPECT_FALSE(metadata.apply(entries).ok());
  EXPECT_EQ(metadata.image()->applied, LogIndex(0)) << "nothing was published";
}

}  // namespace
}  // namespace chronik::cluster
