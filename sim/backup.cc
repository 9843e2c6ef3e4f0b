#include "sim/backup.h"

#include "core/base/check.h"
#include "sim/disk_faults.h"
#include "sim/store.h"

namespace chronik::sim {

namespace {

SimulatedStore& store_of_backed_up(Machine& machine) {
  auto* store = dynamic_cast<SimulatedStore*>(machine.store());
  CHECK(store != nullptr);
  return *store;
}

}  // namespace

Backup::Backup(Machine& machine)
    : disk_(disk_of(machine).model().clone()), store_(store_of_backed_up(machine).model()) {}

void Backup::bring_back(Machine& machine) const {
  CHECK(!machine.running());
  const Draws draws = machine.draws("backup").child("brought back", machine.incarnation());
  DiskModel disk = disk_.clone();
  disk.process_kill();
  disk.power_loss(draws.child("disk", 0), disk_of(machine).knobs().survival);
  disk.note_older_copy();
  disk_of(machine).model() = std::move(disk);
  StoreModel store = store_;
  store.process_kill();
  store.power_loss(draws.child("store", 0));
  store_of_backed_up(machine).replace(std::move(store));
}

}  // namespace chronik::sim
