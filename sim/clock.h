// The clocks of a machine (rule S13): one that drifts and never steps, and one that tells the date and may step.
//
// All arithmetic is in integers. A machine's monotonic clock is read once a turn by its shards.
#pragma once

#include "core/ports/clock.h"
#include "sim/virtual_time.h"

namespace chronik::sim {

struct ClockKnobs {
  std::int64_t drift_parts_per_million = 0;   // in (-500'000, 500'000): how much faster than the world's time it runs
  Duration origin = Duration::seconds(1000);  // what the monotonic clock shows at the world's beginning
  std::int64_t wall_milliseconds = 1'700'000'000'000;  // what the wall clock shows then
};

class MachineClock {
 public:
  explicit MachineClock(const ClockKnobs& knobs);
  MonotonicTime monotonic(VirtualTime at) const;
  // The first moment of the world at which monotonic() shows `time` or later; never() for never().
  VirtualTime when(MonotonicTime time) const;
  WallTime wall(VirtualTime at) const;
  // Moves the wall clock, either way.
  void step_wall(Duration by) { stepped_ = stepped_ + by; }

 private:
  std::int64_t rate_;  // in millionths
  Duration origin_;
  std::int64_t wall_milliseconds_;
  Duration stepped_ = Duration::zero();
};

}  // namespace chronik::sim
