#include "core/group/group_partition.h"

#include <algorithm>

#include "core/base/log_line.h"
#include "core/fiber/scope.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::group {

using protocol::ErrorCode;

namespace {

constexpr std::size_t kBatchBytes = 256 * 1024;  // from here on the next batch is begun
constexpr std::size_t kLoadBytes = 1024 * 1024;
constexpr std::size_t kQueueBytesMax = 8 * 1024 * 1024;   // of records that wait: beyond it, calls are refused
constexpr Duration kPause = Duration::milliseconds(500);  // before what failed is tried again
constexpr Duration kBreath = Duration::milliseconds(1);   // for others, where much is due at once
constexpr const char* kRecordsWait = "records of groups to be committed";
constexpr Duration kReadPatience = Duration::seconds(30);

// Set when an append is committed, or never will be.
struct PassedRecords final : replication::OffsetWaiter {
  void on_passed(bool passed) override {
    committed = passed;
    told.set();
  }
  fiber::Latch told;
  bool committed = false;
};

std::size_t size_of(const KeyAndValue& record) {
  return record.key.size() + (record.value.has_value() ? record.value->size() : 0) + protocol::kRecordBytesMin * 4;
}

// What a client is told whose records could not be appended.
ErrorCode append_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::kNotLeaderOrFollower: return ErrorCode::kNotCoordinator;
    case ErrorCode::kNotEnoughReplicas:
    case ErrorCode::kKafkaStorageError: return ErrorCode::kCoordinatorNotAvailable;
    default: return ErrorCode::kUnknownServerError;
  }
}

}  // namespace

GroupPartition::GroupPartition(Ref<replication::Partition> partition, log::LogManager& logs, const Clock& clock,
                               const GroupPartitionOptions& options, const TopicIsGone& topic_is_gone,
                               GroupMetrics& metrics)
    : partition_(std::move(partition)),
      logs_(logs),
      clock_(clock),
      options_(options),
      topic_is_gone_(topic_is_gone),
      metrics_(metrics),
      epoch_(partition_->epoch()),
      coordinator_(options.groups, options.offsets) {}

Moment GroupPartition::now() const { return {.time = fiber::Scheduler::current().now(), .wall = clock_.wall()}; }

ErrorCode GroupPartition::state() const {
  return resigned_ || !still_led() || partition_->may_be_deposed() ? ErrorCode::kNotCoordinator
         : loading_                                                ? ErrorCode::kCoordinatorLoadInProgress
                                                                   : ErrorCode::kNone;
}

ErrorCode GroupPartition::takes_more() const {
  const ErrorCode error = state();
  return error == ErrorCode::kNone && queued_bytes_ > kQueueBytesMax ? ErrorCode::kCoordinatorNotAvailable : error;
}

// ---- waiting ----

void GroupPartition::count(const Coordinator::Counts& now) {
  metrics_.groups.add(now.groups - counted_.groups);
  metrics_.members.add(now.members - counted_.members);
  metrics_.rebalances.add(now.generations - counted_.generations);
  metrics_.offsets.add(now.offsets - counted_.offsets);
  counted_ = now;
}

void GroupPartition::take(Outcome outcome) {
  if (!resigned_) {
    count(coordinator_.counts());
  }
  for (auto& [ticket, answer] : outcome.joined) {
    Awaited<JoinAnswer>::tell(joins_, ticket, std::move(answer));
  }
  for (auto& [ticket, answer] : outcome.synced) {
    Awaited<SyncAnswer>::tell(syncs_, ticket, std::move(answer));
  }
  if (outcome.commit != 0) {
    std::size_t bytes = 0;
    for (const KeyAndValue& record : outcome.records) {
      bytes += size_of(record);
    }
    queued_bytes_ += bytes;
    queue_.push_back({.commit = outcome.commit, .records = std::move(outcome.records), .bytes = bytes});
    queue_event_.notify_all();
  }
  wake_timers();
}

void GroupPartition::leave_queue() {
  queued_bytes_ -= queue_.front().bytes;
  queue_.pop_front();
}

void GroupPartition::wake_timers() {
  if (coordinator_.next_deadline() < timer_at_) {
    timer_event_.notify_all();
  }
}

ErrorCode GroupPartition::carry_out(Outcome outcome, ErrorCode late) {
  const CommitId commit = outcome.commit;
  take(std::move(outcome));
  if (commit == 0) {
    return ErrorCode::kNone;
  }
  Awaited<ErrorCode> awaited(commits_, commit, kRecordsWait);
  // The change may still be made.
  return awaited.wait(options_.commit_timeout) ? awaited.answer() : late;
}

// ---- calls ----

JoinAnswer GroupPartition::join(const std::string& group, const JoinCall& call) {
  if (const ErrorCode error = takes_more(); error != ErrorCode::kNone) {
    return {.error = error, .member_id = call.member_id};
  }
  const Ticket ticket = ++last_ticket_;
  Awaited<JoinAnswer> awaited(joins_, ticket, "the next generation of " + group);
  take(coordinator_.join(group, call, ticket, now()));
  // The slowest of the others may be later than this member would be.
  if (awaited.wait(options_.groups.session_max + call.rebalance_timeout)) {
    return std::move(awaited.answer());
  }
  abandon(group, ticket);
  return {.error = ErrorCode::kCoordinatorNotAvailable, .member_id = call.member_id};
}

SyncAnswer GroupPartition::sync(const std::string& group, const SyncCall& call) {
  if (const ErrorCode error = takes_more(); error != ErrorCode::kNone) {
    return {.error = error};
  }
  const Ticket ticket = ++last_ticket_;
  Awaited<SyncAnswer> awaited(syncs_, ticket, "the assignment by the leader of " + group);
  take(coordinator_.sync(group, call, ticket, now()));
  if (awaited.wait(options_.groups.session_max)) {
    return std::move(awaited.answer());
  }
  abandon(group, ticket);
  return {.error = ErrorCode::kCoordinatorNotAvailable};
}

void GroupPartition::abandon(const std::string& group, Ticket ticket) {
  if (serves()) {
    coordinator_.abandon(group, ticket, now());
    wake_timers();
  }
}

ErrorCode GroupPartition::heartbeat(const std::string& group, const std::string& member,
                                    const std::optional<std::string>& instance, std::int32_t generation) {
  const ErrorCode error = state();
  if (error == ErrorCode::kCoordinatorLoadInProgress) {
    return ErrorCode::kNone;  // as Kafka: not all clients expect it here, and it will be heard again
  }
  return error != ErrorCode::kNone ? error : coordinator_.heartbeat(group, member, instance, generation, now());
}

ErrorCode GroupPartition::leave(const std::string& group, const std::vector<Coordinator::Leaving>& members,
                                std::vector<ErrorCode>& errors) {
  if (const ErrorCode error = takes_more(); error != ErrorCode::kNone) {
    return error;
  }
  return carry_out(coordinator_.leave(group, members, now(), errors), ErrorCode::kCoordinatorNotAvailable);
}

GroupPartition::OffsetCommit GroupPartition::begin_commit(const CommitCall& call) {
  OffsetCommit begun;
  begun.error = takes_more();
  if (begun.error != ErrorCode::kNone) {
    return begun;
  }
  Outcome outcome = coordinator_.commit_offsets(call, now(), begun.errors);
  if (outcome.commit != 0) {
    begun.awaited = std::make_unique<Awaited<ErrorCode>>(commits_, outcome.commit, kRecordsWait);
  }
  take(std::move(outcome));
  return begun;
}

ErrorCode GroupPartition::finish(OffsetCommit& commit) {
  if (commit.awaited == nullptr) {
    return commit.error;
  }
  // Too late, the commit may still take effect.
  return commit.awaited->wait(options_.commit_timeout) ? commit.awaited->answer() : ErrorCode::kRequestTimedOut;
}

ErrorCode GroupPartition::delete_offsets(const std::string& group, const std::vector<PartitionName>& partitions,
                                         std::vector<ErrorCode>& errors) {
  if (const ErrorCode error = takes_more(); error != ErrorCode::kNone) {
    return error;
  }
  return carry_out(coordinator_.delete_offsets(group, partitions, errors), ErrorCode::kCoordinatorNotAvailable);
}

ErrorCode GroupPartition::delete_group(const std::string& group) {
  ErrorCode error = takes_more();
  if (error != ErrorCode::kNone) {
    return error;
  }
  Outcome outcome = coordinator_.delete_group(group, error);
  return error != ErrorCode::kNone ? error : carry_out(std::move(outcome), ErrorCode::kCoordinatorNotAvailable);
}

void GroupPartition::forget_topic(const std::string& topic) {
  if (serves()) {
    for (Outcome& outcome : coordinator_.forget_topic(topic)) {
      take(std::move(outcome));
    }
  }
}

// ---- its fibers ----

void GroupPartition::run() {
  if (!load()) {
    return;
  }
  loading_ = false;
  count(coordinator_.counts());
  timer_event_.notify_all();
  while (!resigned_) {
    if (!queue_.empty()) {
      write_some();
    } else if (!queue_event_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
      return;
    }
  }
}

void GroupPartition::run_timers() {
  constexpr int kGroupsAtOnce = 200;
  bool heard = false;                 // since the last round, all the time
  std::uint64_t isolations = 0;       // of the partition, as of the last round
  MonotonicTime expiry = now().time;  // the first as soon as it is loaded: topics have gone while nobody was told
  while (!resigned_) {
    timer_at_ = MonotonicTime::never();
    const Moment moment = now();
    if (state() == ErrorCode::kNone) {
      // Whoever could not be heard is not to be thrown out for having been silent.
      if (!heard || isolations != partition_->isolations()) {
        coordinator_.begin_times_anew(moment.time);
      }
      heard = true;
      isolations = partition_->isolations();
      int due = 0;
      for (; due < kGroupsAtOnce && coordinator_.next_deadline() <= moment.time; ++due) {
        take(coordinator_.pass(moment));
      }
      timer_at_ = coordinator_.next_deadline();
      if (expiry <= moment.time) {
        expiry = moment.time + (expire_some(moment) ? kPause : options_.expiry_interval);
      }
      timer_at_ = std::max(std::min(timer_at_, expiry), due == kGroupsAtOnce ? moment.time + kBreath : moment.time);
    } else {
      heard = false;
      timer_at_ = moment.time + kPause;
    }
    const Deadline until(timer_at_, Expiry::kNormal, fiber::Fiber::current().scope().source());
    const Status woken = timer_event_.wait({WaitKind::kWork, 0, 0, 0}, until);
    if (!woken.ok() && !absl::IsDeadlineExceeded(woken)) {
      return;
    }
  }
}

bool GroupPartition::expire_some(const Moment& moment) {
  constexpr int kGroupsAtOnce = 200;
  for (int i = 0; i < kGroupsAtOnce; ++i) {
    // A group that its members have just left goes with a later round: it may well come back, and its generations then
    // go on.
    Outcome expired = coordinator_.expire_offsets(
        moment, topic_is_gone_, swept_ ? Coordinator::EmptyGroups::kGo : Coordinator::EmptyGroups::kStay);
    if (expired.commit == 0) {
      swept_ = true;
      return false;
    }
    take(std::move(expired));
  }
  return true;
}

void GroupPartition::resign() {
  if (std::exchange(resigned_, true)) {
    return;
  }
  take(coordinator_.resign(ErrorCode::kNotCoordinator));
  count({.groups = 0, .members = 0, .generations = counted_.generations, .offsets = counted_.offsets});
  while (!commits_.empty()) {
    Awaited<ErrorCode>::tell(commits_, commits_.begin()->first, ErrorCode::kNotCoordinator);
  }
  queue_.clear();
  queued_bytes_ = 0;
  queue_event_.notify_all();
  timer_event_.notify_all();
}

void GroupPartition::settle(const std::vector<CommitId>& commits, ErrorCode error) {
  for (const CommitId commit : commits) {
    take(error == ErrorCode::kNone ? coordinator_.committed(commit, now()) : coordinator_.failed(commit, error, now()));
    Awaited<ErrorCode>::tell(commits_, commit, error);
  }
}

std::vector<CommitId> GroupPartition::gather(protocol::RecordBatchBuilder& builder, WallTime wall) {
  std::vector<CommitId> ended;
  while (!queue_.empty()) {
    Queued& next = queue_.front();
    for (; next.appended < next.records.size(); ++next.appended) {
      const KeyAndValue& record = next.records[next.appended];
      if (!builder.empty() && builder.size_bytes() + size_of(record) > kBatchBytes) {
        return ended;
      }
      builder.append({.timestamp = wall,
                      .key = record.key.bytes(),
                      .value = record.value.has_value() ? std::optional(record.value->bytes()) : std::nullopt,
                      .headers = {}});
    }
    ended.push_back(next.commit);
    leave_queue();
  }
  return ended;
}

void GroupPartition::fail(std::vector<CommitId> commits, ErrorCode error) {
  if (!queue_.empty() && queue_.front().appended > 0) {
    commits.push_back(queue_.front().commit);
    leave_queue();
  }
  settle(commits, error);
}

// One batch of what is queued, until it is committed.
void GroupPartition::write_some() {
  const WallTime wall = clock_.wall();
  protocol::RecordBatchBuilder builder;
  std::vector<CommitId> commits = gather(builder, wall);
  log::BatchSummary summary;
  summary.record_count = builder.record_count();
  summary.max_timestamp = wall;
  summary.offset_of_max_timestamp = Offset(0);
  Slice batch = builder.build({});
  const Status room = logs_.make_room(batch.size(), fiber::within(options_.commit_timeout, Expiry::kPeer));
  if (resigned_ || !still_led()) {
    return resign();
  }
  if (!room.ok()) {
    return fail(std::move(commits),
                absl::IsInvalidArgument(room) ? ErrorCode::kUnknownServerError : ErrorCode::kCoordinatorNotAvailable);
  }
  const auto outcome = partition_->append(std::move(batch), summary, replication::Acks::kAll);
  if (outcome.error != ErrorCode::kNone) {
    return fail(std::move(commits), append_error(outcome.error));
  }
  PassedRecords passed;
  partition_->await(outcome, replication::Acks::kAll, passed);
  // For as long as it takes: who waits for it has a deadline, and what comes next must stand behind it.
  const Status told =
      passed.told.wait(partition_->await_key(replication::Acks::kAll, outcome.last_offset), fiber::for_ever());
  if (!told.ok() || !passed.committed) {
    return resign();
  }
  if (!resigned_) {
    settle(commits, ErrorCode::kNone);
  }
}

// ---- loading ----

// Everything that is in the log, once it is committed. False: the epoch is over already.
bool GroupPartition::load() {
  const Offset end = partition_->log().log_end();
  while (partition_->high_watermark() < end) {
    if (resigned_ || !still_led()) {
      return false;
    }
    const Status woken =
        partition_->progress().wait(partition_->progress_key(), fiber::within(kPause, Expiry::kNormal));
    if (!woken.ok() && !absl::IsDeadlineExceeded(woken)) {
      return false;
    }
  }
  log::PartitionLog& log = partition_->log();
  Offset at = log.log_start();
  while (at < end) {
    if (resigned_ || !still_led()) {
      return false;
    }
    const StatusOr<log::ReadResult> read =
        log.read(at, {.max_bytes = kLoadBytes, .below = end}, fiber::within(kReadPatience, Expiry::kPeer));
    const Status readable =
        read.ok() && read->bytes == 0 ? absl::DataLossError("there is nothing to be read") : read.status();
    if (!readable.ok()) {
      log_warn("groups cannot be loaded yet", field("log", log.key().to_string()), field("offset", at.value()),
               field("why", readable.ToString()));
      if (!fiber::sleep(kPause).ok()) {
        return false;
      }
      at = std::max(at, log.log_start());
      continue;
    }
    replay(*read, at);
    at = std::max(at, read->end);
  }
  return !resigned_ && still_led();
}

void GroupPartition::replay(const log::ReadResult& read, Offset from) {
  const Moment moment = now();
  for (const Slice& part : read.parts) {
    protocol::BatchWalk walk(part.bytes(), protocol::BatchWalk::Checksums::kTrust);
    protocol::RecordBatchView batch;
    while (walk.next(batch)) {
      if (batch.attributes().is_control() || batch.attributes().codec() != protocol::Codec::kNone) {
        continue;  // none of these is ours
      }
      protocol::RecordIterator records(batch);
      protocol::RecordView record;
      while (records.next(record)) {
        if (record.offset(batch) < from || !record.has_key) {
          continue;
        }
        const Status replayed = coordinator_.replay(record.key_bytes, record.value(), moment);
        if (!replayed.ok()) {
          log_warn("record of a group cannot be read", field("log", partition_->log().key().to_string()),
                   field("offset", record.offset(batch).value()), field("why", replayed.ToString()));
        }
      }
    }
  }
}

}  // namespace chronik::group
