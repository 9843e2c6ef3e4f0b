// One follower's incremental fetch session (KIP-227) on the leader's shard: which partitions it fetches, from where,
// and which of them have something for it. A fetch costs what has changed, however many partitions there are.
//
// Requests of a session come in the order of their numbers. One is parked at most: the next one, which says where the
// follower is by now, ends its wait (rule R9). Records are given once: not again before the follower has said that it
// is behind them. Life: counted; a request that is being served holds it. A session that is closed() serves no more.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <memory>

#include "core/base/counted.h"
#include "core/log/log_key.h"
#include "core/replication/partition.h"

namespace chronik::replication {

// Where a follower is in one partition.
struct FetchPosition {
  LeaderEpoch leader_epoch;  // in which it follows
  Offset fetch_offset;
  LeaderEpoch last_fetched_epoch;
  Offset durable_end;
  std::int32_t bytes_max = 0;
};

class ReplicaSession final : public Counted {
 public:
  class Entry final : public PartitionWatch, public ListHook<struct ReadyTag> {
   public:
    Entry(ReplicaSession& session, Ref<Partition> partition);

    const FetchPosition& position() const { return position_; }
    Partition& partition() const { return *partition_; }
    const Ref<Partition>& held() const { return partition_; }
    // What it was answered: the follower must say something new before it is given more.
    void gave_records() { gave_ = Gave::kRecords; }
    void told_watermark(Offset told) { told_watermark_ = told; }

   private:
    friend class ReplicaSession;
    enum class Gave : std::uint8_t { kNothing, kRecords, kTrouble };
    void on_partition_news() override;
    void take(const FetchPosition& position);
    // Counts the position for the high watermark, once leader and follower are in the same epoch.
    void count_position();
    bool has_something() const;

    ReplicaSession& session_;
    Ref<Partition> partition_;
    FetchPosition position_;
    Gave gave_ = Gave::kNothing;
    bool counted_ = false;
    Offset told_watermark_{0};
  };

  ReplicaSession(std::int32_t id, NodeId node, BrokerEpoch broker_epoch)
      : id_(id), node_(node), broker_epoch_(broker_epoch) {}
  ~ReplicaSession();

  std::int32_t id() const { return id_; }
  NodeId node() const { return node_; }
  std::int32_t next_epoch() const { return next_epoch_; }

  // ---- a request: its positions, in order and without a suspension, then begin() ----
  void tell(Ref<Partition> partition, const FetchPosition& position);
  void forget(const log::LogKey& key);
  // Its number; whoever was parked is told.
  std::uint64_t begin();

  // Waits until all earlier requests have been served; end() must follow.
  Status enter(std::uint64_t number, const Deadline& deadline);
  void end(std::uint64_t number);
  // Waits until there is something to be told, a later request has come, or the deadline passes; then ok. High
  // watermarks alone are told a little later, many at a time.
  Status wait_for_news(std::uint64_t number, const Deadline& deadline);
  // The next partition with something for the follower, which is no longer listed. Null: there is none, or a later
  // request has come, which may have told other positions than this one asked from.
  Entry* next_ready(std::uint64_t number);
  // The partition's turn did not come, or brought an error: where it is still there.
  void give_later(const log::LogKey& key);
  void gave_trouble(const log::LogKey& key);
  // The partitions of which only the high watermark is news, for `tell`; none where a later request has come.
  template <typename Tell>
  void take_watermarks(std::uint64_t number, Tell tell) {
    if (newest_ != number) {
      return;
    }
    while (!watermarks_.empty()) {
      tell(watermarks_.pop_front());
    }
    watermarks_since_ = MonotonicTime::never();
  }

  void close();
  bool closed() const { return closed_; }
  std::size_t size() const { return entries_.size(); }

 private:
  void list(Entry& entry);
  void list_watermark(Entry& entry);

  std::int32_t id_;
  NodeId node_;
  BrokerEpoch broker_epoch_;
  std::int32_t next_epoch_ = 0;
  IntrusiveList<Entry, ReadyTag> ready_;
  IntrusiveList<Entry, ReadyTag> watermarks_;                     // an entry is in one of them at most
  absl::btree_map<log::LogKey, std::unique_ptr<Entry>> entries_;  // goes before them
  MonotonicTime watermarks_since_ = MonotonicTime::never();
  std::uint64_t newest_ = 0;
  std::uint64_t served_ = 0;
  bool closed_ = false;
  fiber::Event changed_;
};

// The sessions of a shard, one for each follower: a new one takes the place of the one before.
class ReplicaSessions {
 public:
  Ref<ReplicaSession> open(NodeId node, BrokerEpoch broker_epoch);
  // Null: there is none of that id.
  Ref<ReplicaSession> find(NodeId node, std::int32_t id) const;
  void close_all();

 private:
  std::int32_t next_id_ = 1;
  absl::btree_map<NodeId, Ref<ReplicaSession>> sessions_;
};

}  // namespace chronik::replication
