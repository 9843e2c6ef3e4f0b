// How every real port waits: one operation, begun and waited for by one fiber, completed by the loop in a later turn.
//
// Because there is no other way to suspend in a real port, a log of turns and of the calls' results replays a shard
// (turn_log.h, replay.h). Lives on the waiting fiber's stack.
#pragma once

#include "core/fiber/operation.h"
#include "core/fiber/wait.h"

namespace chronik::runtime {

class IoWait final : public fiber::Operation {
 public:
  IoWait() { waiter_.fiber().scheduler().begin_operation(*this); }
  ~IoWait() override {
    if (!completed_) {
      waiter_.fiber().scheduler().forget_operation(*this);
    }
  }

  // Ok once completed. Otherwise why not; a completion that comes later is dropped.
  Status wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail = nullptr) {
    return wake_status(waiter_.wait(key, deadline, detail));
  }
  std::int64_t result() const { return result_; }

 private:
  void on_complete(std::int64_t result) override {
    completed_ = true;
    result_ = result;
    waiter_.fire(fiber::Wake::kSignalled);
  }

  fiber::Waiter waiter_;
  std::int64_t result_ = 0;
  bool completed_ = false;
};

// Why a call must not even begin: the node dies, the wait was called off or its time has passed.
inline Status cannot_begin(const Deadline& deadline) {
  fiber::Scheduler& scheduler = fiber::Scheduler::current();
  if (scheduler.dying()) {
    return wake_status(fiber::Wake::kDying);
  }
  if (deadline.cancelled()) {
    return wake_status(fiber::Wake::kCancelled);
  }
  return deadline.at() <= scheduler.now() ? wake_status(fiber::Wake::kExpired) : ok();
}

}  // namespace chronik::runtime
