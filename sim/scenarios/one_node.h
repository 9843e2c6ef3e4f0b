// What all scenarios of one node share: the node, producers, half of them idempotent, a reader that reads everything
// over and over, a consumer that waits at the end of the log, in half of the runs a trimmer that deletes records, the
// ledger of what was acknowledged, and the checkers.
//
// A scenario derives from OneNode and says which faults strike (draw_faults), how the node is set up (configure), and
// what of the judgement it excuses (OneNodeRules). The plan's machines are "node", "reader", "consumer", "client-1" and
// so on, and "trimmer"; knobs and workload are drawn here. Where the disk rots there are neither idempotent producers
// nor a trimmer: with a record of the write-ahead log, what it says of producers and of the log's start may be lost.
//
// Judged in each: what was acknowledged is there, at that offset, with those bytes, and what was read once stays
// (ACK-DURABLE); what was refused is not there (REFUSED); offsets are dense (OFFSET-CONTIG) and each holds one value
// for ever, sent once (OFFSET-UNIQUE); a connection's values are in the order of sending, and behind all that was
// acknowledged before (ORDER); a batch of an idempotent producer is there once, however often it was sent, at the
// offset that every attempt was answered (IDEMPOTENT); what was deleted stays so, and nothing else goes (LOG-START);
// answers can be read, are in the order of the requests and hold errors that they may hold (CONFORM); the consumer is
// told of what was acknowledged (NO-STUCK); the node starts from whatever a death left (NODE-START) and does not end by
// itself (NODE-FATAL); once all is healed everything gets done (NODE-LIVE); and what wal_checker.h and bounds_checker.h
// say.
#pragma once

#include <absl/container/btree_map.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/client/client.h"
#include "core/node/node.h"
#include "sim/disk.h"
#include "sim/machine.h"
#include "sim/scenario.h"
#include "sim/scenarios/idempotent.h"
#include "sim/scenarios/ledger.h"
#include "sim/scenarios/workload.h"

namespace chronik::sim {

constexpr std::uint16_t kNodePort = 9092;
constexpr const char* kLedgerTopic = "numbers";
constexpr Duration kNodePatience = Duration::seconds(15);  // of a client, for one answer
constexpr std::int64_t kNodeFilesMax = 12;                 // wal.files_max, at most

// What a scenario asks for, and what it excuses.
struct OneNodeRules {
  Duration lasts = Duration::seconds(20);
  Duration calm = Duration::seconds(200);
  std::int64_t clients_most = 3;
  std::int64_t operations_most = 400;  // of a client
  bool ledger = true;                  // producers, reader and consumer are there at all
  bool consumer_is_prompt = false;     // nothing may delay the consumer: it is told within kNewsWithin
  bool disk_may_fail = false;          // the node may end with kDiskFailed once a fault of its disk has fired
  bool disk_rots = false;              // damaged offsets may answer errors, and the node may refuse to start
  bool space_may_lack = false;         // writes may be refused, and a start fail for want of room
  bool logs_may_be_refused = false;    // a topic made while the write-ahead log is full to the brim has none at first
  bool retains = false;                // a log may begin later than at 0
  bool stamps_nanoseconds = false;     // producers take them for the milliseconds of a timestamp
  bool connections_last = false;       // nothing may end a producer's connection
  Duration hang_limit = {};            // after which an operation that hangs has ended the node; zero: not judged
};
constexpr Duration kNewsWithin = Duration::seconds(15);

struct OneNodeState : ScenarioState {
  struct Producer {
    std::vector<PlanOperation> operations;
    std::size_t next = 0;
    std::uint64_t sessions = 0;
    bool done = false;
  };
  OneNodeState(World& of, const Plan& plan, OneNodeRules with);

  bool all_done() const;
  // What a producer's records bear.
  WallTime stamp(Clock& clock) const;
  // A fault of the node's disk that is more than slowness has fired so far.
  std::uint64_t disk_faults() const;
  // The client's answer is one that this API may give, and could be read.
  void judge_answer(const Status& status, const char* what);
  void judge_error(protocol::ErrorCode error, const char* what);

  World& world;
  OneNodeRules rules;
  node::NodeConfig config;
  Ledger ledger;
  Machine* machine = nullptr;        // of the node
  const node::Node* node = nullptr;  // while one serves
  std::map<std::string, Producer> producers;
  std::map<std::string, IdempotentProducer> idempotent;  // what such a one knows besides
  std::map<std::int64_t, std::string> producer_ids;      // that were ever given, and to whom
  std::size_t window = 1;
  bool consumer_sessions = false;             // the consumer fetches in sessions
  std::int32_t consumer_bytes_max = 1 << 20;  // of an answer to it
  bool deletes_everything = false;  // the trimmer may ask for deletion up to the high watermark, whatever that is
  std::uint64_t node_starts = 0;
  std::uint64_t served = 0;                          // the latest incarnation that came to serve
  std::function<void()> on_start;                    // at each start of the node's process, in its first fiber
  std::uint64_t acknowledged_then = 0;               // at a moment of the scenario's choice
  VirtualTime first_refusal = VirtualTime::never();  // since then
  VirtualTime last_refusal;
  std::uint64_t refused_writes = 0;  // KAFKA_STORAGE_ERROR
  std::uint64_t failed_writes = 0;   // to segments, that ended the node on a disk that rots
  bool node_given_up = false;        // it refused to start from damage
  bool all_read = false;
  std::uint64_t passes = 0;  // of the reader, complete ones
  VirtualTime healed;
  Status last_read;                        // how the reader's latest pass ended
  std::unique_ptr<ScenarioState> of_kind;  // what a scenario keeps besides
  std::vector<std::int64_t> consumer_at;   // by partition, what it asks for next
  // What the consumer has yet to be told of: (partition, offset) -> obligation.
  absl::btree_map<std::pair<std::size_t, std::int64_t>, std::uint64_t> news;
};

class OneNode : public Scenario {
 public:
  Plan generate(std::uint64_t seed) const final;
  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const final;
  void at_end(World& world, ScenarioState& state) const override;
  std::vector<std::string> promises() const override;

 protected:
  virtual OneNodeRules rules() const { return {}; }
  // names: of all machines; names.front() is the node.
  virtual void draw_faults(Plan& plan, Draws& draws, const std::vector<std::string>& names) const = 0;
  virtual void configure(const Plan& /*plan*/, node::NodeConfig& /*config*/) const {}
  // After the machines are there and before any starts: programs for roles of the scenario's own, checkers.
  virtual void prepare(World& /*world*/, const Plan& /*plan*/, Nemesis& /*nemesis*/, OneNodeState& /*state*/) const {}
  // The node's process has died, by a fault, and is about to be started again.
  virtual void on_death(World& /*world*/, OneNodeState& /*state*/) const {}
};

// ---- for programs of a scenario's own ----
Deadline node_patience();
StatusOr<std::unique_ptr<client::Client>> connect_to_node(ProcessContext& process);
void sleep_between(ProcessContext& process, std::int64_t low_ms, std::int64_t high_ms);

// ---- one_node_clients.cc ----
// The topic is there with all its partitions.
Status expect_topic(OneNodeState& state, client::Client& client);
// Something was acknowledged: where the rules say so, the consumer must be told of it soon.
void expect_news(OneNodeState& state, std::size_t partition, std::int64_t offset);
// Where connections last, this one had to.
void judge_lasting(OneNodeState& state, const Status& status);
void run_producer(ProcessContext& process, OneNodeState& state);
void run_reader(ProcessContext& process, OneNodeState& state);
void run_consumer(ProcessContext& process, OneNodeState& state);
// ---- idempotent.cc ----
void run_idempotent_producer(ProcessContext& process, OneNodeState& state);
// ---- trimmer.cc ----
void run_trimmer(ProcessContext& process, OneNodeState& state);
// ---- bit_rot.cc ----
// Faults: "rot-while-serving", "spoil-while-serving", "settled-death" (numbers: power).
void teach_rot_while_serving(World& world, Nemesis& nemesis, OneNodeState& state);

}  // namespace chronik::sim
