// Reports a turn that takes too long, while it lasts, with the name of the fiber that runs (or ran last).
//
// A fiber that computes for 100 ms stops every other of its shard: heartbeats, answers, elections. The loop publishes
// turn and fiber in atomics, a few nanoseconds each; a thread of its own looks. It sleeps while the loop sleeps: an
// idle node is not woken by its watchdog more than a few times for each turn it makes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "core/base/log_line.h"
#include "core/fiber/scheduler.h"
#include "runtime/event_loop.h"

namespace chronik::runtime {

class Watchdog final : public TurnWitness, public fiber::SchedulerWatch {
 public:
  // log: may be null; else safe from any thread, and outlives this.
  Watchdog(Duration limit, LogSink* log);
  ~Watchdog() override;

  // Turns that were found to last longer than the limit. From any thread.
  std::uint64_t overdue_turns() const { return overdue_.load(std::memory_order_relaxed); }

  // "A turn has lasted for 812 ms; fetch-3 runs, or ran last." From any thread.
  std::string what_runs() const;

  // ---- the shard's thread ----
  void turn_began(MonotonicTime now) override;
  void turn_ended() override;
  void on_resume(const fiber::Fiber& fiber) override;

 private:
  void watch();
  void sleep_until_turn(std::uint64_t seen, std::unique_lock<std::mutex>& lock);
  void look(std::uint64_t turn);
  void report(std::int64_t started);

  const Duration limit_;
  LogSink* log_;
  std::atomic<std::uint64_t> turn_{0};
  std::atomic<std::int64_t> started_{0};  // of the turn under way, in ns; 0: none is
  std::atomic<const char*> fiber_kind_{""};
  std::atomic<std::uint64_t> fiber_index_{0};
  std::atomic<std::uint64_t> overdue_{0};
  std::atomic<bool> dozing_{false};
  std::uint64_t reported_ = 0;  // the turn that was reported last; of the watchdog's thread
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace chronik::runtime
