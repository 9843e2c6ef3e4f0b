#include "sim/points.h"

#include <algorithm>

#include "core/fiber/scheduler.h"
#include "core/fiber/wait.h"
#include "sim/machine.h"
#include "sim/shard.h"
#include "sim/world.h"

namespace chronik::sim {

void Points::kill_at(std::string_view machine, std::size_t point, std::uint64_t nth, Death how) {
  traps_[{std::string(machine), point}] = {nth, how};
}

void Points::begin(const PointFault& fault) {
  CHECK_LT(fault.point, kPoints.size());
  CHECK(kPoints[fault.point].kind == (fault.fails ? PointKind::kFail : PointKind::kPause));
  active_.push_back({.fault = fault, .draws = {}});
}

void Points::end(std::uint64_t id) {
  std::erase_if(active_, [id](const Active& one) { return one.fault.id == id; });
}

void Points::forget() {
  traps_.clear();
  active_.clear();
}

bool Points::reached(std::size_t point) {
  ++coverage_.points[point].passed;
  if (kPoints[point].kind == PointKind::kPause) {
    // Also where no plan holds anybody up: a point of the wrong kind shows in every run.
    const fiber::Fiber* fiber = fiber::Fiber::current_or_null();
    CHECK(fiber != nullptr && fiber->no_suspend_depth() == 0);
  }
  if (traps_.empty() && active_.empty()) {
    return false;
  }
  Shard* shard = world_.shard(current_shard());
  if (shard == nullptr) {
    return false;
  }
  spring(point, *shard);
  return befall(point, *shard);
}

void Points::answered(std::int16_t api, std::int16_t error) { ++coverage_.answers[{api, error}]; }

void Points::spring(std::size_t point, Shard& shard) {
  const auto found = traps_.find({shard.machine().name(), point});
  if (found == traps_.end() || found->second.left-- > 0) {
    return;
  }
  const Death how = found->second.how;
  traps_.erase(found);
  ++coverage_.points[point].killed;
  world_.fault_fired("kill at point", mix_text(kPoints[point].name));
  shard.die(how);
}

// Whether the point fails.
bool Points::befall(std::size_t point, Shard& shard) {
  bool fails = false;
  Duration delay;
  bool held = false;
  for (Active& one : active_) {
    if (one.fault.point != point || one.fault.machine != shard.machine().name()) {
      continue;
    }
    const std::uint64_t lineage = shard.lineage();
    Draws& draws =
        one.draws.try_emplace(lineage, world_.decisions().draws("point", mix(one.fault.id, lineage))).first->second;
    const bool strikes = draws.chance(one.fault.odds);
    fails |= strikes && one.fault.fails;
    held |= strikes && !one.fault.fails;
    delay = strikes ? std::max(delay, one.fault.delay) : delay;
  }
  const std::uint64_t target = mix_text(kPoints[point].name);
  if (fails) {
    ++coverage_.points[point].failed;
    world_.fault_fired("failure at point", target);
  }
  if (held && delay > Duration::zero()) {
    ++coverage_.points[point].delayed;
    world_.fault_fired("delay at point", target);
    static_cast<void>(fiber::sleep(delay));  // `active_` may have changed when it returns
  } else if (held) {
    ++coverage_.points[point].yielded;
    world_.fault_fired("yield at point", target);
    fiber::yield_to_ready();
  }
  return fails;
}

}  // namespace chronik::sim
