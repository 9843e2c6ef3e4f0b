#include "core/wal/disk_space.h"

#include <algorithm>

#include "core/base/log_line.h"

namespace chronik::wal {

namespace {
constexpr std::uint64_t kCopies = 2;  // of each byte: in the log, later in a segment
constexpr std::uint64_t kAskAfterMin = 64 * 1024;
constexpr Duration kPauseWhenFull = Duration::seconds(1);
constexpr Duration kPauseWhenRefused = Duration::milliseconds(100);
}  // namespace

Status DiskSpace::refresh(const Deadline& deadline) {
  const std::uint64_t used_before = used_since_;
  ASSIGN_OR_RETURN(free_, disk_.free_bytes(deadline));
  used_since_ -= used_before;  // what was queued while the question was under way may not be in the answer
  return ok();
}

bool DiskSpace::allows(bool control, std::uint64_t bytes) const {
  const std::uint64_t floor = control ? reserve_ / 8 : reserve_;
  return !full_ && left() >= floor + bytes;
}

void DiskSpace::note_queued(std::uint64_t bytes) {
  used_since_ += kCopies * bytes;
  const std::uint64_t margin = free_ > reserve_ ? free_ - reserve_ : 0;
  if (used_since_ >= std::max(kAskAfterMin, margin / 8)) {
    ask_again();
  }
}

void DiskSpace::ask_again() {
  asked_ = true;
  wanted_.notify_all();
}

void DiskSpace::note_refused() {
  refused_ = true;
  ask_again();
}

void DiskSpace::note_full() {
  full_ = true;
  ++fulls_;
  ask_again();
}

MonotonicTime DiskSpace::next_question() const {
  if (full_) {
    return fiber::Scheduler::current().now() + kPauseWhenFull;
  }
  return refused_ ? answered_ + kPauseWhenRefused : MonotonicTime();
}

// False where the node ends meanwhile.
bool DiskSpace::wait_until(MonotonicTime at, const bool& closing) {
  const Deadline end = fiber::for_ever().no_later_than(at, Expiry::kNormal);
  for (Status waited; !closing && !absl::IsDeadlineExceeded(waited);) {
    waited = wanted_.wait({WaitKind::kWork, 0, 0, 0}, end);
    if (absl::IsAborted(waited) || absl::IsCancelled(waited)) {
      return false;
    }
  }
  return !closing;
}

void DiskSpace::run(const bool& closing, Duration timeout, fiber::Event& notify) {
  while (!closing) {
    if (!asked_) {
      const WaitKey key{WaitKind::kWork, 0, 0, 0};
      if (!wanted_.wait(key, fiber::for_ever()).ok()) {
        return;
      }
      continue;
    }
    asked_ = false;
    if (!wait_until(next_question(), closing)) {
      return;
    }
    refused_ = false;
    const std::uint64_t fulls = fulls_;
    const Status refreshed = refresh(fiber::within(timeout, Expiry::kPeer));
    if (absl::IsAborted(refreshed) || absl::IsCancelled(refreshed)) {
      return;
    }
    if (!refreshed.ok()) {
      log_warn("free disk space unknown", field("error", refreshed.ToString()));
    } else if (fulls == fulls_) {
      full_ = false;  // not before the answer: the figure of before has allowed what found no room
    }
    answered_ = fiber::Scheduler::current().now();
    notify.notify_all();
  }
}

}  // namespace chronik::wal
