// The fetch sessions of this node's clients (KIP-227): a bounded cache.
//
// Where it is full, Kafka's rules say who goes: the session that was not used for longest, if that is more than two
// minutes; else the smallest of those that are older than two minutes, if the new one has more partitions; else there
// is no new session, and its client goes on without one (session id 0), which is always right. Followers have sessions
// of their own (core/replication), so nobody here goes before others. Beyond Kafka's, the partitions of all sessions
// together are bounded by the same rules.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <cstdint>
#include <utility>

#include "core/base/metrics.h"
#include "core/broker/fetch_session.h"
#include "core/ports/random.h"

namespace chronik::broker {

struct FetchSessionMetrics {
  Gauge sessions;
  Gauge partitions;
  Counter evictions;

  void register_in(MetricsRegistry& registry) const {
    registry.add("fetch_sessions", "Incremental fetch sessions of clients", sessions);
    registry.add("fetch_session_partitions", "Partitions in these sessions", partitions);
    registry.add("fetch_session_evictions_total", "Sessions put out to make room", evictions);
  }
};

class FetchSessions {
 public:
  // How old, or how long without a request, a session must be before it may have to make room.
  static constexpr Duration kSettled = Duration::seconds(120);

  // `random` outlives it; maxima of sessions and of partitions in all of them.
  FetchSessions(Random& random, std::size_t sessions_max, std::size_t partitions_max)
      : random_(random), sessions_max_(sessions_max), partitions_max_(partitions_max) {}
  ~FetchSessions();
  FetchSessions(const FetchSessions&) = delete;
  FetchSessions& operator=(const FetchSessions&) = delete;

  // What a client's request means for sessions. `session`: it is a request of that one, which has taken what it says,
  // and is to be answered as one for all its partitions; else it is answered as it is, and where `opens`, open()
  // follows.
  struct Admission {
    protocol::ErrorCode error = protocol::ErrorCode::kNone;
    Ref<FetchSession> session = {};
    bool opens = false;
  };
  Admission admit(const protocol::FetchRequest& asked, std::int16_t version, MonotonicTime now);
  // A session of what was asked for and is answered now; there may be no room for it. Both have the same partitions in
  // the same order.
  void open(const protocol::FetchRequest& asked, protocol::FetchResponse& response, bool by_id, MonotonicTime now);

  const FetchSessionMetrics& metrics() const { return metrics_; }

 private:
  Admission go_on(FetchSession& session, const protocol::FetchRequest& asked, MonotonicTime now);
  bool make_room(std::size_t sessions, std::size_t partitions, std::size_t size, MonotonicTime now);
  FetchSession* who_makes_room(std::size_t size, MonotonicTime now);
  void list(FetchSession& session, MonotonicTime now);
  void unlist(FetchSession& session);
  void remove(FetchSession& session);
  std::int32_t new_id();

  Random& random_;
  std::size_t sessions_max_;
  std::size_t partitions_max_;
  std::size_t partitions_ = 0;                                     // of those that are listed
  IntrusiveList<FetchSession, SessionUseTag> by_use_;              // the one that was not used for longest first
  absl::btree_set<std::pair<std::size_t, std::int32_t>> by_size_;  // those that are old enough, with their ids
  absl::btree_map<std::int32_t, Ref<FetchSession>> sessions_;      // by id
  FetchSessionMetrics metrics_;
};

}  // namespace chronik::broker
