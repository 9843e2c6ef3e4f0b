// What the clients of the scenario `jepsen` did and saw, as Jepsen's Kafka workload keeps it: operations with an
// invocation and a completion, each of some process, made of micro-operations on keys, which are partitions.
//
// A process that does not know how its operation has ended (kInfo) ends with it: its client goes on as another process.
// So whatever one process has completed before, it knows. Plain data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/virtual_time.h"

namespace chronik::sim::jepsen {

using Key = std::int32_t;
using Value = std::int64_t;                                 // of one key each is sent by one micro-operation only
using Pairs = std::vector<std::pair<std::int64_t, Value>>;  // offset and value

enum class Type : std::uint8_t {
  kInvoke,
  kOk,
  kInfo,
  kFail
};  // kInfo: it may have happened, or not; kFail: it has not
enum class Verb : std::uint8_t { kAssign, kSubscribe, kCrash, kSend, kPoll, kTxn };  // kTxn: both sends and polls

struct MicroOp {
  bool sends = false;  // else it polls
  Key key = 0;         // of a send
  Value value = 0;
  bool done = false;                 // never in an invocation
  std::int64_t offset = -1;          // of a send that is done
  std::map<Key, Pairs> polled = {};  // by a poll that is done
  bool rebalanced = false;           // of a poll: what its process owns was taken away or given anew before it polled
};

struct Operation {
  std::int64_t process = 0;
  Type type = Type::kInvoke;
  Verb verb = Verb::kTxn;
  std::vector<MicroOp> micro = {};
  std::vector<Key> keys = {};   // of an assignment: all that is polled from now on; of a subscription: that may be
  bool from_the_start = false;  // of an assignment: else keys that it had before are polled on from where it was
  std::string error = {};       // of a completion: why it is not kOk
  VirtualTime at = {};
};

using History = std::vector<Operation>;

Verb verb_of(const std::vector<MicroOp>& micro);
// One operation a line, in the form that Jepsen's own histories have.
std::string to_edn(const History& history);

}  // namespace chronik::sim::jepsen
