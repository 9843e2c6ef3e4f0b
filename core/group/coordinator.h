// The groups of one partition of __consumer_offsets, and the offsets that they have committed.
//
// A replicated state machine: a call goes in, records and answers come out. Whoever runs it appends the records to the
// partition in the order of the calls, and says of each commit whether it is durable or will never be. Nothing is
// answered, and no offset is told, before what it follows from is committed. Another replica that replays the records
// has the same groups, but for who waits.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/group/group.h"
#include "core/group/records.h"

namespace chronik::group {

using CommitId = std::uint64_t;  // of records that are appended together; 0: none

// Calls carry their time: the clock of waits, and the one that people read.
struct Moment {
  MonotonicTime time;
  WallTime wall;
};

struct OffsetsSettings {
  std::size_t metadata_max = 4096;                                 // offset.metadata.max.bytes
  std::int64_t retention_ms = std::int64_t{7} * 24 * 3600 * 1000;  // offsets.retention.minutes
};

struct PartitionName {
  std::string topic;
  PartitionId partition;
  friend auto operator<=>(const PartitionName&, const PartitionName&) = default;
};

struct KeyAndValue {
  Slice key;
  std::optional<Slice> value;  // none: what the key names is gone
};

// What a call came to.
struct Outcome {
  std::vector<KeyAndValue> records = {};  // to be appended together
  CommitId commit = 0;                    // what committed() or failed() will be told of them
  // To be given now: what follows from the records waits for their commit.
  std::vector<std::pair<Ticket, JoinAnswer>> joined = {};
  std::vector<std::pair<Ticket, SyncAnswer>> synced = {};
};

struct CommitCall {
  std::string group;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation = -1;
  std::vector<std::pair<PartitionName, OffsetValue>> offsets;
};

class Coordinator {
 public:
  struct Counts {
    std::int64_t groups = 0;
    std::int64_t members = 0;
    std::uint64_t generations = 0;  // begun
    std::uint64_t offsets = 0;      // committed
  };

  // Both outlive it.
  Coordinator(const Settings& settings, const OffsetsSettings& offsets) : settings_(settings), offsets_(offsets) {}

  // ---- members ----
  Outcome join(const std::string& group, const JoinCall& call, Ticket ticket, const Moment& now);
  Outcome sync(const std::string& group, const SyncCall& call, Ticket ticket, const Moment& now);
  protocol::ErrorCode heartbeat(const std::string& group, const std::string& member,
                                const std::optional<std::string>& instance, std::int32_t generation, const Moment& now);
  struct Leaving {
    std::string member_id;
    std::optional<std::string> instance_id;
  };
  Outcome leave(const std::string& group, const std::vector<Leaving>& members, const Moment& now,
                std::vector<protocol::ErrorCode>& errors);

  void abandon(const std::string& group, Ticket ticket, const Moment& now);

  // ---- offsets ----
  // `errors`: of each offset, in their order.
  Outcome commit_offsets(const CommitCall& call, const Moment& now, std::vector<protocol::ErrorCode>& errors);
  // Null: none was committed.
  const OffsetValue* committed_offset(const std::string& group, const PartitionName& partition) const;
  std::vector<std::pair<PartitionName, OffsetValue>> committed_offsets(const std::string& group) const;
  // kGroupSubscribedToTopic, kGroupIdNotFound or kNonEmptyGroup.
  Outcome delete_offsets(const std::string& group, const std::vector<PartitionName>& partitions,
                         std::vector<protocol::ErrorCode>& errors);

  // A topic is gone, and what groups have committed for it: of each group that has. What is missed, since it fails or
  // nobody is here to be told, expire_offsets() finds.
  std::vector<Outcome> forget_topic(const std::string& topic);

  // ---- groups ----
  const Group* find(const std::string& group) const;
  std::vector<const Group*> groups() const;
  Counts counts() const;
  // kGroupIdNotFound, kNonEmptyGroup.
  Outcome delete_group(const std::string& group, protocol::ErrorCode& error);

  // ---- time ----
  MonotonicTime next_deadline() const;  // never: nothing to be done by time
  Outcome pass(const Moment& now);
  // Of all groups: Group::begin_times_anew().
  void begin_times_anew(MonotonicTime now);
  // Forgets offsets that nobody has used for their retention, or whose topics are gone, and groups that have neither
  // members nor offsets: of one group, and of the next when asked again. No commit: all were looked at.
  // topic_is_gone: the id is zero where it was not recorded.
  using TopicIsGone = absl::FunctionRef<bool(const std::string& topic, const Uuid& id)>;
  enum class EmptyGroups : std::uint8_t { kStay, kGo };
  Outcome expire_offsets(const Moment& now, TopicIsGone topic_is_gone, EmptyGroups empty_groups = EmptyGroups::kGo);

  // ---- the log ----
  Outcome committed(CommitId commit, const Moment& now);
  Outcome failed(CommitId commit, protocol::ErrorCode error, const Moment& now);
  // kInvalidArgument: what cannot be read is a record of another kind, or damaged; nothing has changed.
  Status replay(ByteSpan key, std::optional<ByteSpan> value, const Moment& now);
  // The partition is led elsewhere: everybody who waits is told. Nothing may be called any more.
  Outcome resign(protocol::ErrorCode error);

 private:
  struct Entry {
    Group group;
    absl::btree_map<PartitionName, OffsetValue> offsets;           // committed
    absl::btree_map<PartitionName, std::size_t> uncommitted = {};  // how many changes are on their way
    MonotonicTime deadline = MonotonicTime::never();               // as in deadlines_
    std::size_t commits = 0;                                       // in pending_
    std::int64_t empty_since_ms = -1;  // wall clock; of a group that had members; -1: it has some, or never had
    std::size_t members = 0;           // as counted
    std::int32_t generation = 0;       // as counted
  };
  // What waits for records.
  struct Pending {
    std::string group;
    std::optional<std::int32_t> generation;  // of the group's record
    bool deletes = false;                    // the whole group
    std::vector<std::pair<PartitionName, std::optional<OffsetValue>>> offsets;
    std::vector<std::pair<Ticket, JoinAnswer>> joined;
    std::vector<std::pair<Ticket, SyncAnswer>> synced;
  };
  Entry* entry(const std::string& group);
  // With an offset that is committed, or on its way.
  static absl::btree_set<PartitionName> partitions_of(const Entry& entry);
  // After each change of a group.
  void follow(Entry& entry);
  void schedule(Entry& entry);
  Entry& make_entry(const std::string& group);
  Outcome settle(Entry& entry, Effects effects, const Moment& now);
  void write_offset(Entry& entry, const PartitionName& partition, std::optional<OffsetValue> value, Outcome& outcome,
                    Pending& pending);
  Outcome begin(Outcome outcome, Pending pending);
  void forget_if_unused(Entry& entry);
  // Which of its offsets are to go now.
  std::vector<PartitionName> expired_of(const Entry& entry, const Moment& now, TopicIsGone topic_is_gone) const;

  const Settings& settings_;
  const OffsetsSettings& offsets_;
  absl::btree_map<std::string, Entry> entries_;
  absl::btree_set<std::pair<MonotonicTime, std::string>> deadlines_;  // of groups that have one
  absl::btree_map<CommitId, Pending> pending_;
  std::optional<std::string> expired_to_;  // the group that was looked at last; none: a round begins
  CommitId last_commit_ = 0;
  Counts counts_;
};

}  // namespace chronik::group
