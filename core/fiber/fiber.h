// A fiber: straight-line code with a stack of its own that runs until it waits.
//
// Who uses this header: scheduler and waits. Everybody else spawns through a FiberScope and waits through wait.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/ambient.h"
#include "core/base/intrusive_list.h"
#include "core/base/wait_key.h"
#include "core/fiber/context.h"
#include "core/ports/process.h"

namespace chronik::fiber {

class FiberScope;
class Scheduler;
class Waiter;
class Fiber;

// Who a fiber is: a literal and a number that its parent gives it ("connection", 3).
struct FiberName {
  const char* kind;
  std::uint64_t index = 0;
};

// Says that the current fiber will satisfy waits for `key` (rule S9), until this is destroyed.
class Provides : public ListHook<struct ProvidesTag> {
 public:
  explicit Provides(const WaitKey& key);
  const WaitKey& key() const { return key_; }

 private:
  WaitKey key_;
};

// What a simulation allows a runnable to ask of the real system while it runs: core's own code nothing.
enum class SystemPolicy : std::uint8_t { kForbidden, kAllowed };

// Whatever a scheduler can run: a fiber now, perhaps a parked thread later (rule S18).
class Runnable : public ListHook<struct ReadyTag> {
 public:
  virtual ~Runnable() = default;
  virtual std::uint64_t lineage() const = 0;
  virtual SystemPolicy system_policy() const { return SystemPolicy::kForbidden; }

 protected:
  friend class Scheduler;
  virtual void run() = 0;  // until it waits or ends
};

class Fiber final : public Ambient,
                    public Runnable,
                    public ListHook<struct AliveTag>,
                    public ListHook<struct ScopeTag> {
 public:
  enum class State : std::uint8_t { kReady, kRunning, kBlocked, kFinished };

  // The fiber that runs now. Aborts where none does.
  static Fiber& current();
  static Fiber* current_or_null();

  State state() const { return state_; }
  FiberName fiber_name() const { return name_; }
  std::string path() const;  // "connection-3/request-7"
  // A number made of the fiber's name and its parents': it does not depend on what else runs (rule S10).
  std::uint64_t lineage() const override { return lineage_; }
  std::uint64_t resumes() const { return resumes_; }
  const Waiter* waiter() const { return waiter_; }
  FiberScope& scope() const { return *scope_; }
  Scheduler& scheduler() const { return *scheduler_; }
  const IntrusiveList<Provides, ProvidesTag>& provides() const { return provides_; }
  std::uint32_t no_suspend_depth() const { return no_suspend_; }

 private:
  friend class FiberScope;
  friend class NoSuspend;
  friend class Provides;
  friend class Scheduler;
  friend class Waiter;

  Fiber() { is_fiber = true; }
  void run() override;

  Scheduler* scheduler_ = nullptr;
  FiberScope* scope_ = nullptr;
  Waiter* waiter_ = nullptr;
  void (*body_)(void*) = nullptr;     // runs the closure, then destroys it
  void (*discard_)(void*) = nullptr;  // destroys the closure without running it
  void* closure_ = nullptr;
  Context machine_;
  StackMemory stack_;
  FiberName name_{"", 0};
  FiberName parent_{"", 0};
  std::uint64_t lineage_ = 0;
  std::uint64_t resumes_ = 0;
  std::uint32_t no_suspend_ = 0;
  State state_ = State::kReady;
  bool started_ = false;
  IntrusiveList<Provides, ProvidesTag> provides_;
};

// While one lives, the current fiber must not suspend (rule S8; asserted in every build).
class NoSuspend {
 public:
  NoSuspend();
  ~NoSuspend();
  NoSuspend(const NoSuspend&) = delete;
  NoSuspend& operator=(const NoSuspend&) = delete;

 private:
  Fiber* fiber_;
};

// What unwinds a fiber of a node that dies (rule S4). Only the fiber's entry catches it, and
// FiberScope::cancel_and_join_in_destructor(), until the fiber's next wait.
struct FiberKilled {};

}  // namespace chronik::fiber
