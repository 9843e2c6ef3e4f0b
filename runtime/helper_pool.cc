#include "runtime/helper_pool.h"

#include <fmt/core.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/fiber/wait.h"
#include "runtime/io_wait.h"
#include "runtime/masked_signals.h"

namespace chronik::runtime {

// Owns a job from its queueing until its fiber has the result, or, where nobody waits any more, until its real end.
class HelperOperation final : public fiber::Operation, public ListHook<struct InFlightTag> {
 public:
  explicit HelperOperation(std::unique_ptr<HelperJob> job) : job_(std::move(job)) {}

  HelperJob& job() { return *job_; }

  // May delete this.
  StatusOr<std::int64_t> wait(std::unique_ptr<HelperJob>& job, const HelperWait& wait, const Deadline& deadline) {
    Status status = wait_for_end(wait, deadline);
    if (!done_) {
      return status;
    }
    // The end is known, even where it came in the same turn as the expiry.
    job = std::move(job_);
    const std::int64_t result = result_;
    delete this;
    return result;
  }

 private:
  Status wait_for_end(const HelperWait& wait, const Deadline& deadline) {
    fiber::Waiter waiter;
    waiter_ = &waiter;
    struct Leave {
      HelperOperation& operation;
      ~Leave() { operation.waiter_ = nullptr; }
    } const leave{*this};
    return wake_status(waiter.wait({wait.kind(), static_cast<std::uint64_t>(number().value()), 0, 0}, deadline, &wait));
  }

  void on_complete(std::int64_t result) override {
    done_ = true;
    result_ = result;
    if (waiter_ == nullptr) {
      delete this;
    } else {
      waiter_->fire(fiber::Wake::kSignalled);
    }
  }

  std::unique_ptr<HelperJob> job_;
  fiber::Waiter* waiter_ = nullptr;
  std::int64_t result_ = 0;
  bool done_ = false;
};

std::string HelperWait::describe_wait() const {
  return object_.empty() ? std::string(what_) : fmt::format("{} {}", what_, object_);
}

HelperPool::HelperPool(EventLoop& loop, const char* name, std::size_t threads_max)
    : inbox_(loop.inbox()), name_(name), threads_max_(threads_max) {
  CHECK_GT(threads_max, std::size_t{0});
}

HelperPool::~HelperPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  in_flight_.for_each([](HelperOperation& operation) { delete &operation; });
}

StatusOr<std::int64_t> HelperPool::run(std::unique_ptr<HelperJob>& job, const HelperWait& wait,
                                       const Deadline& deadline) {
  RETURN_IF_ERROR(cannot_begin(deadline));
  auto* operation = new HelperOperation(std::move(job));
  in_flight_.push_back(*operation);
  fiber::Scheduler::current().begin_operation(*operation);
  hand_over(*operation);
  return operation->wait(job, wait, deadline);
}

void HelperPool::hand_over(HelperOperation& operation) {
  bool all_busy = false;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({operation.number(), &operation.job()});
    all_busy = idle_ < jobs_.size();
  }
  arrived_.notify_one();
  if (all_busy && threads_.size() < threads_max_) {
    threads_.push_back(masked_thread([this] { serve(); }));
  }
}

std::size_t HelperPool::in_flight() const { return in_flight_.count(); }

void HelperPool::serve() {
  ::pthread_setname_np(::pthread_self(), name_);
  std::unique_lock lock(mutex_);
  for (;;) {
    while (jobs_.empty()) {
      if (stopping_) {
        return;
      }
      ++idle_;
      arrived_.wait(lock);
      --idle_;
    }
    const Handed handed = jobs_.front();
    jobs_.pop_front();
    lock.unlock();
    const std::int64_t result = handed.job->run();
    // From here on the job belongs to its shard.
    inbox_.post({handed.number, result});
    lock.lock();
  }
}

}  // namespace chronik::runtime
