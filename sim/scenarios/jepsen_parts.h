// The producer and the consumer of a client of the scenario `jepsen`, as Kafka's own clients are set up there:
// acks=all, attempts until the delivery times out, with or without idempotence; partitions assigned by hand, and the
// earliest offset where a position is out of range.
//
// Of one process: a crash ends them. They share what is known of who leads.
#pragma once

#include <map>
#include <string>
#include <vector>

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

class JepsenConsumer {
 public:
  JepsenConsumer(ProcessContext& process, JepsenState& state, JepsenLeaders& leaders)
      : process_(process), state_(state), leaders_(leaders) {}

  void assign(const std::vector<jepsen::Key>& keys, bool from_the_start);
  bool assigned() const { return !positions_.empty(); }
  // One look at all keys that are assigned. `polled` lacks those of which nothing is to be had.
  void poll(std::map<jepsen::Key, jepsen::Pairs>& polled);
  // Everything that anybody knows to be there has been polled.
  bool knows_everything() const;
  // As after an operation that did not happen.
  using Positions = std::map<jepsen::Key, std::int64_t>;
  const Positions& positions() const { return positions_; }
  void rewind(const Positions& to) { positions_ = to; }

 private:
  void fetch(client::Client& leader, const std::vector<jepsen::Key>& keys,
             std::map<jepsen::Key, jepsen::Pairs>& polled);
  void take_records(jepsen::Key key, const Slice& records, std::map<jepsen::Key, jepsen::Pairs>& polled);
  void judge_error(jepsen::Key key, protocol::ErrorCode error);

  ProcessContext& process_;
  JepsenState& state_;
  JepsenLeaders& leaders_;
  Positions positions_;  // of the keys that are assigned
};

}  // namespace chronik::sim
