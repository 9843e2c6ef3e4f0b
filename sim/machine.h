// A machine of the world: an address, a clock, a disk and a store that last, and one process at a time that runs on
// them.
//
// A machine may be a broker, a client, or a reader that a checker sends; they share nothing but the network. Each start
// is an incarnation with shards, ports and fibers of its own.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/ports/network.h"
#include "core/ports/process.h"
#include "sim/clock.h"
#include "sim/decision.h"
#include "sim/device.h"
#include "sim/shard.h"

namespace chronik::sim {

class World;

// What a program is given: its ports and a scope for its fibers. One body runs per shard of a process.
struct ProcessContext {
  Ports& ports;
  fiber::FiberScope& scope;
  Machine& machine;           // for clients and scenarios; broker code takes the ports alone
  std::uint64_t incarnation;  // of this machine, from 1
  std::uint32_t shard_index;
  const std::vector<ShardId>& shards;  // of this process
};

// The body of a process's main fiber. The process exits when the bodies of all its shards have returned.
using Program = std::function<void(ProcessContext&)>;

struct MachineOptions {
  std::string name;
  Address address = {};  // its IP; the port is of no matter
  NodeId node = NodeId::none();
  std::uint32_t shards = 1;
  ClockKnobs clock = {};
  TurnKnobs turns = {};
  // Null: the machine has no disk (every call answers kNotFound) and no store.
  std::function<std::unique_ptr<DiskDevice>(World&, const std::string& machine)> disk = nullptr;
  std::function<std::unique_ptr<StoreDevice>(World&, const std::string& machine)> store = nullptr;
};

// How a process came to its end.
struct Exit {
  Death how = Death::kExit;
  std::optional<ExitStatus> status;  // of an exit or of Process::fatal
  std::string reason;
};

class Machine {
 public:
  // index: its place among the machines of the world.
  Machine(World& world, MachineOptions options, std::size_t index);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  World& world() { return world_; }
  std::size_t index() const { return index_; }
  const std::string& name() const { return options_.name; }
  const Address& address() const { return options_.address; }
  const MachineOptions& options() const { return options_; }
  MachineClock& clock() { return clock_; }
  DiskDevice* disk() { return disk_.get(); }
  StoreDevice* store() { return store_.get(); }
  // Decisions about this machine as a whole.
  Draws draws(std::string_view stream);

  // What runs from the next start() on.
  void install(Program program) { program_ = std::move(program); }
  // Called after each end of a process, outside every fiber: the place to restart from.
  void on_exit(absl::AnyInvocable<void(const Exit&)> callback) { on_exit_ = std::move(callback); }

  // Starts the program. Nothing may run.
  void start();
  // Ends the process at once. Not from within a fiber. Nothing happens where nothing runs.
  void kill(Death how);
  // Everything that was on its disk and in its store is gone. Nothing may run.
  void replace_disk();
  // Stops the process's turns; its machine's kernel goes on (rule S12). resume() delivers what came meanwhile in one
  // batch.
  void suspend();
  void resume();

  bool running() const { return !shards_.empty(); }
  bool powered() const { return powered_; }  // false between a loss of power and the next start
  bool suspended() const { return suspended_; }
  std::uint64_t incarnation() const { return incarnation_; }
  const std::vector<std::unique_ptr<Shard>>& shards() const { return shards_; }
  const std::vector<ShardId>& shard_ids() const { return shard_ids_; }
  const std::optional<Exit>& last_exit() const { return last_exit_; }

  // For a shard's turn: ends the process, as a shard has wished or because all bodies have returned.
  void settle();
  bool all_mains_ended() const;
  void note_fatal(ExitStatus status, std::string_view reason);

 private:
  void tell(std::string_view what);  // to the story of the run

  World& world_;
  MachineOptions options_;
  std::size_t index_;
  MachineClock clock_;
  std::unique_ptr<DiskDevice> disk_;
  std::unique_ptr<StoreDevice> store_;
  std::vector<std::pair<std::unique_ptr<DiskDevice>, std::unique_ptr<StoreDevice>>> replaced_;  // events may name them
  Program program_;
  absl::AnyInvocable<void(const Exit&)> on_exit_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<ShardId> shard_ids_;
  std::uint64_t incarnation_ = 0;
  std::optional<Exit> last_exit_;
  std::optional<Exit> coming_;
  bool powered_ = true;
  bool suspended_ = false;
};

}  // namespace chronik::sim
