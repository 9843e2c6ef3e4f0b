#include "core/log/epochs.h"

#include <algorithm>

#include "core/base/check.h"

namespace chronik::log {

void Epochs::note(LeaderEpoch epoch, Offset offset) {
  if (starts_.empty() || epoch > starts_.back().epoch) {
    CHECK(starts_.empty() || offset >= starts_.back().offset);
    starts_.push_back({epoch, offset});
    return;
  }
  CHECK_EQ(epoch, starts_.back().epoch);
}

Epochs::Start Epochs::end_of(LeaderEpoch epoch, Offset log_start, Offset log_end) const {
  if (epoch == LeaderEpoch::none() || starts_.empty()) {
    return {LeaderEpoch::none(), Offset::none()};
  }
  const auto behind = std::upper_bound(starts_.begin(), starts_.end(), epoch,
                                       [](LeaderEpoch asked, const Start& start) { return asked < start.epoch; });
  const Offset end = behind == starts_.end() ? log_end : behind->offset;
  if (behind == starts_.begin()) {
    return {epoch, end};
  }
  // What the log had of that epoch is deleted, and of those up to the asked one it may never have had anything.
  const Start& found = *(behind - 1);
  return {std::max(found.offset, log_start) >= end ? epoch : found.epoch, end};
}

LeaderEpoch Epochs::epoch_at(Offset offset) const {
  const auto behind = std::upper_bound(starts_.begin(), starts_.end(), offset,
                                       [](Offset asked, const Start& start) { return asked < start.offset; });
  return behind == starts_.begin() ? LeaderEpoch::none() : (behind - 1)->epoch;
}

void Epochs::truncate(Offset to) {
  while (!starts_.empty() && starts_.back().offset >= to) {
    starts_.pop_back();
  }
}

void Epochs::forget_above(LeaderEpoch epoch) {
  while (!starts_.empty() && starts_.back().epoch > epoch) {
    starts_.pop_back();
  }
}

void Epochs::advance_start(Offset to) {
  std::size_t before = 0;
  while (before + 1 < starts_.size() && starts_[before + 1].offset <= to) {
    ++before;
  }
  starts_.erase(starts_.begin(), starts_.begin() + static_cast<std::ptrdiff_t>(before));
}

}  // namespace chronik::log
