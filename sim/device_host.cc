#include "sim/device_host.h"

#include <utility>

#include "core/base/mix.h"
#include "sim/machine.h"
#include "sim/world.h"

namespace chronik::sim {

EventId WorldDeviceHost::after(Duration delay, EventQueue::Callback callback) {
  return world_.after(delay, std::move(callback));
}
void WorldDeviceHost::cancel(EventId event) { world_.cancel(event); }
void WorldDeviceHost::complete(ShardId shard, OpNumber number, std::int64_t result) {
  world_.complete(shard, number, result);
}
void WorldDeviceHost::kill(Death how) { world_.machine(machine_).kill(how); }
void WorldDeviceHost::fault_fired(std::string_view kind) { world_.fault_fired(kind, mix_text(machine_)); }
void WorldDeviceHost::record(Record what, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  world_.trace().record(what, mix(mix_text(machine_), a), b, c);
}
Story* WorldDeviceHost::story() const { return world_.story(); }
void WorldDeviceHost::fail(std::string_view checker, std::string_view message) { world_.fail(checker, message); }

}  // namespace chronik::sim
