// What holds of one member after every step. What holds between members is checked where all of them can be seen: the
// tests and the simulator.
#include "core/raft/raft.h"

namespace chronik::raft {

std::vector<std::string> Raft::broken_invariants() const {
  std::vector<std::string> broken;
  const auto holds = [&broken](bool condition, const char* name) {
    if (!condition) {
      broken.emplace_back(name);
    }
  };
  holds(commit_ >= log_.snapshot_last(), "the commit index is at or above the snapshot");
  holds(commit_ <= log_.last(), "what is committed is in the log");
  holds(handed_out_ <= commit_, "only what is committed is applied");
  holds(durable_ <= log_.last(), "what is durable is in the log");
  holds(durable_ <= given_out_, "what is durable was written");
  holds(given_out_ <= log_.last(), "what is written is in the log");
  holds(log_.last_term() <= hard_.term, "no entry is of a later term");
  holds(agreed_ <= log_.last(), "what agrees with the leader is in the log");
  holds(told_ <= log_.last(), "what the leader was told is in the log");
  holds(persisted_ < next_number_, "only what was given out is durable");
  holds(snapshot_state_last_ >= log_.snapshot_last(), "the state for followers is not older than the log");
  holds(snapshot_state_last_ <= handed_out_, "the state for followers is of what was applied");
  if (role_ == Role::kLeader) {
    holds(hard_.vote == self(), "a leader has its own vote");
    holds(hard_state_durable(), "a leader's vote is durable");
    holds(log_.last() >= term_begins_, "a leader's term has an entry");
    holds(confirmed_round_ <= round_, "only rounds that began are confirmed");
    for (const auto& [member, progress] : progress_) {
      holds(progress.match <= log_.last(), "a member has no more than its leader");
      holds(progress.next > progress.match, "what is durable there is not sent again");
      holds(progress.in_flight.size() <= options_.appends_in_flight_max, "the window is bounded");
      holds(membership().contains(member), "progress is of members");
    }
  } else {
    holds(progress_.empty() && reads_.empty() && early_reads_.empty(), "only a leader keeps progress and reads");
  }
  LogIndex previous = log_.snapshot_last();
  Term term = log_.snapshot_term();
  for (LogIndex index = previous.next(); index <= log_.last(); index = index.next()) {
    const Entry& entry = log_.at(index);
    holds(entry.index == index && entry.term >= term, "indexes are dense and terms do not fall");
    term = entry.term;
  }
  return broken;
}

}  // namespace chronik::raft
