// Which leader epoch began at which offset of a log (KIP-101). Derived from the log's batches, cut with it.
#pragma once

#include <vector>

#include "core/base/ids.h"

namespace chronik::log {

class Epochs {
 public:
  struct Start {
    LeaderEpoch epoch;
    Offset offset;
    friend bool operator==(const Start&, const Start&) = default;
  };

  // A batch of `epoch` begins at `offset`; epochs and offsets never decrease.
  void note(LeaderEpoch epoch, Offset offset);
  // The largest epoch <= the asked one of which the log has something, and where it ends, `log_end` for the last. Where
  // all of these are larger, the asked one, which ends where the first begins. None where no epoch is known.
  Start end_of(LeaderEpoch epoch, Offset log_start, Offset log_end) const;
  LeaderEpoch epoch_at(Offset offset) const;  // none: before the first
  LeaderEpoch last() const { return starts_.empty() ? LeaderEpoch::none() : starts_.back().epoch; }
  void truncate(Offset to);              // forgets epochs that begin at or above
  void forget_above(LeaderEpoch epoch);  // later ones
  // Forgets epochs that end at or below. The first that is left keeps its beginning, which a batch may hold together
  // with the log's start: a replica that has something else between the two has to be told.
  void advance_start(Offset to);
  const std::vector<Start>& starts() const { return starts_; }
  void restore(std::vector<Start> starts) { starts_ = std::move(starts); }

 private:
  std::vector<Start> starts_;
};

}  // namespace chronik::log
