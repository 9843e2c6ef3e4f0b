#include "core/broker/fetch_session.h"

#include <limits>
#include <utility>

#include "core/base/check.h"

namespace chronik::broker {

using protocol::ErrorCode;
using protocol::FetchPartitionResponse;
using protocol::FetchResponse;
using protocol::FetchTopicResponse;

namespace {

// Above every follower's number: sessions of clients and of followers must not be taken for each other.
constexpr std::uint64_t kOfAClient = std::uint64_t{1} << 32U;

template <typename T>
bool replace(T& known, const T& told) {
  return std::exchange(known, told) != told;
}

}  // namespace

bool FetchSession::Entry::note(const FetchPartitionResponse& answer) {
  const bool failed = answer.error_code != ErrorCode::kNone;
  bool news = failed || !told || (answer.records.has_value() && !answer.records->empty());
  told = !failed;
  news |= replace(high_watermark, answer.high_watermark);
  news |= replace(last_stable_offset, answer.last_stable_offset);
  news |= replace(log_start, answer.log_start_offset);
  news |= answer.preferred_read_replica != NodeId::none();
  news |= answer.diverging_epoch.epoch != LeaderEpoch::none();
  return news;
}

void FetchSession::take(Topic& topic, const protocol::FetchPartition& wanted) {
  std::unique_ptr<Entry>& entry = topic.partitions[wanted.partition];
  if (entry == nullptr) {
    entry = std::make_unique<Entry>();
    entry->topic = &topic;
    entry->partition = wanted.partition;
    order_.push_back(*entry);
    ++partitions_;
  }
  entry->leader_epoch = wanted.current_leader_epoch;
  entry->last_fetched_epoch = wanted.last_fetched_epoch;
  entry->bytes_max = wanted.partition_max_bytes;
  entry->fetch_offset = wanted.fetch_offset;
}

void FetchSession::take(const std::vector<protocol::FetchTopic>& topics) {
  for (const protocol::FetchTopic& wanted : topics) {
    if (wanted.partitions.empty()) {
      continue;
    }
    std::unique_ptr<Topic>& topic = topics_[key_of(wanted.topic_id, wanted.topic)];
    if (topic == nullptr) {
      topic = std::make_unique<Topic>();
      topic->id = by_id_ ? wanted.topic_id : TopicId{};
    }
    if (!wanted.topic.empty()) {
      topic->name = wanted.topic;
    }
    for (const protocol::FetchPartition& partition : wanted.partitions) {
      take(*topic, partition);
    }
  }
}

void FetchSession::forget(const std::vector<protocol::FetchForgottenTopic>& topics) {
  for (const protocol::FetchForgottenTopic& topic : topics) {
    const auto known = topics_.find(key_of(topic.topic_id, topic.topic));
    if (known == topics_.end()) {
      continue;
    }
    for (const PartitionId partition : topic.partitions) {
      partitions_ -= known->second->partitions.erase(partition);
    }
    if (known->second->partitions.empty()) {
      topics_.erase(known);
    }
  }
}

void FetchSession::advance(MonotonicTime now) {
  next_epoch_ = next_epoch_ == std::numeric_limits<std::int32_t>::max() ? 1 : next_epoch_ + 1;
  used_ = now;
}

void FetchSession::list(std::vector<protocol::FetchTopic>& topics) const {
  const Topic* topic = nullptr;
  order_.for_each([&](const Entry& entry) {
    if (entry.topic != topic) {
      topic = entry.topic;
      topics.push_back({.topic = topic->name, .topic_id = topic->id, .partitions = {}});
    }
    auto& wanted = topics.back().partitions.emplace_back();
    wanted.partition = entry.partition;
    wanted.current_leader_epoch = entry.leader_epoch;
    wanted.fetch_offset = entry.fetch_offset;
    wanted.last_fetched_epoch = entry.last_fetched_epoch;
    wanted.partition_max_bytes = entry.bytes_max;
  });
}

void FetchSession::tell(FetchResponse& response) {
  std::vector<FetchTopicResponse> news;
  IntrusiveList<Entry, SessionOrderTag> served;
  auto topic = response.responses.begin();
  std::size_t at = 0;
  bool begun = false;  // the topic has news already
  order_.for_each([&](Entry& entry) {
    CHECK(topic != response.responses.end());
    FetchPartitionResponse& answer = topic->partitions[at];
    CHECK_EQ(answer.partition_index, entry.partition);
    if (entry.note(answer)) {
      if (!begun) {
        news.push_back({.topic = topic->topic, .topic_id = topic->topic_id, .partitions = {}});
        begun = true;
      }
      if (answer.records.has_value() && !answer.records->empty()) {
        entry.unlink();
        served.push_back(entry);
      }
      news.back().partitions.push_back(std::move(answer));
    }
    if (++at == topic->partitions.size()) {
      ++topic;
      at = 0;
      begun = false;
    }
  });
  CHECK(topic == response.responses.end());
  while (!served.empty()) {
    order_.push_back(served.pop_front());
  }
  response.responses = std::move(news);
  response.session_id = id_;
}

void FetchSession::tell_first(FetchResponse& response) {
  for (const FetchTopicResponse& topic : response.responses) {
    if (topic.partitions.empty()) {
      continue;
    }
    Topic& known = *topics_.at(key_of(topic.topic_id, topic.topic));
    for (const FetchPartitionResponse& answer : topic.partitions) {
      known.partitions.at(answer.partition_index)->note(answer);
    }
  }
  response.session_id = id_;
}

void FetchSession::close() {
  closed_ = true;
  changed_.notify_all();
}

WaitKey FetchSession::key_of(std::uint64_t number) const {
  return {WaitKind::kFetchSession, kOfAClient | static_cast<std::uint64_t>(id_), number};
}

// ---- a request ----

FetchSession::Use::Use(Ref<FetchSession> session) : session_(std::move(session)), number_(++session_->newest_) {
  session_->changed_.notify_all();
}

FetchSession::Use::~Use() {
  if (entered_) {
    session_->in_use_ = false;
    session_->changed_.notify_all();
  }
}

Status FetchSession::Use::enter(const Deadline& deadline) {
  while (session_->in_use_ && standing() == ErrorCode::kNone) {
    RETURN_IF_ERROR(session_->changed_.wait(session_->key_of(number_), deadline));
  }
  if (standing() == ErrorCode::kNone) {
    session_->in_use_ = entered_ = true;
  }
  return ok();
}

ErrorCode FetchSession::Use::standing() const {
  if (session_->closed_) {
    return ErrorCode::kFetchSessionIdNotFound;
  }
  return number_ == session_->newest_ ? ErrorCode::kNone : ErrorCode::kInvalidFetchSessionEpoch;
}

}  // namespace chronik::broker
