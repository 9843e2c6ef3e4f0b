#include "core/raft/single_voter.h"

#include <fmt/core.h>

#include "core/raft/stored_values.h"

namespace chronik::raft {

namespace {
constexpr std::size_t kEntriesPerScan = 256;
}  // namespace

SingleVoter::SingleVoter(KeyValueStore& store, Process& process, StateMachine& machine, NodeId self,
                         const SingleVoterOptions& options)
    : store_(store), process_(process), machine_(machine), self_(self), options_(options) {
  CHECK_GT(options.entries_per_snapshot, 0u);
  CHECK_GT(options.proposals_max, 0u);
}

Status SingleVoter::open(const Deadline& deadline) {
  CHECK(!opened_);
  RETURN_IF_ERROR(read_snapshot(deadline));
  ASSIGN_OR_RETURN(const std::unique_ptr<StoreSnapshot> stored, store_.snapshot(deadline));
  RETURN_IF_ERROR(read_entries(*stored, deadline));
  ASSIGN_OR_RETURN(const std::optional<std::string> hard_state, store_.get(kHardStateKey, deadline));
  if (!hard_state.has_value() && applied_ > LogIndex(0)) {
    return absl::DataLossError("the metadata log has entries but no hard state");
  }
  if (hard_state.has_value()) {
    ASSIGN_OR_RETURN(term_, decode_hard_state(*hard_state));
  }
  if (term_ < applied_term_) {
    return absl::DataLossError(
        fmt::format("the metadata log's hard state is of term {}, an entry of {}", term_, applied_term_));
  }
  term_ = term_.next();
  last_proposed_ = applied_;
  opened_ = true;
  return ok();
}

Status SingleVoter::read_snapshot(const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::optional<std::string> value, store_.get(kSnapshotKey, deadline));
  if (!value.has_value()) {
    return ok();
  }
  ASSIGN_OR_RETURN(const StoredSnapshot snapshot, decode_snapshot(*value));
  RETURN_IF_ERROR(machine_.install_snapshot(snapshot.last, snapshot.state.bytes()));
  snapshot_last_ = snapshot.last;
  applied_ = snapshot.last;
  applied_term_ = snapshot.term;
  return ok();
}

Status SingleVoter::read_entries(StoreSnapshot& store, const Deadline& deadline) {
  std::string from = entry_key(LogIndex(0));
  for (;;) {
    ASSIGN_OR_RETURN(const std::vector<StoreEntry> stored,
                     store.scan(from, entry_keys_end(), kEntriesPerScan, deadline));
    if (stored.empty()) {
      return ok();
    }
    RETURN_IF_ERROR(apply_stored(stored));
    from = stored.back().first + '\0';
  }
}

Status SingleVoter::apply_stored(const std::vector<StoreEntry>& stored) {
  std::vector<Entry> entries;
  LogIndex last = applied_;
  for (const auto& [key, value] : stored) {
    if (key != entry_key(last.next())) {
      return absl::DataLossError(fmt::format("the metadata log has no entry {}", last.next()));
    }
    ASSIGN_OR_RETURN(Entry entry, decode_entry(last.next(), value));
    if (entry.term < applied_term_) {
      return absl::DataLossError(fmt::format("the term of the metadata log falls at entry {}", entry.index));
    }
    last = entry.index;
    applied_term_ = entry.term;
    entries.push_back(std::move(entry));
  }
  RETURN_IF_ERROR(machine_.apply(entries));
  applied_ = last;
  return ok();
}

void SingleVoter::start(fiber::FiberScope& scope) {
  CHECK(opened_);
  scope.spawn({"metadata-log", 0}, [this] { run(); });
}

StatusOr<Proposed> SingleVoter::propose(Slice data) {
  CHECK(opened_);
  if (pending_.size() >= options_.proposals_max) {
    return absl::ResourceExhaustedError("too many proposals wait for the metadata log");
  }
  last_proposed_ = last_proposed_.next();
  const EntryKind kind = data.empty() ? EntryKind::kNothing : EntryKind::kCommand;
  pending_.push_back({.index = last_proposed_, .term = term_, .kind = kind, .data = std::move(data)});
  arrived_.notify_all();
  return Proposed{.index = last_proposed_, .term = term_};
}

StatusOr<LogIndex> SingleVoter::read_barrier(const Deadline&) {
  CHECK(opened_);
  return applied_;
}

void SingleVoter::run() {
  const WaitKey key{WaitKind::kMetadataIndex, 0, 0, 0};
  for (;;) {
    while (pending_.empty()) {
      if (!arrived_.wait(key, fiber::for_ever()).ok()) {
        return;
      }
    }
    const std::vector<Entry> batch = take_batch();
    std::deque<fiber::Provides> provides;  // its members do not move
    for (const Entry& entry : batch) {
      provides.emplace_back(WaitKey{WaitKind::kMetadataIndex, static_cast<std::uint64_t>(entry.index.value()), 0, 0});
    }
    if (!commit_entries(batch)) {
      return;
    }
    if (static_cast<std::uint64_t>(applied_ - snapshot_last_) >= options_.entries_per_snapshot && !commit_snapshot()) {
      return;
    }
  }
}

std::vector<Entry> SingleVoter::take_batch() {
  std::vector<Entry> batch;
  std::size_t bytes = 0;
  while (!pending_.empty() && (batch.empty() || bytes + pending_.front().data.size() <= options_.commit_bytes_max)) {
    bytes += pending_.front().data.size();
    batch.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  return batch;
}

bool SingleVoter::commit_entries(const std::vector<Entry>& entries) {
  StoreBatch batch;
  if (!term_durable_) {
    batch.put(kHardStateKey, encode_hard_state(term_));
  }
  for (const Entry& entry : entries) {
    batch.put(entry_key(entry.index), encode_entry(entry));
  }
  if (!commit(std::move(batch))) {
    return false;
  }
  term_durable_ = true;
  CHECK_EQ(entries.front().index, applied_.next());
  applied_ = entries.back().index;
  applied_term_ = entries.back().term;
  if (const Status status = machine_.apply(entries); !status.ok()) {
    process_.fatal(ExitStatus::kBug, fmt::format("a committed entry cannot be applied: {}", status.ToString()));
  }
  return true;
}

bool SingleVoter::commit_snapshot() {
  StoreBatch batch;
  batch.put(kSnapshotKey, encode_snapshot(applied_, applied_term_, machine_.take_snapshot()));
  batch.erase_range(entry_key(LogIndex(0)), entry_key(applied_.next()));
  const LogIndex last = applied_;
  if (!commit(std::move(batch))) {
    return false;
  }
  snapshot_last_ = last;
  return true;
}

// False: the node is dying. A commit that went wrong does not return.
bool SingleVoter::commit(StoreBatch batch) {
  const Deadline deadline(fiber::Scheduler::current().now() + options_.commit_timeout, Expiry::kPeer, never_cancelled_);
  const Status status = store_.commit(std::move(batch), /*durable=*/true, deadline);
  if (absl::IsAborted(status)) {
    return false;
  }
  if (!status.ok()) {
    process_.fatal(ExitStatus::kStoreFailed, fmt::format("a commit of the metadata log failed: {}", status.ToString()));
  }
  ++commits_;
  return true;
}

}  // namespace chronik::raft
