// Where other threads leave what a shard's next turn is to hear: completions of disk, store and name service, and the
// news that a mailbox has a message.
//
// Why one for all: a sleeping loop is woken by one eventfd, once, however much arrives; a loop that runs is not woken
// at all and finds everything when it looks before sleeping. Threads: post() and wake() from any; the rest from the
// shard's own. Outlives every thread that posts.
#pragma once

#include <mutex>
#include <vector>

#include "core/fiber/operation.h"
#include "runtime/descriptor.h"

namespace chronik::runtime {

class CompletionInbox {
 public:
  CompletionInbox();

  // ---- any thread ----
  void post(fiber::Completion completion);
  // Makes the loop turn around once without a completion: whoever calls has left something elsewhere.
  void wake();

  // ---- the shard's thread ----
  // Appends what has arrived; the shard is awake.
  void take(std::vector<fiber::Completion>& batch);
  // To be asked before sleeping. True: nothing has arrived, and whoever posts from now on signals the descriptor.
  bool prepare_to_sleep();
  int descriptor() const { return event_.number(); }

 private:
  void signal();

  Descriptor event_;
  std::mutex mutex_;
  std::vector<fiber::Completion> arrived_;  // guarded by mutex_, as are the two below
  bool woken_ = false;
  bool sleeping_ = false;
};

}  // namespace chronik::runtime
