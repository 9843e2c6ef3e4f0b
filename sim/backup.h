// What was on a machine's disk and in its store at one moment, to be brought back later: a backup, or a copy of the
// file system, taken while its process ran. Of what was not synced then, as much is there as after a loss of power.
#pragma once

#include "sim/disk_model.h"
#include "sim/machine.h"
#include "sim/store_model.h"

namespace chronik::sim {

class Backup {
 public:
  // The machine has a SimulatedDisk and a SimulatedStore.
  explicit Backup(Machine& machine);
  // Nothing may run on it. Its disk knows from then on that it is an older copy (DamageKind::kOlderCopy).
  void bring_back(Machine& machine) const;

 private:
  DiskModel disk_;
  StoreModel store_;
};

}  // namespace chronik::sim
