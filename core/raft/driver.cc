#include "core/raft/driver.h"

#include <fmt/core.h>

#include <deque>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/mix.h"
#include "core/base/sim_point.h"
#include "core/raft/raft_store.h"

namespace chronik::raft {

namespace {

constexpr std::size_t kCommandBytesMax = 4 << 20;  // well below what a connection carries as one
constexpr std::size_t kRemoteReadsMax = 1024;
constexpr Duration kReplyPatience = Duration::seconds(1);
constexpr Duration kFirstElection = Duration::milliseconds(50);
constexpr WaitKey kWorkKey{WaitKind::kWork, 0, 0, 0};

WaitKey index_key(LogIndex index) {
  return {WaitKind::kMetadataIndex, static_cast<std::uint64_t>(index.value()), 0, 0};
}

}  // namespace

// Among the reads for as long as it lives, however its fiber leaves.
class Driver::ReadUnderWay {
 public:
  ReadUnderWay(Driver& driver, Read& read) : driver_(driver), context_(driver.next_read_++) {
    driver_.reads_.emplace(context_, &read);
  }
  ~ReadUnderWay() { driver_.reads_.erase(context_); }
  ReadUnderWay(const ReadUnderWay&) = delete;
  ReadUnderWay& operator=(const ReadUnderWay&) = delete;
  std::uint64_t context() const { return context_; }

 private:
  Driver& driver_;
  std::uint64_t context_;
};

Driver::Driver(KeyValueStore& store, Process& process, StateMachine& machine, Peers* peers,
               const DriverOptions& options)
    : store_(store),
      process_(process),
      machine_(machine),
      peers_(peers),
      options_(options),
      next_read_(mix(options.raft.seed, 1)) {
  CHECK_GT(options.entries_per_snapshot, 0u);
  CHECK_GT(options.steps_per_check, 0u);
}

Status Driver::open(const Membership& first, const Deadline& deadline) {
  CHECK(!raft_.has_value());
  ASSIGN_OR_RETURN(StoredRaft stored, load_raft(store_, first, deadline));
  const Snapshot& snapshot = stored.snapshot;
  if (snapshot.last > LogIndex(0)) {
    RETURN_IF_ERROR(machine_.install_snapshot(snapshot.last, snapshot.state.bytes()));
  }
  applied_ = snapshot_last_ = snapshot.last;
  const bool begins = stored.hard.term == Term(0) && snapshot.last == LogIndex(0) && stored.entries.empty();
  raft_.emplace(options_.raft, std::move(stored), fiber::Scheduler::current().now());
  if (begins && raft_->membership().voters.front() == raft_->self()) {
    raft_->hurry(kFirstElection);  // the others have just been heard of, and begin at the same time
  }
  return ok();
}

void Driver::start(fiber::FiberScope& scope) {
  CHECK(raft_.has_value());
  scope.spawn({"raft", 0}, [this] { run(); });
  scope.spawn({"raft-store", 0}, [this] { write_for_ever(); });
  scope.spawn({"raft-watch", 0}, [this] { time_applies(); });
}

// ---- in ----

void Driver::tick() { raft_->tick(fiber::Scheduler::current().now()); }

void Driver::wake() {
  input_ = true;
  woken_.notify_all();
}

void Driver::receive(NodeId from, const PeerMessage& message) {
  tick();
  heard_[from] = fiber::Scheduler::current().now();
  // What is not Raft's own does not say of which directory it is, and nobody else looks.
  const bool of_a_member = membership().find(from) != nullptr;
  if (const auto* raft = std::get_if<Message>(&message)) {
    on_message(from, *raft);
  } else if (const auto* proposal = std::get_if<ProposalForLeader>(&message); proposal != nullptr && of_a_member) {
    on_proposal(from, *proposal);
  } else if (const auto* question = std::get_if<ReadQuestion>(&message); question != nullptr && of_a_member) {
    on_question(from, *question);
  } else if (const auto* reply = std::get_if<ReadReply>(&message)) {
    on_read(reply->context, reply->index);
  } else if (const auto* sign = std::get_if<SignOfLife>(&message);
             sign != nullptr && of_a_member && leadership().here) {
    machine_.on_sign_of_life(from, sign->said.bytes());
  }
  wake();
}

void Driver::note_gone(NodeId node) {
  tick();
  raft_->note_gone(node);
  machine_.on_node_gone(node);
  wake();
}

// Whoever proposed hears of it by its being applied, and proposes again where it is not.
void Driver::on_proposal(NodeId from, const ProposalForLeader& proposal) {
  Status taken = machine_.check_command(from, proposal.command.bytes());
  if (taken.ok() && proposal.command.size() > kCommandBytesMax) {
    taken = absl::InvalidArgumentError("it is too long");
  }
  if (taken.ok()) {
    taken = raft_->propose(proposal.command).status();
  }
  if (!taken.ok() && !absl::IsFailedPrecondition(taken)) {
    log_warn("raft: forwarded proposal refused", field("node", from), field("why", taken.ToString()));
  }
}

void Driver::on_question(NodeId from, const ReadQuestion& question) {
  if (peers_ == nullptr) {
    return;
  }
  if (remote_reads_.size() >= kRemoteReadsMax || !raft_->read(next_read_).ok()) {
    return peers_->send(from, ReadReply{.context = question.context, .index = std::nullopt});
  }
  remote_reads_[next_read_++] = {.node = from, .context = question.context};
}

void Driver::on_read(std::uint64_t context, std::optional<LogIndex> index) {
  if (const auto found = reads_.find(context); found != reads_.end()) {
    found->second->answered = true;
    found->second->index = index;
    found->second->done.notify_all();
  }
}

void Driver::on_message(NodeId from, const Message& message) {
  const std::string_view wrong =
      message.from.node == from ? raft_->defect_of(message) : "it is said to be another node's";
  if (!wrong.empty()) {
    log_warn("raft: message dropped", field("node", from), field("term", message.term), field("why", wrong));
    return;
  }
  raft_->step(message);
  sign_due_ = sign_due_ || leadership().leader == from;
}

// Once for a heartbeat, however many appends come in between.
void Driver::give_sign_of_life() {
  const MonotonicTime now = fiber::Scheduler::current().now();
  const Leadership leadership = raft_->leadership();
  if (!leadership.here && leadership.leader != NodeId::none() && now - sign_given_ >= options_.raft.heartbeat / 2) {
    sign_given_ = now;
    peers_->send(leadership.leader, SignOfLife{Slice::copy_of(machine_.own_sign_of_life())});
  }
}

void Driver::hand_over() {
  tick();
  const Member* best = nullptr;
  LogIndex most{0};
  for (const auto& [member, progress] : raft_->progress()) {
    if (member != raft_->self() && raft_->membership().is_voter(member) && progress.match >= most) {
      best = &member;
      most = progress.match;
    }
  }
  if (best != nullptr && raft_->leadership().here && raft_->transfer_to(*best).ok()) {
    wake();
  }
}

MonotonicTime Driver::last_heard(NodeId node) const {
  const auto found = heard_.find(node);
  return found == heard_.end() ? MonotonicTime() : found->second;
}

StatusOr<Proposed> Driver::propose(Slice data) {
  if (data.size() > kCommandBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("a change of {} bytes: the metadata log takes at most {}", data.size(), kCommandBytesMax));
  }
  tick();
  const Leadership leadership = raft_->leadership();
  if (!leadership.here && leadership.leader != NodeId::none() && peers_ != nullptr) {
    peers_->send(leadership.leader, ProposalForLeader{std::move(data)});
    return Proposed{.index = LogIndex(0), .term = leadership.term};
  }
  StatusOr<Proposed> proposed = raft_->propose(std::move(data));
  wake();
  return proposed;
}

StatusOr<LogIndex> Driver::read_barrier(const Deadline& deadline) {
  tick();
  Read read;
  const ReadUnderWay under_way(*this, read);
  const Leadership leadership = raft_->leadership();
  Deadline patience = deadline;
  if (!leadership.here && leadership.leader != NodeId::none() && peers_ != nullptr) {
    peers_->send(leadership.leader, ReadQuestion{under_way.context()});
    patience = deadline.no_later_than(fiber::Scheduler::current().now() + kReplyPatience, Expiry::kPeer);
  } else {
    RETURN_IF_ERROR(raft_->read(under_way.context()));
  }
  wake();
  while (!read.answered) {
    const Status waited = read.done.wait(index_key(raft_->commit().next()), patience);
    if (absl::IsDeadlineExceeded(waited) && patience.at() < deadline.at()) {
      return absl::UnavailableError("raft: the leader does not answer");
    }
    RETURN_IF_ERROR(waited);
  }
  if (!read.index.has_value()) {
    return absl::FailedPreconditionError("raft: no longer the leader");
  }
  return *read.index;
}

// ---- out ----

void Driver::run() {
  const fiber::Provides provides({WaitKind::kMetadataIndex, kAnyNumber, 0, 0});
  for (;;) {
    tick();
    carry_out();
    if (std::exchange(sign_due_, false)) {
      give_sign_of_life();
    }
    const MonotonicTime next = raft_->next_tick();
    while (!input_ && fiber::Scheduler::current().now() < next) {
      const Deadline deadline = fiber::for_ever().no_later_than(next, Expiry::kNormal);
      const Status woken = woken_.wait(kWorkKey, deadline);
      if (!woken.ok() && !absl::IsDeadlineExceeded(woken)) {
        return;
      }
    }
  }
}

void Driver::carry_out() {
  for (;;) {
    input_ = false;
    tell_leadership();
    promote_learners();
    tell_group();
    Output output = raft_->take_output();
    if (output.empty()) {
      return;
    }
    if (++steps_ % options_.steps_per_check == 0) {
      check_invariants();
    }
    if (output.persist.has_value()) {
      write(*output.persist);
    }
    for (const Message& message : output.messages) {
      CHECK(peers_ != nullptr);
      peers_->send(message.to.node, message);
    }
    if (output.install.has_value()) {
      install(*output.install);
    }
    if (!output.committed.empty()) {
      apply(output.committed);
    }
    for (const ReadReady& ready : output.reads) {
      if (const auto remote = remote_reads_.find(ready.context); remote != remote_reads_.end()) {
        peers_->send(remote->second.node, ReadReply{.context = remote->second.context, .index = ready.index});
        remote_reads_.erase(remote);
      } else {
        on_read(ready.context, ready.index);
      }
    }
  }
}

void Driver::check_invariants() {
  for (const std::string& broken : raft_->broken_invariants()) {
    process_.fatal(ExitStatus::kBug, fmt::format("raft: it does not hold that {}", broken));
  }
}

void Driver::tell_leadership() {
  if (const Leadership now = raft_->leadership(); now != told_) {
    told_ = now;
    machine_.on_leadership(now);
    if (peers_ != nullptr) {
      peers_->on_group_change();
    }
  }
}

void Driver::tell_group() {
  if (peers_ != nullptr && membership() != told_members_) {
    told_members_ = membership();
    peers_->on_group_change();
  }
}

void Driver::apply(const std::vector<Entry>& committed) {
  CHECK_EQ(committed.front().index, applied_.next());
  applied_ = committed.back().index;
  sim_point("raft.before_apply");
  note_applying();
  if (const Status status = machine_.apply(committed); !status.ok()) {
    process_.fatal(ExitStatus::kBug, fmt::format("a committed entry cannot be applied: {}", status.ToString()));
  }
  if (!snapshot_under_way_ && static_cast<std::uint64_t>(applied_ - snapshot_last_) >= options_.entries_per_snapshot) {
    take_snapshot();
  }
}

void Driver::install(const Snapshot& snapshot) {
  CHECK_GT(snapshot.last, applied_);
  sim_point("raft.before_install");
  note_applying();
  applied_ = snapshot_last_ = snapshot.last;
  if (const Status status = machine_.install_snapshot(snapshot.last, snapshot.state.bytes()); !status.ok()) {
    process_.fatal(ExitStatus::kBug, fmt::format("a leader's snapshot cannot be installed: {}", status.ToString()));
  }
}

void Driver::note_applying() {
  if (!applying_since_.has_value()) {
    applying_since_ = fiber::Scheduler::current().now();
    applying_.notify_all();
  }
}

// The clock is read once a turn, and applying does not suspend: the turn in which it happened has taken at least as
// long as it, and ended before a timer that was set in it is due.
void Driver::time_applies() {
  constexpr Duration kNextTurn = Duration::nanoseconds(1);  // rounded up to the timers' granularity
  for (;;) {
    while (!applying_since_.has_value()) {
      if (!applying_.wait(kWorkKey, fiber::for_ever()).ok()) {
        return;
      }
    }
    if (!fiber::sleep(kNextTurn).ok()) {
      return;
    }
    apply_duration_.record(fiber::Scheduler::current().now() - *std::exchange(applying_since_, std::nullopt));
  }
}

void Driver::register_metrics(MetricsRegistry& registry) const {
  registry.add("raft_apply_duration", "Turns of the loop in which committed changes of metadata came into force",
               apply_duration_, MetricsRegistry::Unit::kSeconds);
}

// ---- the store ----

void Driver::write(const Persist& persist) {
  put_persist(writes_.batch, persist);
  writes_.persist = persist.number;
  if (persist.snapshot.has_value()) {
    writes_.snapshot.reset();  // older
  }
  if (!persist.entries.empty()) {
    const LogIndex first = persist.entries.front().index;
    writes_.first = writes_.first == LogIndex(0) ? first : std::min(writes_.first, first);
    writes_.last = persist.entries.back().index;
  }
  to_write_.notify_all();
}

void Driver::take_snapshot() {
  const RaftLog& log = raft_->log();
  Snapshot snapshot{.last = applied_,
                    .last_term = *log.term_at(applied_),
                    .membership = log.membership_at(applied_),
                    .state = Slice::copy_of(machine_.take_snapshot())};
  put_snapshot(writes_.batch, snapshot);
  sim_point("raft.snapshot_taken");
  writes_.snapshot = std::move(snapshot);
  snapshot_under_way_ = true;
  to_write_.notify_all();
}

void Driver::write_for_ever() {
  for (;;) {
    while (writes_.empty()) {
      if (!to_write_.wait(kWorkKey, fiber::for_ever()).ok()) {
        return;
      }
    }
    Writes writes = std::exchange(writes_, {});
    std::deque<fiber::Provides> provides;  // its members do not move
    for (LogIndex index = writes.first; index > LogIndex(0) && index <= writes.last; index = index.next()) {
      provides.emplace_back(index_key(index));
    }
    if (!commit(std::move(writes.batch))) {
      return;
    }
    tick();
    if (writes.persist > 0) {
      raft_->persisted(writes.persist);
    }
    if (writes.snapshot.has_value()) {
      snapshot_last_ = std::max(snapshot_last_, writes.snapshot->last);
      raft_->compact(writes.snapshot->last, std::move(writes.snapshot->state), options_.entries_kept);
    }
    snapshot_under_way_ = writes_.snapshot.has_value();
    wake();
  }
}

// False: the node is dying. A commit that went wrong does not return.
bool Driver::commit(StoreBatch batch) {
  const Deadline deadline(fiber::Scheduler::current().now() + options_.commit_timeout, Expiry::kPeer, never_cancelled_);
  sim_pause("raft.before_commit");
  const Status status = store_.commit(std::move(batch), /*durable=*/true, deadline);
  if (absl::IsAborted(status)) {
    return false;
  }
  if (!status.ok()) {
    process_.fatal(ExitStatus::kStoreFailed, fmt::format("a commit of the metadata log failed: {}", status.ToString()));
  }
  ++commits_;
  sim_pause("raft.after_commit");
  return true;
}

}  // namespace chronik::raft
