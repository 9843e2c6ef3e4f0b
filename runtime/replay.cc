#include "runtime/replay.h"

#include <utility>

namespace chronik::runtime {

ReplayOutcome replay_shard(TurnLog& log, ShardContext& context, const fiber::SchedulerOptions& options,
                           const MessageCodec* codec, StopFlag& stop, ShardRuntime::Main main) {
  Ambient ambient{.context = &context, .name = "replay"};
  const AmbientGuard guard(ambient);
  ReplayOutcome outcome;
  LogSession session(log, LogSession::Mode::kReplay);
  LoggedPorts logged(session, nullptr, codec);
  MappedStacks stacks;
  fiber::Scheduler scheduler(context, stacks, options, nullptr, &session);
  fiber::FiberScope root(scheduler, scheduler.root_cancel());
  stop.listen(scheduler);
  std::size_t turn = 0;
  root.spawn({"main"}, [&] {
    ShardRuntime::be_main(logged.ports(), main, ShardRuntime::Ending::kJoin,
                          [&] { outcome.finished = turn + 1 == log.turns.size(); });
  });
  for (; turn < log.turns.size() && session.divergence().empty(); ++turn) {
    scheduler.run_turn(log.turns[turn].now, log.turns[turn].batch);
  }
  outcome.fingerprint = session.fingerprint();
  outcome.divergence = session.divergence();
  if (scheduler.fibers() > 0) {
    scheduler.kill_all();
  }
  return outcome;
}

}  // namespace chronik::runtime
