// What the scenarios of replicated partitions share: the state of a run, and its clients, who find the leaders.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
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
  bool rots = false;         // a damaged offset may answer an error; all the same it must be read in the end
  bool undisturbed = false;  // nothing goes wrong: who has begun is answered within answer_within
  Duration answer_within = Duration::seconds(10);  // far below a parked fetch's time, far above the slowest network
  AdministratorState administrator;
  std::map<std::string, Producer> producers;
  bool all_read = false;
  Status last_read;

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

 private:
  Status stay_with(std::unique_ptr<client::Client> node);

  ProcessContext& process_;
  ReplicatedState& state_;
  std::vector<NodeId> leaders_;
  std::map<NodeId, std::unique_ptr<client::Client>> clients_;
};

void run_replicated_producer(ProcessContext& process, ReplicatedState& state);
void run_replicated_reader(ProcessContext& process, ReplicatedState& state);
// Deletes records until all is healed.
void run_replicated_trimmer(ProcessContext& process, ReplicatedState& state);

}  // namespace chronik::sim
