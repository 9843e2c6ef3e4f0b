// The scenario `jepsen`: clients that act as those of Jepsen's Kafka workload do, and the history of what they did and
// saw. docs/JEPSEN.md says what is the same and what is not.
//
// Each client is a thread with one operation under way at a time, a producer and a consumer of its own. When it does
// not know how an operation has ended, or crashes, it goes on as another process, with a new producer and consumer.
// Once all is healed, every client reads everything from the start until nothing is missing that anybody knows of.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sim/scenarios/jepsen_history.h"
#include "sim/scenarios/replicated.h"

namespace chronik::sim {

struct JepsenState final : ReplicatedState {
  struct Thread {
    std::vector<PlanOperation> operations;
    std::int64_t process = 0;
    bool tired = false;  // of sending: it only reads now
    bool done = false;   // it has read everything
  };
  JepsenState(World& of, const Plan& plan);
  std::string history_text() const override { return jepsen::to_edn(history); }

  jepsen::History history;
  std::map<std::string, Thread> threads;  // by the machine's name
  std::vector<jepsen::Value> next_value;  // by key
  std::vector<std::int64_t> known_end;    // by key: behind the highest offset that anybody was told of
  bool idempotent = false;                // producers are
  bool lingers = false;                   // a producer makes one batch of what an operation sends to a key
  std::size_t bytes = 0;                  // of a value
  std::int32_t poll_bytes = 0;            // of a key in one answer, about, while faults strike
  Duration request_timeout;               // of one attempt, while faults strike
  Duration delivery_timeout;              // of all attempts together
  bool subscribes = false;                // clients poll as members of a group, more often than not
  std::int32_t session_ms = 0;            // of a member
  std::int32_t rebalance_ms = 0;
  // By key: how far anybody of the group has polled, and how far it has committed for certain.
  std::vector<std::int64_t> group_polled;
  std::vector<std::int64_t> group_committed;

  bool all_tired() const {
    return std::all_of(threads.begin(), threads.end(), [](const auto& of) { return of.second.tired; });
  }
};

// A client, until it has read everything.
void run_jepsen_client(ProcessContext& process, JepsenState& state);

}  // namespace chronik::sim
