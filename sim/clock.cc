#include "sim/clock.h"

#include "core/base/check.h"
#include "core/base/mix.h"

namespace chronik::sim {

namespace {
constexpr std::int64_t kMillion = 1'000'000;
__extension__ using Int128 = __int128;
}  // namespace

MachineClock::MachineClock(const ClockKnobs& knobs)
    : rate_(kMillion + knobs.drift_parts_per_million),
      origin_(knobs.origin),
      wall_milliseconds_(knobs.wall_milliseconds) {
  CHECK_GT(rate_, kMillion / 2);
  CHECK_LT(rate_, kMillion * 2);
}

MonotonicTime MachineClock::monotonic(VirtualTime at) const {
  const Int128 elapsed = static_cast<Int128>(at.nanoseconds()) * rate_ / kMillion;
  return MonotonicTime::from_nanoseconds(origin_.nanoseconds() + static_cast<std::int64_t>(elapsed));
}

VirtualTime MachineClock::when(MonotonicTime time) const {
  if (time == MonotonicTime::never()) {
    return VirtualTime::never();
  }
  const std::int64_t elapsed = time.nanoseconds() - origin_.nanoseconds();
  if (elapsed <= 0) {
    return VirtualTime::zero();
  }
  const Int128 at = (static_cast<Int128>(elapsed) * kMillion + rate_ - 1) / rate_;
  const Int128 last = static_cast<Int128>(VirtualTime::never().nanoseconds()) - 1;
  const VirtualTime found = VirtualTime::from_nanoseconds(static_cast<std::int64_t>(at < last ? at : last));
  CHECK_GE(monotonic(found), time);
  return found;
}

WallTime MachineClock::wall(VirtualTime at) const {
  const Duration since = (monotonic(at) - MonotonicTime::from_nanoseconds(origin_.nanoseconds())) + stepped_;
  return WallTime::from_milliseconds(wall_milliseconds_ + since.milliseconds());
}

}  // namespace chronik::sim
