// Waiting. Every wait has a deadline, says what it waits for, and is woken by exactly one of: a signal, the deadline,
// the cancellation of the deadline's source, the death of the node.
//
// There is no memory in an Event: test the condition, wait, test again. Nothing runs in between on a shard, so no
// wake-up is lost.
#pragma once

#include <vector>

#include "core/base/cancel.h"
#include "core/base/deadline.h"
#include "core/base/intrusive_list.h"
#include "core/base/status.h"
#include "core/base/wait_key.h"
#include "core/fiber/scheduler.h"

namespace chronik::fiber {

enum class Wake : std::uint8_t { kPending, kSignalled, kExpired, kCancelled, kDying };

// ok, kDeadlineExceeded, kCancelled or kAborted.
Status wake_status(Wake wake);

// One wait of one fiber. Lives on the waiting fiber's stack.
class Waiter final : private Timer, private CancelListener {
 public:
  Waiter() : fiber_(Fiber::current()) {}

  // Suspends until fired. Where the deadline has passed, the source is cancelled or the node is dying, does not
  // suspend: a fiber that is being unwound goes on, another begins to be. detail: may be null.
  Wake wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail = nullptr);

  // Wakes the fiber, unless it has been woken already. Returns whether it was this call.
  bool fire(Wake wake);
  bool fired() const { return wake_ != Wake::kPending; }

  Fiber& fiber() const { return fiber_; }
  const WaitKey& key() const { return key_; }
  Expiry meaning() const { return meaning_; }
  MonotonicTime deadline() const { return deadline_; }
  MonotonicTime since() const { return since_; }
  const WaitDetail* detail() const { return detail_; }
  // The last signal of what is waited for came when nobody waited: a lost wake-up, if the wait should not end.
  bool missed_a_signal() const { return missed_a_signal_; }
  void note_missed_signal() { missed_a_signal_ = true; }
  // More keys than one where any of several would do (a WaitSet).
  const std::vector<WaitKey>* alternatives() const { return alternatives_; }
  void set_alternatives(const std::vector<WaitKey>* keys) { alternatives_ = keys; }

 private:
  void on_timer() override;
  void on_cancel() override;

  Fiber& fiber_;
  WaitKey key_;
  MonotonicTime deadline_;
  MonotonicTime since_;
  const WaitDetail* detail_ = nullptr;
  const std::vector<WaitKey>* alternatives_ = nullptr;
  Expiry meaning_ = Expiry::kNormal;
  Wake wake_ = Wake::kPending;
  bool missed_a_signal_ = false;
};

// Links a waiter to an event. A waiter may have many (WaitSet).
class WaitNode : public ListHook<struct WaitNodeTag> {
 public:
  explicit WaitNode(Waiter& waiter) : waiter_(&waiter) {}
  Waiter& waiter() const { return *waiter_; }

 private:
  Waiter* waiter_;
};

// A place to wait at. Destroying it while somebody waits is a bug, but on a dying node.
class Event {
 public:
  Event() = default;
  ~Event();

  Status wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail = nullptr);
  void notify_all();
  // Wakes one waiter: the first, or whom the strategy chooses. False where nobody waits.
  bool notify_one();

 private:
  friend class WaitSet;
  IntrusiveList<WaitNode, WaitNodeTag> nodes_;
  bool missed_ = false;  // the last signal found nobody
};

// Waits for any of many events: subscribe to each once, then wait. One fiber, one wait, however many events.
class WaitSet {
 public:
  WaitSet() = default;
  WaitSet(const WaitSet&) = delete;
  WaitSet& operator=(const WaitSet&) = delete;

  void add(Event& event, const WaitKey& key);
  std::size_t size() const { return keys_.size(); }
  // Returns when any of the events is notified. Subscriptions stay for the next call.
  Status wait_any(const Deadline& deadline);

 private:
  std::vector<Event*> events_;
  std::vector<WaitKey> keys_;
};

// A condition with a memory: once set it stays set.
class Latch {
 public:
  bool is_set() const { return set_; }
  void set() {
    set_ = true;
    event_.notify_all();
  }
  Status wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail = nullptr) {
    return set_ ? ok() : event_.wait(key, deadline, detail);
  }

 private:
  bool set_ = false;
  Event event_;
};

// An operation whose completion one fiber may wait for. The fiber that leaves early must forget the operation or own it
// on.
class PendingOperation : public Operation {
 public:
  bool done() const { return done_; }
  std::int64_t result() const { return result_; }
  // Ok once done.
  Status wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail = nullptr);

 protected:
  void on_complete(std::int64_t result) override;

 private:
  std::int64_t result_ = 0;
  bool done_ = false;
  Event event_;
};

// A deadline `from_now` away for the current fiber, called off with its scope.
Deadline within(Duration from_now, Expiry meaning);
// A wait without an end, allowed to a listed few (docs/ARCHITECTURE.md): accepting, an idle worker.
Deadline for_ever();

// Returns ok after `duration`, or kCancelled, kAborted.
Status sleep(Duration duration);

// Where a call could finish without suspending, asks the strategy whether it should suspend all the same.
void maybe_suspend();

}  // namespace chronik::fiber
