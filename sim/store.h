// The simulated key-value store of a machine: StoreModel behind the KeyValueStore port, with time and faults.
//
// A store has a helper per port, like the real one: calls wait for each other. A commit is applied and, where it is to
// be, durable at the end of its time, whole or not at all. A commit that fails may have been applied; then the store
// takes no other until its process ends, and what it applied is read by the next process though it may not be durable
// (rule R2). Lifetime: the device belongs to its machine, ports to their shards; checkers read model() at any time.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/ports/key_value_store.h"
#include "sim/decision.h"
#include "sim/device.h"
#include "sim/disk.h"
#include "sim/disk_lane.h"
#include "sim/store_model.h"

namespace chronik::sim {

enum class StoreStep : std::uint8_t { kRead, kCommit };

// A fault that is to strike once, at the nth step of its kind from now on. kIoError, kHang, kShort and deaths are
// known.
struct StoreStrike {
  StoreStep step = StoreStep::kCommit;
  DiskEffect effect = DiskEffect::kIoError;
  std::uint64_t nth = 1;
};

struct StoreKnobs {
  Duration read = Duration::microseconds(10);  // typical
  Duration commit = Duration::microseconds(20);
  Duration sync = Duration::microseconds(150);  // of a durable commit, on top
  Duration most = Duration::milliseconds(50);   // the rare worst
  // Odds of faults, per call.
  PerMillion commit_fails = {0};
  PerMillion commit_hangs = {0};
  PerMillion read_fails = {0};
};

// Speeds drawn around sensible ones. No faults.
StoreKnobs draw_store_knobs(Draws& draws);

class StorePort;

class SimulatedStore final : public StoreDevice {
 public:
  SimulatedStore(std::unique_ptr<DeviceHost> host, const StoreKnobs& knobs, const Draws& draws);
  ~SimulatedStore() override;

  std::unique_ptr<Attached<KeyValueStore>> attach(Shard& shard) override;
  std::unique_ptr<Attached<KeyValueStore>> attach(ShardContext& context);
  void on_death(Death how) override;

  const StoreModel& model() const { return model_; }
  void replace(StoreModel model) { model_ = std::move(model); }  // nothing runs on it
  StoreKnobs& knobs() { return knobs_; }
  void strike(const StoreStrike& strike);  // may be called from within a fiber
  void forget_strikes() { strikes_.clear(); }
  void release_hung();  // may be called from within a fiber

 private:
  friend class StorePort;
  friend class StoreOperation;

  DiskEffect meet(StoreStep step);

  std::unique_ptr<DeviceHost> host_;
  StoreKnobs knobs_;
  Draws draws_;
  StoreModel model_;
  std::vector<StoreStrike> strikes_;
  std::vector<StorePort*> ports_;
  bool broken_ = false;  // a commit failed half-way: no other until the process has ended
  std::uint64_t deaths_ = 0;
};

}  // namespace chronik::sim
