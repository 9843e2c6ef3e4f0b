// What of a machine outlives its processes: its disk, and the key-value store on it.
//
// A device hands each shard of each incarnation a port. Order of a death (rule S4), all of it outside every fiber:
//   1. detach(how) of every port of the incarnation, with its shard as the current one: operations under way are no
//   longer
//      reported to the shard, and the port lets go of every Slice it holds; from now on its calls return kAborted at
//      once;
//   2. the fibers unwind, which closes files;
//   3. each port is destroyed, with its shard as the current one, after handles() was seen to be 0;
//   4. on_death(how), once for the machine: what survives is drawn now (rule S12).
// A restart attaches new ports to the same device. Devices work by World::after() and answer by World::complete().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/ports/disk.h"
#include "core/ports/key_value_store.h"

namespace chronik::sim {

class Shard;

enum class Death : std::uint8_t {
  kExit,         // the program returned: everything it handed to the system is kept
  kFatal,        // Process::fatal: the same, in the middle of things
  kProcessKill,  // kill -9: completed writes are kept; of one in flight, any subset of its blocks
  kPowerLoss,    // what was not synced is drawn, block by block and name by name; the network hears nothing
};

constexpr const char* death_name(Death how) {
  switch (how) {
    case Death::kExit: return "exit";
    case Death::kFatal: return "fatal";
    case Death::kProcessKill: return "process kill";
    case Death::kPowerLoss: return "power loss";
  }
  return "unknown";
}

template <typename Port>
class Attached : public Port {
 public:
  virtual void detach(Death how) = 0;
  // Objects made by the port that still live: open files, snapshots.
  virtual std::size_t handles() const = 0;
};

template <typename Port>
class Device {
 public:
  virtual ~Device() = default;
  virtual std::unique_ptr<Attached<Port>> attach(Shard& shard) = 0;
  virtual void on_death(Death how) = 0;
};

using DiskDevice = Device<chronik::Disk>;
using StoreDevice = Device<chronik::KeyValueStore>;

}  // namespace chronik::sim
