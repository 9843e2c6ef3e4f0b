// The simulated disk of a machine: DiskModel behind the Disk port, with time, helpers and faults.
//
// Operations wait in lanes as for helper threads (one for the log, a few for the rest), take drawn virtual time and are
// carried out at the end of it, step by step: each write, then the sync. At each step a fault may strike: one that was
// asked for (strike()), or one drawn from the knobs. What really fired is told to the host by kind.
// Lifetime: the device belongs to its machine, ports to their shards; checkers read model() at any time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/disk.h"
#include "sim/decision.h"
#include "sim/device.h"
#include "sim/disk_lane.h"
#include "sim/disk_model.h"

namespace chronik::sim {

// The calls that a fault may strike; a batch is its writes and its sync, a fill one write and a sync.
enum class DiskStep : std::uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kCreateDirectory,
  kRename,
  kUnlink,  // and the removal of a directory
  kSyncDirectory,
  kSyncAll,
  kOther,  // listing, free space
};

enum class DiskEffect : std::uint8_t {
  kNone,
  kShort,    // a part is moved at first, the rest at once behind it: nothing to be seen
  kIoError,  // kInternal; of a sync: a failed one (rule R2)
  kNoSpace,
  kHang,      // no answer before release_hung()
  kLie,       // a sync that returns ok and does nothing
  kMisplace,  // a synced write goes to another block
  kKillBefore,
  kKillDuring,
  kKillAfter,
  kPowerLossBefore,
  kPowerLossDuring,
  kPowerLossAfter,
};

// What World::fault_fired calls a write of a segment that the disk has no room for.
inline constexpr const char* kSegmentWithoutRoom = "a segment finds no room";

// A fault that is to strike once: at the nth step of its kind from now on, of files whose path contains `path`.
struct DiskStrike {
  DiskStep step = DiskStep::kWrite;
  DiskEffect effect = DiskEffect::kIoError;
  std::uint64_t nth = 1;
  std::string path = {};
};

struct DiskKnobs {
  std::uint64_t capacity_bytes = std::uint64_t{1} << 40;
  Duration operation = Duration::microseconds(15);  // typical
  Duration operation_most = Duration::milliseconds(5);
  Duration sync = Duration::microseconds(80);  // typical, on top
  Duration sync_most = Duration::milliseconds(30);
  std::int64_t bytes_per_second = 1'000'000'000;
  std::uint32_t bulk_helpers = 3;
  std::size_t open_files_max = 10'000;
  PerMillion cached_read = percent(50);  // served from memory, without suspending
  Survival survival = {};                // of what is unsynced, at a loss of power
  // Odds of faults, per step.
  PerMillion read_fails = {0};
  PerMillion write_fails = {0};
  PerMillion sync_fails = {0};
  PerMillion sync_lies = {0};
  PerMillion sync_hangs = {0};
  PerMillion misplaces = {0};
  PerMillion stalls = {0};  // an operation takes up to stall_most longer
  Duration stall_most = Duration::seconds(20);
  PerMillion evicts = {0};  // at the end of a process: clean pages that never became durable are forgotten
};

// Sizes, speeds and helpers drawn around sensible ones. No faults.
DiskKnobs draw_disk_knobs(Draws& draws);

class DiskPort;

class SimulatedDisk final : public DiskDevice {
 public:
  SimulatedDisk(std::unique_ptr<DeviceHost> host, const DiskKnobs& knobs, const Draws& draws);
  ~SimulatedDisk() override;

  std::unique_ptr<Attached<chronik::Disk>> attach(Shard& shard) override;
  std::unique_ptr<Attached<chronik::Disk>> attach(ShardContext& context);
  void on_death(Death how) override;

  // ---- for checkers and faults; not from within a fiber of this machine, but where it says so ----
  DiskModel& model() { return model_; }
  const DiskModel& model() const { return model_; }
  DiskKnobs& knobs() { return knobs_; }  // changes count from the next operation on
  void strike(DiskStrike strike);        // may be called from within a fiber
  void forget_strikes() { strikes_.clear(); }
  std::size_t strikes_left() const { return strikes_.size(); }
  void release_hung();  // may be called from within a fiber
  // Some durable byte rots, some durable block cannot be read any more, of a file whose path contains `within`. False
  // where nothing is durable.
  bool rot_somewhere(std::string_view within = {});
  bool spoil_a_block(std::string_view within = {});
  // Operations that have not really ended, of all ports.
  std::size_t in_flight() const;
  std::size_t open_files() const { return open_files_; }
  // Of all reads, ever.
  std::uint64_t bytes_asked_for() const { return bytes_asked_for_; }

 private:
  friend class DiskFile;
  friend class DiskOperation;
  friend class DiskPort;
  friend struct OpenFile;

  // What meets this step of a file or path.
  DiskEffect meet(DiskStep step, std::string_view path, Draws& draws);
  DiskEffect drawn_effect(DiskStep step, Draws& draws) const;

  std::unique_ptr<DeviceHost> host_;
  DiskKnobs knobs_;
  Draws draws_;
  Draws name_draws_;   // for operations on names
  Draws fault_draws_;  // for damage at rest
  DiskModel model_;
  std::vector<DiskStrike> strikes_;
  std::vector<DiskPort*> ports_;
  absl::btree_map<std::uint64_t, std::uint64_t> opens_;  // of each path's hash: how often
  std::size_t open_files_ = 0;
  std::uint64_t bytes_asked_for_ = 0;
  std::uint64_t deaths_ = 0;
};

const char* disk_step_name(DiskStep step);
const char* disk_effect_name(DiskEffect effect);

}  // namespace chronik::sim
