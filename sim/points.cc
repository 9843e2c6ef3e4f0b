#include "sim/points.h"

#include "sim/machine.h"
#include "sim/shard.h"
#include "sim/world.h"

namespace chronik::sim {

void Points::kill_at(std::string_view machine, std::string_view point, std::uint64_t nth, Death how) {
  traps_[{std::string(machine), std::string(point)}] = {nth, how};
}

void Points::reached(const char* name) {
  ++passages_[name];
  if (traps_.empty()) {
    return;
  }
  Shard* shard = world_.shard(current_shard());
  if (shard == nullptr) {
    return;
  }
  const auto found = traps_.find({shard->machine().name(), std::string(name)});
  if (found == traps_.end() || found->second.left-- > 0) {
    return;
  }
  const Death how = found->second.how;
  traps_.erase(found);
  world_.fault_fired("kill at point", mix_text(name));
  shard->die(how);
}

}  // namespace chronik::sim
