// What the scenarios of replicated partitions share: how a plan is drawn and judged (replicated.cc), the state of a
// run, and its clients, who find the leaders (replicated_clients.cc, replicated_readers.cc).
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/client/client.h"
#include "sim/scenarios/administrator.h"
#include "sim/scenarios/group.h"
#include "sim/scenarios/ledger.h"

namespace chronik::sim {

struct ReplicatedState : GroupState {
  ReplicatedState(World& of, std::size_t partitions) : ledger(of, partitions) { world = &of; }
  struct Producer {
    std::vector<PlanOperation> operations;
    std::size_t next = 0;
    std::uint64_t sessions = 0;
    bool done = false;
  };
  Ledger ledger;
  bool forwarded = false;    // nodes name themselves the leaders of everything
  bool unclean = false;      // what was acknowledged may be lost: the ledger is not told of it
  bool sessions = false;     // whoever reads does so in fetch sessions
  bool rots = false;         // a damaged offset may answer an error; all the same it must be read in the end
  bool undisturbed = false;  // nothing goes wrong: who has begun is answered within answer_within
  Duration answer_within = Duration::seconds(10);  // far below a parked fetch's time, far above the slowest network
  std::size_t window = 1;                          // produces of one client that are under way at a time
  AdministratorState administrator;
  std::size_t replicas = 1;  // of each partition, in the end
  std::map<std::string, Producer> producers;
  struct Consumer {
    std::size_t partition = 0;
    Duration wait;  // of a fetch that has nothing to bring
    std::int64_t at = 0;
    LeaderEpoch epoch = LeaderEpoch::none();  // the latest of the partition that it has heard of
  };
  std::map<std::string, Consumer> consumers;
  bool all_read = false;
  Status last_read;
  std::unique_ptr<ScenarioState> of_kind;  // what a kind keeps besides
  // Whoever wants to know: a producer was told that this offset is there, under these acks. From within its fiber.
  std::function<void(std::size_t partition, Offset offset, std::int16_t acks)> on_acknowledged;

  bool all_done() const {
    return std::all_of(producers.begin(), producers.end(), [](const auto& of) { return of.second.done; });
  }
};

// What a client knows of the topic, and its connections to those who lead.
class LeaderClients {
 public:
  LeaderClients(ProcessContext& process, ReplicatedState& state) : process_(process), state_(state) {}

  // Asks any node who leads. Not ok: it does not know, or not of all partitions.
  Status refresh();

  // Of the partition's leader, as far as is known.
  StatusOr<client::Client*> leader_of(std::size_t partition);
  // Ends all connections; refresh() must follow.
  void close();
  // The epoch in which it leads.
  LeaderEpoch epoch_of(std::size_t partition) const { return epochs_.at(partition); }

 private:
  Status stay_with(std::unique_ptr<client::Client> node);

  ProcessContext& process_;
  ReplicatedState& state_;
  std::vector<NodeId> leaders_;
  std::vector<LeaderEpoch> epochs_;
  std::map<NodeId, std::unique_ptr<client::Client>> clients_;
};

void run_replicated_producer(ProcessContext& process, ReplicatedState& state);
// An idempotent one, with several batches of a partition under way (pipelined_producer.cc).
inline constexpr const char* kBatchRefused = "batch refused";  // the fault, as it sees it
void run_pipelined_producer(ProcessContext& process, ReplicatedState& state);
// Reads everything from the first offset on, again and again, until all is healed, produced and read.
void run_replicated_reader(ProcessContext& process, ReplicatedState& state);
// At the end, all healed: everything was produced, and read after that. False where that was a finding; `known`: what
// else there is to say then.
bool judge_all_read(World& world, const ReplicatedState& state, std::string_view known = "");
// Waits at the end of one partition, whoever leads it, until everything is read (state.consumers).
void run_replicated_consumer(ProcessContext& process, ReplicatedState& state);
// Makes topics until all is healed, and produces to each.
void run_topic_maker(ProcessContext& process, ReplicatedState& state);
// Deletes records until all is healed.
void run_replicated_trimmer(ProcessContext& process, ReplicatedState& state);

// ---- the scenario ----

// What a node's configuration takes of the plan's knobs of partitions and replicas.
void configure_replicas(const Plan& plan, node::NodeConfig& config);

// Nodes that keep replicas of each partition, producers, a reader, consumers, in half of the runs somebody who deletes
// records. A scenario derives from this and says what is different.
class Replicated : public Scenario {
 public:
  Plan generate(std::uint64_t seed) const final;
  std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const final;
  void at_end(World& world, ScenarioState& state) const final;
  std::vector<std::string> promises() const override;

 protected:
  struct Kind {
    int nodes_least = 1;
    int nodes_most = 5;
    bool undisturbed = false;  // nothing goes wrong
    bool forwards = false;     // nodes name themselves the leaders of everything
    bool reassigned = false;   // an administrator moves partitions about, and puts them on all nodes in the end
    bool unclean = false;      // any replica may lead that is left: nothing is read
    bool space_may_lack = false;
    std::int64_t replicas = 0;  // 0: drawn, up to three
    std::int64_t consumers_least = 0;
    bool nothing_deleted = false;  // nobody deletes records
    bool pipelined = false;        // producers are idempotent and keep several batches of a partition under way
  };
  virtual Kind kind() const { return {}; }
  // names: of all machines.
  virtual void draw_trouble(Plan& plan, Draws& draws, const std::vector<std::string>& names) const;
  // Of one node, after what all of them have.
  virtual void configure(const Plan& /*plan*/, node::NodeConfig& /*config*/) const {}
  // After the machines are there and before any starts.
  virtual void prepare(World& /*world*/, const Plan& /*plan*/, Nemesis& /*nemesis*/, ReplicatedState& /*state*/) const {
  }
  // At the end, where nothing else was wrong.
  virtual void judge(World& /*world*/, const ReplicatedState& /*state*/) const {}
  // All nodes serve, and all replicas are in sync; else REPLICA-LIVE. when: for people.
  static void judge_in_sync(World& world, const ReplicatedState& state, const std::string& when);
};

}  // namespace chronik::sim
