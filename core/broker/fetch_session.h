// A consumer's incremental fetch session (KIP-227): which partitions it fetches, from where, and what it was told of
// each last. So its requests name only what has changed, and so do the answers.
//
// A request is answered as if it had named all partitions of the session: list() says which these are, and tell() takes
// out of the answer what is no news. The order is that in which they came, but who was given records goes behind the
// others, so that no partition starves where an answer is full before its turn.
// One request of a session is worked on at a time: one that comes while another waits ends that one's wait, so what is
// listed is in memory once at most.
// Life: counted; a request that is being served holds it. It stays when its connection ends, until it is put out.
#pragma once

#include <absl/container/btree_map.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/counted.h"
#include "core/base/intrusive_list.h"
#include "core/fiber/wait.h"
#include "core/protocol/messages/fetch.h"

namespace chronik::broker {

class FetchSession final : public Counted, public ListHook<struct SessionUseTag> {
 public:
  // by_id: topics are known by their ids (Fetch 13 and later), else by their names.
  FetchSession(std::int32_t id, bool by_id, MonotonicTime now) : id_(id), by_id_(by_id), created_(now), used_(now) {}

  std::int32_t id() const { return id_; }
  bool by_id() const { return by_id_; }
  std::int32_t next_epoch() const { return next_epoch_; }
  std::size_t partitions() const { return partitions_; }
  MonotonicTime created() const { return created_; }
  MonotonicTime used() const { return used_; }

  // Positions of partitions that are there or are new. By their ids, topics may carry the names that they are known to
  // have.
  void take(const std::vector<protocol::FetchTopic>& topics);
  void forget(const std::vector<protocol::FetchForgottenTopic>& topics);
  // A request in order: its epoch is the one before next_epoch().
  void advance(MonotonicTime now);
  // All of its partitions, in their order.
  void list(std::vector<protocol::FetchTopic>& topics) const;
  // `response` has an answer for each partition that was listed, in that order; left in it is what is news.
  void tell(protocol::FetchResponse& response);
  // `response` tells all partitions of a new session where they stand, and nothing is left out of it.
  void tell_first(protocol::FetchResponse& response);

  // One request, from its coming to its answer.
  class Use {
   public:
    explicit Use(Ref<FetchSession> session);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    FetchSession& session() const { return *session_; }
    // Waits until no earlier request is worked on any more. Ok where this one is to be, too.
    Status enter(const Deadline& deadline);
    // kNone; kInvalidFetchSessionEpoch: a later request has come; kFetchSessionIdNotFound: the session was put out.
    protocol::ErrorCode standing() const;
    // Adds what ends its wait: afterwards standing() may have changed.
    void add_to(fiber::WaitSet& waits) const { waits.add(session_->changed_, session_->key_of(number_)); }

   private:
    Ref<FetchSession> session_;
    std::uint64_t number_;
    bool entered_ = false;
  };
  // Nobody finds it any more: who waits in it is told.
  void close();

 private:
  friend class FetchSessions;
  // What it is known by in this session: by its id, the name is empty.
  struct TopicKey {
    TopicId id;
    std::string name;
    friend auto operator<=>(const TopicKey&, const TopicKey&) = default;
  };
  struct Topic;
  struct Entry : ListHook<struct SessionOrderTag> {
    Topic* topic = nullptr;
    PartitionId partition;
    LeaderEpoch leader_epoch;
    LeaderEpoch last_fetched_epoch;
    std::int32_t bytes_max = 0;
    Offset fetch_offset;
    // Told last; where nothing was, or an error, whatever comes next is news.
    bool told = false;
    Offset high_watermark;
    Offset last_stable_offset;
    Offset log_start;

    // Whether the answer is news. Takes down what it tells.
    bool note(const protocol::FetchPartitionResponse& answer);
  };
  struct Topic {
    TopicId id;
    std::string name;  // empty: by its id, and no image here has known it yet
    absl::btree_map<PartitionId, std::unique_ptr<Entry>> partitions;
  };
  TopicKey key_of(const TopicId& id, const std::string& name) const {
    return by_id_ ? TopicKey{.id = id, .name = {}} : TopicKey{.id = {}, .name = name};
  }
  WaitKey key_of(std::uint64_t number) const;
  void take(Topic& topic, const protocol::FetchPartition& wanted);

  std::int32_t id_;
  bool by_id_;
  std::int32_t next_epoch_ = 1;
  MonotonicTime created_;
  MonotonicTime used_;
  std::size_t partitions_ = 0;
  std::size_t counted_ = 0;  // partitions that the cache has counted
  bool by_size_ = false;     // in the cache's order of sizes
  bool closed_ = false;
  std::uint64_t newest_ = 0;  // number of the request that came last
  bool in_use_ = false;
  fiber::Event changed_;
  IntrusiveList<Entry, SessionOrderTag> order_;
  absl::btree_map<TopicKey, std::unique_ptr<Topic>> topics_;  // goes before it
};

}  // namespace chronik::broker
