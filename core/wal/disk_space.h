// How much free space the disk has, as far as the log needs to know (rule R14): a figure that is asked for anew when it
// may have changed enough to matter, and when somebody was refused because of it. Nothing polls.
#pragma once

#include <cstdint>

#include "core/fiber/wait.h"
#include "core/ports/disk.h"

namespace chronik::wal {

class DiskSpace {
 public:
  // Data is refused below `reserve`; control records below an eighth of it.
  DiskSpace(Disk& disk, std::uint64_t reserve) : disk_(disk), reserve_(reserve) {}

  // Asks the disk.
  Status refresh(const Deadline& deadline);
  bool allows(bool control, std::uint64_t bytes) const;
  // Bytes were queued for the log. Segments will take them once more.
  void note_queued(std::uint64_t bytes);
  // Space may have been freed.
  void ask_again();
  // Somebody was refused, and will be told of the next answer. Where he is refused again at once, the disk is asked a
  // moment later.
  void note_refused();
  // The disk had no room for a write or a new file, whatever it says is free: nothing is allowed until it has been
  // asked again, a moment later.
  void note_full();

  // The fiber that asks, until `closing` and told so by wake(). `notify` is notified after every answer.
  void run(const bool& closing, Duration timeout, fiber::Event& notify);
  void wake() { wanted_.notify_all(); }

 private:
  MonotonicTime next_question() const;
  bool wait_until(MonotonicTime at, const bool& closing);
  std::uint64_t left() const { return free_ > used_since_ ? free_ - used_since_ : 0; }

  Disk& disk_;
  std::uint64_t reserve_;
  std::uint64_t free_ = 0;        // as the disk last said
  std::uint64_t used_since_ = 0;  // at most, by what the log knows of
  bool asked_ = false;
  bool refused_ = false;  // somebody, since the last answer
  MonotonicTime answered_;
  bool full_ = false;  // noted, and no answer has come to what was asked since
  std::uint64_t fulls_ = 0;
  fiber::Event wanted_;
};

}  // namespace chronik::wal
