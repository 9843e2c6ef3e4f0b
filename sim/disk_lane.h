// Operations of simulated devices: they wait in a lane, take virtual time, and complete like those of helper threads.
//
// An operation owns what it uses until its real end, whoever still waits for it (rule S2). It carries itself out at the
// moment when its time is up; one that hangs keeps its helper until it is released. When its process dies, an operation
// that had begun happens as far as the death says, one that had not does not.
// Lifetime: a lane belongs to a port; operations that nobody waits for any more belong to their lane.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/ambient.h"
#include "core/base/intrusive_list.h"
#include "core/fiber/operation.h"
#include "core/fiber/wait.h"
#include "sim/device.h"
#include "sim/event_queue.h"
#include "sim/trace.h"

namespace chronik::sim {

class Story;

// What a device needs of its world. Everything is called outside every fiber but for record() and fault_fired().
class DeviceHost {
 public:
  virtual ~DeviceHost() = default;
  virtual EventId after(Duration delay, EventQueue::Callback callback) = 0;
  virtual void cancel(EventId event) = 0;
  virtual void complete(ShardId shard, OpNumber number, std::int64_t result) = 0;
  // Ends the process on this machine at once: its ports are detached and destroyed before this returns.
  virtual void kill(Death how) = 0;
  virtual void fault_fired(std::string_view kind) = 0;
  virtual void record(Record what, std::uint64_t a, std::uint64_t b, std::uint64_t c) = 0;
  virtual void fail(std::string_view checker, std::string_view message) = 0;
  // Who is to be told what happens, or null.
  virtual Story* story() const { return nullptr; }
};

class Lane;

class LaneOperation : public fiber::Operation,
                      public WaitDetail,
                      public ListHook<struct LiveTag>,
                      public ListHook<struct QueuedTag> {
 public:
  enum class Progress : std::uint8_t {
    kEnded,
    kHangs,  // until the lane's release_hung(); then it is carried out further
    kKills,  // its process dies now, as `how` says; what the operation leaves is done, and it holds no Slice
  };

 protected:
  friend class Lane;
  // Its time is up. Runs outside every fiber with its shard as the current one.
  virtual Progress carry_out(Death& how) = 0;
  // Its process dies; `begun`: it was no longer queued. Afterwards it holds no Slice.
  virtual void die(Death how, bool begun) = 0;
  // What the completion says; for the hash of the run.
  virtual std::int64_t result() const = 0;
  // How long it takes once begun.
  virtual Duration duration() = 0;

 private:
  void on_complete(std::int64_t result) override;

  Lane* lane_ = nullptr;
  fiber::Waiter* waiter_ = nullptr;
  EventId event_;
  std::uint64_t told_ = 0;  // its event in the story of the run
  bool begun_ = false;
  bool hangs_ = false;
  bool carried_out_ = false;  // the completion is on its way
  bool done_ = false;
  bool abandoned_ = false;
};

class Lane {
 public:
  // context: of the port's shard; outlives the lane.
  Lane(DeviceHost& host, ShardContext& context, std::uint32_t helpers);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Hands the operation over and waits. Ok: it was carried out, and is still the caller's. Otherwise it was taken, and
  // may still happen.
  template <typename Op>
  Status run(std::unique_ptr<Op>& operation, WaitKind kind, const Deadline& deadline) {
    Status status = run_operation(*operation, kind, deadline);
    if (!status.ok()) {
      abandon(std::unique_ptr<LaneOperation>(std::move(operation)));
    }
    return status;
  }

  void release_hung();
  // Lets what has begun happen as far as `how` says, in the order of submission; what is queued does not, but at an
  // exit.
  void detach(Death how);
  bool detached() const { return detached_; }
  std::size_t in_flight() const { return live_.count(); }
  DeviceHost& host() { return host_; }

 private:
  Status run_operation(LaneOperation& operation, WaitKind kind, const Deadline& deadline);
  void abandon(std::unique_ptr<LaneOperation> operation);
  void begin_next();
  void begin(LaneOperation& operation);
  void carry_out(LaneOperation& operation);
  void tell_end(const LaneOperation& operation, LaneOperation::Progress progress);

  DeviceHost& host_;
  Ambient ambient_;
  std::uint32_t helpers_free_;
  IntrusiveList<LaneOperation, LiveTag> live_;      // handed over, completion not delivered
  IntrusiveList<LaneOperation, QueuedTag> queued_;  // of these, not begun
  bool detached_ = false;
};

// Why a call must not even begin: the node dies, the wait was called off, or its time has passed.
Status cannot_begin(const Deadline& deadline);

}  // namespace chronik::sim
