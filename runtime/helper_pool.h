// Threads that make the calls that may block, one job at a time each, in the order in which jobs were handed over.
//
// A job is handed over at once, since the disk works while the turn goes on, and comes back to its shard as a
// completion of a later turn (rule S1). The threads see only what the job points to. The job, and with it every buffer
// and file that it uses, stays alive until its real end, whether or not the fiber still waits (rule S2). The pool
// starts its threads with the first job and grows up to its bound while jobs wait.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/base/deadline.h"
#include "core/base/intrusive_list.h"
#include "core/base/status.h"
#include "core/base/wait_key.h"
#include "core/fiber/operation.h"
#include "runtime/event_loop.h"

namespace chronik::runtime {

class HelperJob {
 public:
  virtual ~HelperJob() = default;  // on the shard's thread
  // On a helper's thread. Returns the completion's result.
  virtual std::int64_t run() = 0;
};

class HelperOperation;

// What the wait for a job is called in the wait-for graph. Lives on the waiting fiber's stack.
class HelperWait final : public WaitDetail {
 public:
  HelperWait(WaitKind kind, std::string_view what, std::string_view object)
      : kind_(kind), what_(what), object_(object) {}
  WaitKind kind() const { return kind_; }
  std::string describe_wait() const override;

 private:
  WaitKind kind_;
  std::string_view what_;
  std::string_view object_;
};

class HelperPool {
 public:
  // name: of the threads, for people; at most 15 characters.
  HelperPool(EventLoop& loop, const char* name, std::size_t threads_max);
  // Waits for the jobs that were handed over. The loop must have stopped.
  ~HelperPool();
  HelperPool(const HelperPool&) = delete;
  HelperPool& operator=(const HelperPool&) = delete;

  // Queues `job` and waits. Ok, with the job and its result: it ran. Otherwise why the wait ended; the job, now gone
  // from `job`, may still run.
  StatusOr<std::int64_t> run(std::unique_ptr<HelperJob>& job, const HelperWait& wait, const Deadline& deadline);

  // The same for a job of a known type.
  template <typename Job>
  StatusOr<std::int64_t> run_as(std::unique_ptr<Job>& job, const HelperWait& wait, const Deadline& deadline) {
    std::unique_ptr<HelperJob> base = std::move(job);
    StatusOr<std::int64_t> result = run(base, wait, deadline);
    job.reset(static_cast<Job*>(base.release()));
    return result;
  }

  // Jobs that are queued or under way.
  std::size_t in_flight() const;

 private:
  void serve();
  void hand_over(HelperOperation& operation);

  CompletionInbox& inbox_;
  const char* name_;
  std::size_t threads_max_;

  // Of the shard's thread only.
  std::vector<std::thread> threads_;
  IntrusiveList<HelperOperation, struct InFlightTag> in_flight_;

  std::mutex mutex_;
  std::condition_variable arrived_;
  struct Handed {
    OpNumber number;
    HelperJob* job;
  };
  std::deque<Handed> jobs_;  // guarded by mutex_, as are the two below
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace chronik::runtime
