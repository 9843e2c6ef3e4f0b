#include "core/raft/raft_store.h"

#include <fmt/core.h>

#include <utility>

#include "core/raft/stored_values.h"

namespace chronik::raft {

namespace {

constexpr std::size_t kEntriesPerScan = 256;

StatusOr<std::vector<Entry>> load_entries(KeyValueStore& store, LogIndex after, const Deadline& deadline) {
  ASSIGN_OR_RETURN(const std::unique_ptr<StoreSnapshot> stored, store.snapshot(deadline));
  std::vector<Entry> entries;
  std::string from = entry_key(LogIndex(0));
  for (;;) {
    ASSIGN_OR_RETURN(const std::vector<StoreEntry> found,
                     stored->scan(from, entry_keys_end(), kEntriesPerScan, deadline));
    for (const auto& [key, value] : found) {
      const LogIndex index = (entries.empty() ? after : entries.back().index).next();
      if (key != entry_key(index)) {
        return absl::DataLossError(fmt::format("the metadata log has no entry {}", index));
      }
      ASSIGN_OR_RETURN(Entry entry, decode_entry(index, value));
      entries.push_back(std::move(entry));
    }
    if (found.empty()) {
      return entries;
    }
    from = found.back().first + '\0';
  }
}

// What Raft takes for granted of its own disk.
Status check_terms(const StoredRaft& stored) {
  Term last = stored.snapshot.last_term;
  for (const Entry& entry : stored.entries) {
    if (entry.term < last) {
      return absl::DataLossError(fmt::format("the term of the metadata log falls at entry {}", entry.index));
    }
    last = entry.term;
  }
  if (stored.hard.term < last) {
    return absl::DataLossError(
        fmt::format("the metadata log's hard state is of term {}, an entry of {}", stored.hard.term, last));
  }
  return ok();
}

}  // namespace

StatusOr<StoredRaft> load_raft(KeyValueStore& store, const Membership& first, const Deadline& deadline) {
  StoredRaft stored;
  ASSIGN_OR_RETURN(const std::optional<std::string> snapshot, store.get(kSnapshotKey, deadline));
  if (snapshot.has_value()) {
    ASSIGN_OR_RETURN(stored.snapshot, decode_snapshot(*snapshot, first));
  } else {
    stored.snapshot.membership = first;
  }
  ASSIGN_OR_RETURN(stored.entries, load_entries(store, stored.snapshot.last, deadline));
  ASSIGN_OR_RETURN(const std::optional<std::string> hard, store.get(kHardStateKey, deadline));
  if (hard.has_value()) {
    ASSIGN_OR_RETURN(stored.hard, decode_hard_state(*hard));
  } else if (stored.snapshot.last > LogIndex(0) || !stored.entries.empty()) {
    return absl::DataLossError("the metadata log has entries but no hard state");
  }
  RETURN_IF_ERROR(check_terms(stored));
  if (!snapshot.has_value()) {
    // Who the members are is known before any of them votes.
    StoreBatch batch;
    batch.put(kSnapshotKey, encode_snapshot(stored.snapshot));
    RETURN_IF_ERROR(store.commit(std::move(batch), /*durable=*/true, deadline));
  }
  return stored;
}

void put_persist(StoreBatch& batch, const Persist& persist) {
  if (persist.hard.has_value()) {
    batch.put(kHardStateKey, encode_hard_state(*persist.hard));
  }
  if (persist.snapshot.has_value()) {
    batch.put(kSnapshotKey, encode_snapshot(*persist.snapshot));
    batch.erase_range(entry_key(LogIndex(0)), entry_keys_end());
  }
  if (!persist.entries.empty()) {
    batch.erase_range(entry_key(persist.entries.front().index), entry_keys_end());
  }
  for (const Entry& entry : persist.entries) {
    batch.put(entry_key(entry.index), encode_entry(entry));
  }
}

void put_snapshot(StoreBatch& batch, const Snapshot& snapshot) {
  batch.put(kSnapshotKey, encode_snapshot(snapshot));
  batch.erase_range(entry_key(LogIndex(0)), entry_key(snapshot.last.next()));
}

}  // namespace chronik::raft
