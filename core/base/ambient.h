// The one ambient pointer (rule S6): who is running, on which shard, for which world.
//
// Log lines, CHECK and named points need to know the current fiber without having it handed to them. thread_local is
// banned in core; this file's pointer is the only exception, and the scan of the sources exempts ambient.cc by name. It
// is read through a noinline function, so that no compiler keeps the address of thread storage across a switch of
// fibers.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/ids.h"

namespace chronik {

class LogSink;
class Observer;
class PointStrategy;

// What a shard's world gives to all code that runs on it. Owned by whoever builds the shard; outlives its fibers.
struct ShardContext {
  ShardId shard = ShardId::none();  // home of every reference-counted object made here (rule S5)
  NodeId node = NodeId::none();     // for log lines
  LogSink* log = nullptr;           // null: log lines are dropped
  Observer* observer = nullptr;     // null in production (rule S15)
  PointStrategy* points = nullptr;  // null in production (core/base/sim_point.h)
  std::int64_t live_buffers = 0;    // of Slices made here that still live; bounded, and 0 when the shard is gone
  std::int64_t live_buffer_bytes = 0;
  std::string_view replay_line = {};  // how to repeat this run; empty in production
};

// What is running now. A fiber is one; the scheduler's own loop, and plain tests, are another.
struct Ambient {
  ShardContext* context = nullptr;
  std::string_view name = {};  // for people
  bool is_fiber = false;       // set by core/fiber alone, which may then downcast
};

// The current ambient, or null where nothing was installed (a tool, a static test).
[[gnu::noinline]] Ambient* ambient();

// Installs `next` and returns what was there. Called at every switch of fibers.
[[gnu::noinline]] Ambient* set_ambient(Ambient* next);

// The shard that runs now; ShardId::none() outside every shard.
ShardId current_shard();

// Installs an ambient for a block: a test, a tool, a thread's own loop.
class AmbientGuard {
 public:
  explicit AmbientGuard(Ambient& next) : previous_(set_ambient(&next)) {}
  ~AmbientGuard() { set_ambient(previous_); }
  AmbientGuard(const AmbientGuard&) = delete;
  AmbientGuard& operator=(const AmbientGuard&) = delete;

 private:
  Ambient* previous_;
};

}  // namespace chronik
