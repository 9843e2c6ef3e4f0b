#include "core/broker/fetch_sessions.h"

#include <algorithm>
#include <limits>

#include "core/base/check.h"
#include "core/cluster/topic_names.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

namespace {

constexpr std::int16_t kFirstWithIds = 13;
constexpr std::int32_t kFirstEpoch = 0;
constexpr std::int32_t kLastEpoch = -1;

std::size_t partitions_asked(const FetchRequest& asked) {
  std::size_t count = 0;
  for (const protocol::FetchTopic& topic : asked.topics) {
    count += topic.partitions.size();
  }
  return count;
}

// A name that no topic can have is as long as its client likes, and a session would keep it.
bool may_be_kept(const FetchRequest& asked) {
  return std::all_of(asked.topics.begin(), asked.topics.end(), [](const protocol::FetchTopic& topic) {
    return topic.topic.size() <= cluster::kTopicNameBytesMax;
  });
}

}  // namespace

FetchSessions::~FetchSessions() {
  while (!by_use_.empty()) {
    by_use_.pop_front();
  }
}

FetchSessions::Admission FetchSessions::admit(const FetchRequest& asked, std::int16_t version, MonotonicTime now) {
  const auto found = sessions_.find(asked.session_id);
  if (asked.session_epoch == kFirstEpoch || asked.session_epoch == kLastEpoch) {
    if (found != sessions_.end()) {
      remove(*found->second);
    }
    return {.opens = asked.session_epoch == kFirstEpoch && may_be_kept(asked)};
  }
  if (found == sessions_.end()) {
    return {.error = ErrorCode::kFetchSessionIdNotFound};
  }
  FetchSession& session = *found->second;
  if (asked.session_epoch != session.next_epoch()) {
    return {.error = ErrorCode::kInvalidFetchSessionEpoch};
  }
  if (session.by_id() != (version >= kFirstWithIds)) {
    return {.error = ErrorCode::kFetchSessionTopicIdError};
  }
  return go_on(session, asked, now);
}

FetchSessions::Admission FetchSessions::go_on(FetchSession& session, const FetchRequest& asked, MonotonicTime now) {
  const Ref<FetchSession> held = Ref<FetchSession>::another(session);
  if (!may_be_kept(asked)) {
    remove(session);
    return {.error = ErrorCode::kFetchSessionIdNotFound};
  }
  unlist(session);
  session.take(asked.topics);
  session.forget(asked.forgotten_topics_data);
  session.advance(now);
  if (session.partitions() == 0) {
    remove(session);
    return {};  // nothing is left to be fetched: an answer without a session says that it has ended
  }
  if (!make_room(0, session.partitions(), session.partitions(), now)) {
    metrics_.evictions.add();
    remove(session);
    return {.error = ErrorCode::kFetchSessionIdNotFound};
  }
  list(session, now);
  return {.session = held};
}

void FetchSessions::open(const FetchRequest& asked, FetchResponse& response, bool by_id, MonotonicTime now) {
  const std::size_t size = partitions_asked(asked);
  if (size == 0 || !make_room(1, size, size, now)) {
    return;
  }
  const Ref<FetchSession> session = Ref<FetchSession>::make(new_id(), by_id, now);
  session->take(asked.topics);
  session->tell_first(response);
  sessions_.emplace(session->id(), session);
  metrics_.sessions.set(static_cast<std::int64_t>(sessions_.size()));
  list(*session, now);
}

// Whether there is room for so many more; `size` is that of the session that wants it.
bool FetchSessions::make_room(std::size_t sessions, std::size_t partitions, std::size_t size, MonotonicTime now) {
  if (sessions > sessions_max_ || partitions > partitions_max_) {
    return false;
  }
  while (sessions_.size() + sessions > sessions_max_ || partitions_ + partitions > partitions_max_) {
    FetchSession* goes = who_makes_room(size, now);
    if (goes == nullptr) {
      return false;
    }
    metrics_.evictions.add();
    remove(*goes);
  }
  return true;
}

FetchSession* FetchSessions::who_makes_room(std::size_t size, MonotonicTime now) {
  if (by_use_.empty()) {
    return nullptr;
  }
  if (now - by_use_.front().used() > kSettled) {
    return &by_use_.front();
  }
  if (by_size_.empty() || size <= by_size_.begin()->first) {
    return nullptr;
  }
  return sessions_.at(by_size_.begin()->second).get();
}

void FetchSessions::list(FetchSession& session, MonotonicTime now) {
  session.counted_ = session.partitions();
  session.by_size_ = now - session.created() > kSettled;
  if (session.by_size_) {
    by_size_.insert({session.counted_, session.id()});
  }
  by_use_.push_back(session);
  partitions_ += session.counted_;
  metrics_.partitions.set(static_cast<std::int64_t>(partitions_));
}

void FetchSessions::unlist(FetchSession& session) {
  if (session.by_size_) {
    by_size_.erase({session.counted_, session.id()});
  }
  session.by_size_ = false;
  static_cast<ListHook<SessionUseTag>&>(session).unlink();
  partitions_ -= std::exchange(session.counted_, 0);
  metrics_.partitions.set(static_cast<std::int64_t>(partitions_));
}

void FetchSessions::remove(FetchSession& session) {
  unlist(session);
  session.close();
  sessions_.erase(session.id());  // perhaps the last that held it
  metrics_.sessions.set(static_cast<std::int64_t>(sessions_.size()));
}

// Not by counting: a client that remembers the number of a session of before a restart must not meet another's.
std::int32_t FetchSessions::new_id() {
  constexpr std::uint64_t kIds = std::numeric_limits<std::int32_t>::max();
  for (;;) {
    const auto id = static_cast<std::int32_t>(random_.next() % kIds) + 1;
    if (!sessions_.contains(id)) {
      return id;
    }
  }
}

}  // namespace chronik::broker
