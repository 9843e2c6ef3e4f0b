// One follower's incremental fetch session (KIP-227) on the leader's shard: which partitions it fetches, from where,
// and which of them have something for it. A fetch costs what has changed, however many partitions there are.
//
// Requests of a session come in the order of their numbers, and say where the follower is by now (rule R9). Two are
// parked at most: a third one ends the first one's wait. Records are given once, each answer going on where the last
// one ended: the connection keeps their order, and a follower that has lost some forgets the partition and tells of it
// anew. So what a follower says of its progress is what lets the leader send more, and one message each way carries
// both. What a replica that is not in sync lacks is read from files only as often as catch_up.h allows; it never holds
// up what is in memory. Life: counted; a request that is being served holds it. A session that is closed() serves no
// more.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <memory>

#include "core/base/counted.h"
#include "core/log/log_key.h"
#include "core/replication/catch_up.h"
#include "core/replication/partition.h"

namespace chronik::replication {

// Where a follower is in one partition.
struct FetchPosition {
  LeaderEpoch leader_epoch;  // in which it follows
  Offset fetch_offset;
  LeaderEpoch last_fetched_epoch;
  Offset durable_end;
  Offset log_start;
  std::int32_t bytes_max = 0;
};

class ReplicaSession final : public Counted {
 public:
  class Entry final : public PartitionWatch, public ListHook<struct ReadyTag> {
   public:
    Entry(ReplicaSession& session, Ref<Partition> partition);

    const FetchPosition& position() const { return position_; }
    Offset next() const { return next_; }           // to be given
    std::uint64_t since() const { return since_; }  // the request that told from where
    Partition& partition() const { return *partition_; }
    const Ref<Partition>& held() const { return partition_; }
    // Is being given what is from next() on, and knows this high watermark from the same answer.
    void give_records() { gave_ = Gave::kRecords; }
    void told_positions(Offset watermark, Offset log_start) {
      told_watermark_ = watermark;
      told_start_ = log_start;
    }

   private:
    friend class ReplicaSession;
    enum class Gave : std::uint8_t { kNothing, kRecords, kTrouble };
    void on_partition_news() override;
    void take(const FetchPosition& position, std::uint64_t request);
    // Counts the position for the high watermark, once leader and follower are in the same epoch.
    void count_position();
    bool has_something() const;
    bool may_be_told() const;
    bool is_behind() const;

    ReplicaSession& session_;
    Ref<Partition> partition_;
    FetchPosition position_;
    Offset next_;
    std::uint64_t since_ = 0;  // the request that told from where to give
    Gave gave_ = Gave::kNothing;
    bool counted_ = false;
    Offset told_watermark_{0};
    Offset told_start_{0};
  };

  // catch_up outlives it.
  ReplicaSession(std::int32_t id, NodeId node, BrokerEpoch broker_epoch, const CatchUp& catch_up)
      : id_(id), node_(node), broker_epoch_(broker_epoch), catch_up_(catch_up) {}
  ~ReplicaSession();

  std::int32_t id() const { return id_; }
  NodeId node() const { return node_; }
  std::int32_t next_epoch() const { return next_epoch_; }

  // ---- a request: its positions, in order and without a suspension, then begin() ----
  void tell(Ref<Partition> partition, const FetchPosition& position);
  void forget(const log::LogKey& key);
  // Its number; whoever was parked is told. at_once: it has its answer already, for which earlier ones must make way.
  std::uint64_t begin(bool at_once);

  // Waits until all earlier requests have been served; end() must follow.
  Status enter(std::uint64_t number, const Deadline& deadline);
  void end(std::uint64_t number);
  // Waits until there is something to be told, two later requests have come, or the deadline passes; then ok. High
  // watermarks alone are told a little later, many at a time.
  Status wait_for_news(std::uint64_t number, const Deadline& deadline);
  // The next partition with something for the follower, which is no longer listed; null: there is none. What a later
  // request asks for anew is not for this one's answer.
  Entry* next_ready(std::uint64_t number);
  // What a read from next() on has brought ends here.
  void gave_up_to(const log::LogKey& key, Offset from, Offset end);
  // The partition's turn did not come, or brought an error: where it is still there, and was not asked for anew.
  void give_later(const log::LogKey& key);
  void gave_trouble(const log::LogKey& key, std::uint64_t since);
  // The partitions of which only the high watermark is news, for `tell`.
  template <typename Tell>
  void take_watermarks(std::uint64_t number, Tell tell) {
    IntrusiveList<Entry, ReadyTag> later;
    while (!watermarks_.empty()) {
      Entry& entry = watermarks_.pop_front();
      if (entry.since_ > number) {
        later.push_back(entry);
      } else if (entry.may_be_told()) {
        tell(entry);
      }
    }
    while (!later.empty()) {
      watermarks_.push_back(later.pop_front());
    }
    watermarks_since_ = watermarks_.empty() ? MonotonicTime::never() : watermarks_since_;
  }

  void close();
  bool closed() const { return closed_; }

 private:
  void list(Entry& entry);
  void list_watermark(Entry& entry);
  bool may_catch_up() const;
  Entry* take_from(IntrusiveList<Entry, ReadyTag>& list, std::uint64_t number);

  std::int32_t id_;
  NodeId node_;
  BrokerEpoch broker_epoch_;
  const CatchUp& catch_up_;
  std::int32_t next_epoch_ = 0;
  IntrusiveList<Entry, ReadyTag> ready_;
  IntrusiveList<Entry, ReadyTag> behind_;                         // ready when a read may begin (catch_up.h)
  IntrusiveList<Entry, ReadyTag> watermarks_;                     // an entry is in one of them at most
  absl::btree_map<log::LogKey, std::unique_ptr<Entry>> entries_;  // goes before them
  MonotonicTime watermarks_since_ = MonotonicTime::never();
  std::uint64_t newest_ = 0;
  std::uint64_t served_ = 0;
  std::uint64_t hurried_ = 0;  // a request that does not wait, nor does any before it
  bool closed_ = false;
  fiber::Event changed_;
};

// The sessions of a shard, one for each follower: a new one takes the place of the one before.
class ReplicaSessions {
 public:
  explicit ReplicaSessions(CatchUp catch_up) : catch_up_(catch_up) {}
  // A read for one of them, which did not find everything in memory, took so long.
  void note_read(Duration took) { catch_up_.note(took, fiber::Scheduler::current().now()); }

  Ref<ReplicaSession> open(NodeId node, BrokerEpoch broker_epoch);
  // Null: there is none of that id.
  Ref<ReplicaSession> find(NodeId node, std::int32_t id) const;
  void close_all();

 private:
  CatchUp catch_up_;
  std::int32_t next_id_ = 1;
  absl::btree_map<NodeId, Ref<ReplicaSession>> sessions_;
};

}  // namespace chronik::replication
