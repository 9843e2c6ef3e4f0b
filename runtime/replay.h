// Runs a shard again from its log, with no socket, disk or clock.
#pragma once

#include <string>

#include "core/ports/ports.h"
#include "runtime/logged_ports.h"
#include "runtime/shard_runtime.h"
#include "runtime/turn_log.h"

namespace chronik::runtime {

struct ReplayOutcome {
  bool finished = false;   // the main fiber came to its end, in the last turn of the log
  std::string divergence;  // where it did something else than the log says; empty where it did not
  std::uint64_t fingerprint = 0;
};

// `main`, `options` and `context` as when the log was recorded; the log is not changed. `stop`: what the main fiber was
// given as the shard's flag then.
ReplayOutcome replay_shard(TurnLog& log, ShardContext& context, const fiber::SchedulerOptions& options,
                           const MessageCodec* codec, StopFlag& stop, ShardRuntime::Main main);

}  // namespace chronik::runtime
