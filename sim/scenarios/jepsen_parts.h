// The producer and the consumer of a client of the scenario `jepsen`, as Kafka's own clients are set up there:
// acks=all, attempts until the delivery times out, with or without idempotence; partitions assigned by hand or by a
// group, and the earliest offset where a position is out of range.
//
// Of one process: a crash ends them. They share what is known of who leads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/protocol/messages/join_group.h"
#include "sim/scenarios/jepsen.h"

namespace chronik::sim {

// Who leads the keys, as one process knows: never anybody of an earlier epoch than it has heard of (KIP-320).
class JepsenLeaders {
 public:
  JepsenLeaders(ProcessContext& process, JepsenState& state)
      : leaders_(process, state), epochs_(state.ledger.partitions(), LeaderEpoch::none()) {}

  // Asks who leads, if that is in doubt; that ends all connections.
  Status find();
  // Whoever is known is to be asked for anew.
  void doubt() { known_ = false; }
  // After find() alone; good until the next one.
  StatusOr<client::Client*> of(jepsen::Key key);
  LeaderEpoch epoch_of(jepsen::Key key) const { return epochs_.at(static_cast<std::size_t>(key)); }

 private:
  LeaderClients leaders_;
  std::vector<LeaderEpoch> epochs_;
  bool known_ = false;
};

class JepsenProducer {
 public:
  JepsenProducer(ProcessContext& process, JepsenState& state, JepsenLeaders& leaders)
      : process_(process), state_(state), leaders_(leaders) {}

  struct Delivery {
    enum class Kind : std::uint8_t { kTaken, kUnknown, kRefused } kind = Kind::kRefused;
    std::int64_t base_offset = -1;  // of kTaken
    std::string error = {};         // else
  };
  // Sends the values as one batch, again and again, until it is known to be taken or the time is over. After kUnknown
  // this producer must not be used any more: what it has sent may come yet.
  Delivery deliver(jepsen::Key key, const std::vector<jepsen::Value>& values);

 private:
  bool take_identity();
  Slice batch_of(jepsen::Key key, const std::vector<jepsen::Value>& values);
  void judge_error(protocol::ErrorCode error);

  ProcessContext& process_;
  JepsenState& state_;
  JepsenLeaders& leaders_;
  ProducerId id_ = ProducerId::none();
  ProducerEpoch epoch_ = ProducerEpoch::none();
  std::map<jepsen::Key, std::int32_t> sequences_;  // the next, where idempotent
};

using JepsenPositions = std::map<jepsen::Key, std::int64_t>;  // what is polled next

// A member of the group of all clients that subscribe. It beats when it polls, and else not: whoever is too long about
// something else loses its place.
class JepsenMember {
 public:
  JepsenMember(ProcessContext& process, JepsenState& state) : process_(process), state_(state) {}
  ~JepsenMember();
  JepsenMember(const JepsenMember&) = delete;
  JepsenMember& operator=(const JepsenMember&) = delete;

  void subscribe() { subscribed_ = true; }
  bool subscribed() const { return subscribed_; }
  // Leaves the group, if its coordinator can be asked.
  void unsubscribe();
  // Sees to it that it has its share. False: `positions` are other ones now, those that the group has committed; none
  // where there is no share to be had.
  bool take_part(JepsenPositions& positions);
  // All of them were polled up to there.
  void commit(const JepsenPositions& positions);

 private:
  void join();
  void synchronise(const protocol::JoinGroupResponse& joined);
  bool beat();
  void judge_error(protocol::ErrorCode error);
  bool fetch_positions(JepsenPositions& positions);
  Deadline patience() const;

  ProcessContext& process_;
  JepsenState& state_;
  bool subscribed_ = false;
  bool settled_ = false;  // it has a share, of which it knows no reason to give it up
  std::unique_ptr<client::Client> coordinator_;
  VirtualTime heard_;  // when the coordinator was asked last that took it for a member
  std::string id_;
  GenerationId generation_;
  std::vector<jepsen::Key> share_;
};

class JepsenConsumer {
 public:
  JepsenConsumer(ProcessContext& process, JepsenState& state, JepsenLeaders& leaders)
      : process_(process), state_(state), leaders_(leaders), member_(process, state) {}

  void assign(const std::vector<jepsen::Key>& keys, bool from_the_start);
  // To all keys, as one of its group.
  void subscribe();
  bool assigned() const { return !positions_.empty() || member_.subscribed(); }
  // One look at all keys that are its own. What was polled lacks those of which nothing is to be had.
  void poll(jepsen::MicroOp& op);
  // What was polled need not be polled by anybody else of its group.
  void commit();
  // Everything that anybody knows to be there has been polled.
  bool knows_everything() const;
  // As after an operation that did not happen.
  const JepsenPositions& positions() const { return positions_; }
  void rewind(const JepsenPositions& to) { positions_ = to; }

 private:
  void fetch(client::Client& leader, const std::vector<jepsen::Key>& keys,
             std::map<jepsen::Key, jepsen::Pairs>& polled);
  void take_records(jepsen::Key key, const Slice& records, std::map<jepsen::Key, jepsen::Pairs>& polled);
  void judge_error(jepsen::Key key, protocol::ErrorCode error);

  ProcessContext& process_;
  JepsenState& state_;
  JepsenLeaders& leaders_;
  JepsenPositions positions_;  // of its keys
  JepsenMember member_;
};

}  // namespace chronik::sim
