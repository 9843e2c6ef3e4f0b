// Follows one leader: fetches what it has for all partitions of this shard that it leads (rule R9).
//
// One connection, one incremental fetch session, a few requests in flight: at least one is parked at the leader, and
// the others say how far this replica is durable meanwhile. Records are appended in the order of the answers. What goes
// wrong with one partition is tried again after a pause; what goes wrong with the session, with a new one. Lifetime:
// made within a fiber; run() ends with its scope.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/base/intrusive_list.h"
#include "core/client/client.h"
#include "core/cluster/metadata.h"
#include "core/log/log_manager.h"
#include "core/ports/network.h"
#include "core/protocol/messages/fetch.h"
#include "core/replication/metrics.h"
#include "core/replication/partition.h"

namespace chronik::replication {

struct FetchOptions {
  Duration wait = Duration::seconds(5);        // of a fetch that has nothing to bring
  std::int32_t bytes_max = 10 << 20;           // of an answer
  std::int32_t partition_bytes_max = 1 << 20;  // of one partition in it
  Duration request = Duration::seconds(5);     // for an answer, its wait apart
  Duration connect = Duration::seconds(1);
  Duration append = Duration::seconds(60);          // for room in the write-ahead log, and to cut a log
  Duration pause_min = Duration::milliseconds(10);  // after trouble
  Duration pause_max = Duration::milliseconds(500);
};

class Fetcher {
 public:
  // All outlive it.
  Fetcher(Network& network, cluster::Metadata& metadata, log::LogManager& logs, NodeId self, NodeId leader,
          const FetchOptions& options, ReplicationMetrics& metrics);
  ~Fetcher();
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  // The partition has this leader, perhaps in another epoch than before.
  void follow(const Ref<Partition>& partition);
  void forget(const log::LogKey& key);
  // A replica that is damaged when an epoch begins is not told of in it until follow_again() (rule R18).
  bool held_back(const log::LogKey& key) const;
  void follow_again(const log::LogKey& key);
  // The leader has registered anew: what leads to its earlier life leads nowhere.
  void connect_anew();
  // Something of it has moved, which the leader should know.
  void note(const log::LogKey& key);

  void run();

 private:
  struct Following : ListHook<struct DirtyTag> {
    Ref<Partition> partition;
    LeaderEpoch epoch;
    std::uint64_t asked_first = 0;  // the first request that asks in this epoch; 0: none has
    bool halted = false;            // it may not go on by itself
    bool held_back = false;         // nor has the leader been told anything of it
    Duration pause;                 // after the latest trouble
    MonotonicTime not_before;
  };
  // To one request.
  class Answer final : public client::Client::Call {
   public:
    Answer(Fetcher& fetcher, MonotonicTime patience) : expires(patience), fetcher_(fetcher) {}
    void on_answer(StatusOr<Slice> told) override {
      arrived = true;
      body = std::move(told);
      fetcher_.changed_.notify_all();
    }
    MonotonicTime expires;
    bool arrived = false;
    StatusOr<Slice> body = absl::UnknownError("no answer");

   private:
    Fetcher& fetcher_;
  };

  StatusOr<std::unique_ptr<client::Client>> connect();
  Status serve(client::Client& client);
  void mark(Following& following);
  void revive_paused();
  MonotonicTime next_revival() const;
  protocol::FetchRequest next_request(std::uint64_t number);
  Status ask(client::Client& client);
  Status wait_to_ask(const client::Client& client);
  Status ask_for_ever(client::Client& client);
  Status take_answers();
  StatusOr<protocol::FetchResponse> next_answer();
  Status take(std::uint64_t number, const protocol::FetchResponse& response);
  Status take_partition(Following& following, const protocol::FetchPartitionResponse& answer);
  Status begin_anew(Following& following, Offset leaders_start);
  void ask_anew(const log::LogKey& key, const Status& why);
  Status take_records(const Ref<Partition>& partition, LeaderEpoch epoch, const Slice& records);
  Status cut(Following& following, const protocol::FetchEpochEndOffset& leaders);
  void trouble(Following& following);
  void no_more_trouble(const log::LogKey& key);
  Deadline append_deadline() const { return fiber::within(options_.append, Expiry::kPeer); }

  Network& network_;
  cluster::Metadata& metadata_;
  log::LogManager& logs_;
  NodeId self_;
  NodeId leader_;
  FetchOptions options_;
  ReplicationMetrics& metrics_;
  IntrusiveList<Following, DirtyTag> dirty_;
  absl::btree_map<log::LogKey, std::unique_ptr<Following>> following_;  // goes before the list
  absl::btree_set<log::LogKey> paused_;
  std::vector<log::LogKey> forgotten_;
  fiber::Event changed_;

  // ---- of the session ----
  client::Client* client_ = nullptr;
  std::int32_t session_ = 0;
  std::int32_t session_epoch_ = 0;
  std::uint64_t asked_ = 0;     // requests, ever
  std::uint64_t answered_ = 0;  // of them
  std::map<std::uint64_t, std::unique_ptr<Answer>> answers_;
};

}  // namespace chronik::replication
