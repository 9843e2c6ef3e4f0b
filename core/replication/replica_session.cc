#include "core/replication/replica_session.h"

#include <algorithm>
#include <utility>

namespace chronik::replication {

namespace {
constexpr Duration kWatermarkDelay = Duration::milliseconds(200);
constexpr std::uint64_t kParkedMax = 2;
}  // namespace

// ---- one partition ----

ReplicaSession::Entry::Entry(ReplicaSession& session, Ref<Partition> partition)
    : session_(session), partition_(std::move(partition)) {
  partition_->watch(*this);
}

void ReplicaSession::Entry::take(const FetchPosition& position, std::uint64_t request) {
  // Within an epoch, a follower that has been given records only tells how far it has got with them.
  const bool goes_on =
      gave_ == Gave::kRecords && position.leader_epoch == position_.leader_epoch && position.fetch_offset <= next_;
  position_ = position;
  counted_ = false;
  if (!goes_on) {
    next_ = position.fetch_offset;
    since_ = request;
    gave_ = Gave::kNothing;
    told_watermark_ = Offset(0);  // it may have forgotten
  }
  count_position();
  on_partition_news();
}

void ReplicaSession::Entry::count_position() {
  if (counted_ || partition_->check_leadership(position_.leader_epoch) != protocol::ErrorCode::kNone ||
      position_.durable_end == Offset::none() ||
      !partition_->agrees(position_.last_fetched_epoch, position_.fetch_offset)) {
    return;
  }
  // Of a replica that the image here does not know yet, it is counted when the image does.
  counted_ = partition_->hear_follower(session_.node_, session_.broker_epoch_,
                                       std::min(position_.durable_end, position_.fetch_offset), position_.log_start);
}

bool ReplicaSession::Entry::has_something() const {
  if (gave_ == Gave::kTrouble) {
    return false;
  }
  const protocol::ErrorCode error = partition_->check_leadership(position_.leader_epoch);
  if (error == protocol::ErrorCode::kUnknownLeaderEpoch) {
    return false;  // the image here is older than the follower's: it comes (rule R13)
  }
  return error != protocol::ErrorCode::kNone || next_ != partition_->log().log_end() ||
         (gave_ == Gave::kNothing && !partition_->agrees(position_.last_fetched_epoch, position_.fetch_offset));
}

// To a follower that is in a later epoch already, whose beginning its log may have to be cut to, the high watermark of
// this one would say that what it has is committed.
bool ReplicaSession::Entry::may_be_told() const {
  return partition_->check_leadership(position_.leader_epoch) == protocol::ErrorCode::kNone;
}

// Whoever is in sync is waited for.
bool ReplicaSession::Entry::is_behind() const {
  return next_ < partition_->log().memory_start() && !partition_->in_sync(session_.node_);
}

void ReplicaSession::Entry::on_partition_news() {
  count_position();
  if (has_something()) {
    session_.list(*this);
  } else if (gave_ != Gave::kTrouble && may_be_told() &&
             (told_watermark_ < partition_->high_watermark() || told_start_ < partition_->log().log_start())) {
    session_.list_watermark(*this);
  }
}

// ---- the session ----

ReplicaSession::~ReplicaSession() = default;

void ReplicaSession::tell(Ref<Partition> partition, const FetchPosition& position) {
  std::unique_ptr<Entry>& entry = entries_[partition->log().key()];
  if (entry == nullptr || &entry->partition() != partition.get()) {
    entry = std::make_unique<Entry>(*this, std::move(partition));
  }
  entry->take(position, newest_ + 1);
}

void ReplicaSession::forget(const log::LogKey& key) { entries_.erase(key); }

std::uint64_t ReplicaSession::begin(bool at_once) {
  next_epoch_ = next_epoch_ == std::numeric_limits<std::int32_t>::max() ? 1 : next_epoch_ + 1;
  ++newest_;
  hurried_ = at_once ? newest_ : hurried_;
  changed_.notify_all();
  return newest_;
}

Status ReplicaSession::enter(std::uint64_t number, const Deadline& deadline) {
  while (served_ + 1 < number && !closed_) {
    RETURN_IF_ERROR(
        changed_.wait({WaitKind::kFetchSession, static_cast<std::uint64_t>(node_.value()), number}, deadline));
  }
  return ok();
}

void ReplicaSession::end(std::uint64_t number) {
  served_ = std::max(served_, number);
  changed_.notify_all();
}

bool ReplicaSession::may_catch_up() const {
  return !behind_.empty() && fiber::Scheduler::current().now() >= catch_up_.next();
}

Status ReplicaSession::wait_for_news(std::uint64_t number, const Deadline& deadline) {
  while (ready_.empty() && !may_catch_up() && newest_ < number + kParkedMax && hurried_ < number && !closed_) {
    const MonotonicTime tell = watermarks_.empty() ? MonotonicTime::never() : watermarks_since_ + kWatermarkDelay;
    const MonotonicTime read = behind_.empty() ? MonotonicTime::never() : catch_up_.next();
    const Status woken = changed_.wait({WaitKind::kFetchSession, static_cast<std::uint64_t>(node_.value()), number},
                                       deadline.no_later_than(std::min(tell, read), Expiry::kNormal));
    if (absl::IsDeadlineExceeded(woken)) {
      break;
    }
    RETURN_IF_ERROR(woken);
  }
  return ok();
}

ReplicaSession::Entry* ReplicaSession::next_ready(std::uint64_t number) {
  Entry* const in_memory = take_from(ready_, number);
  return in_memory == nullptr && may_catch_up() ? take_from(behind_, number) : in_memory;
}

ReplicaSession::Entry* ReplicaSession::take_from(IntrusiveList<Entry, ReadyTag>& list, std::uint64_t number) {
  const Entry* first_later = nullptr;
  while (!list.empty()) {
    Entry& entry = list.pop_front();
    if (entry.since_ > number) {
      list.push_back(entry);
      if (first_later == &entry) {
        break;  // all have been looked at
      }
      first_later = first_later == nullptr ? &entry : first_later;
    } else if (entry.has_something()) {
      return &entry;
    } else {
      entry.on_partition_news();  // its high watermark, perhaps
    }
  }
  return nullptr;
}

void ReplicaSession::gave_up_to(const log::LogKey& key, Offset from, Offset end) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second->gave_ != Entry::Gave::kRecords || found->second->next_ != from) {
    return;  // asked anew meanwhile
  }
  found->second->next_ = end;
  found->second->on_partition_news();
}

void ReplicaSession::give_later(const log::LogKey& key) {
  if (const auto found = entries_.find(key); found != entries_.end()) {
    list(*found->second);
  }
}

void ReplicaSession::gave_trouble(const log::LogKey& key, std::uint64_t since) {
  if (const auto found = entries_.find(key); found != entries_.end() && found->second->since_ == since) {
    found->second->gave_ = Entry::Gave::kTrouble;
  }
}

void ReplicaSession::list(Entry& entry) {
  entry.ListHook<ReadyTag>::unlink();
  (entry.is_behind() ? behind_ : ready_).push_back(entry);
  changed_.notify_all();
}

void ReplicaSession::list_watermark(Entry& entry) {
  if (entry.ListHook<ReadyTag>::linked()) {
    return;
  }
  if (watermarks_.empty()) {
    watermarks_since_ = fiber::Scheduler::current().now();
    watermarks_.push_back(entry);
    changed_.notify_all();
  } else {
    watermarks_.push_back(entry);
  }
}

void ReplicaSession::close() {
  closed_ = true;
  entries_.clear();
  changed_.notify_all();
}

// ---- all of them ----

Ref<ReplicaSession> ReplicaSessions::open(NodeId node, BrokerEpoch broker_epoch) {
  Ref<ReplicaSession>& session = sessions_[node];
  if (session) {
    session->close();
  }
  session = Ref<ReplicaSession>::make(next_id_, node, broker_epoch, catch_up_);
  next_id_ = next_id_ == std::numeric_limits<std::int32_t>::max() ? 1 : next_id_ + 1;
  return session;
}

Ref<ReplicaSession> ReplicaSessions::find(NodeId node, std::int32_t id) const {
  const auto found = sessions_.find(node);
  return found == sessions_.end() || found->second->id() != id ? Ref<ReplicaSession>() : found->second;
}

void ReplicaSessions::close_all() {
  for (const auto& [node, session] : sessions_) {
    session->close();
  }
}

}  // namespace chronik::replication
