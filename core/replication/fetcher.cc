#include "core/replication/fetcher.h"

#include <absl/cleanup/cleanup.h>
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/client/dial.h"
#include "core/log/batch_at.h"
#include "core/log/compaction.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::replication {

using protocol::ErrorCode;
using protocol::FetchPartitionResponse;
using protocol::FetchRequest;
using protocol::FetchResponse;

namespace {

constexpr std::int16_t kFetchVersion = 17;
constexpr std::uint64_t kInFlightMax = 3;

log::BatchSummary summary_of(const protocol::RecordBatchView& batch) {
  log::BatchSummary summary;
  summary.record_count = static_cast<std::int32_t>(batch.next_offset() - batch.base_offset());
  summary.max_timestamp = batch.max_timestamp();
  summary.offset_of_max_timestamp = Offset(summary.record_count - 1);  // which of them had it, the batch does not say
  if (batch.has_producer()) {
    summary.producer = {.id = batch.producer_id(),
                        .epoch = batch.producer_epoch(),
                        .first_sequence = batch.base_sequence(),
                        .last_sequence = batch.last_sequence()};
  }
  return summary;
}

}  // namespace

Fetcher::Fetcher(Network& network, cluster::Metadata& metadata, log::LogManager& logs, NodeId self, NodeId leader,
                 const FetchOptions& options, ReplicationMetrics& metrics)
    : network_(network),
      metadata_(metadata),
      logs_(logs),
      self_(self),
      leader_(leader),
      options_(options),
      metrics_(metrics) {}

Fetcher::~Fetcher() = default;

// ---- what is followed ----

void Fetcher::follow(const Ref<Partition>& partition) {
  std::unique_ptr<Following>& following = following_[partition->log().key()];
  if (following != nullptr && following->partition == partition && following->epoch == partition->epoch()) {
    return;
  }
  following = std::make_unique<Following>();
  following->partition = partition;
  following->epoch = partition->epoch();
  following->held_back = partition->damaged();
  std::erase(forgotten_, partition->log().key());
  mark(*following);
}

void Fetcher::forget(const log::LogKey& key) {
  if (following_.erase(key) > 0) {
    paused_.erase(key);
    forgotten_.push_back(key);
    changed_.notify_all();
  }
}

bool Fetcher::held_back(const log::LogKey& key) const {
  const auto found = following_.find(key);
  return found != following_.end() && found->second->held_back;
}

void Fetcher::follow_again(const log::LogKey& key) {
  if (held_back(key)) {
    following_.at(key)->held_back = false;
    mark(*following_.at(key));
  }
}

void Fetcher::note(const log::LogKey& key) {
  const auto found = following_.find(key);
  if (found != following_.end() && !paused_.contains(key) && !found->second->halted) {
    mark(*found->second);
  }
}

void Fetcher::connect_anew() {
  if (client_ != nullptr) {
    client_->close();
    changed_.notify_all();
  }
}

void Fetcher::mark(Following& following) {
  if (!following.linked() && !following.held_back) {
    dirty_.push_back(following);
    changed_.notify_all();
  }
}

void Fetcher::trouble(Following& following) {
  following.pause = std::clamp(following.pause * 2, options_.pause_min, options_.pause_max);
  following.not_before = fiber::Scheduler::current().now() + following.pause;
  following.unlink();
  paused_.insert(following.partition->log().key());
  changed_.notify_all();
}

void Fetcher::revive_paused() {
  const MonotonicTime now = fiber::Scheduler::current().now();
  for (auto key = paused_.begin(); key != paused_.end();) {
    Following& following = *following_.at(*key);
    if (following.not_before > now) {
      ++key;
      continue;
    }
    key = paused_.erase(key);
    mark(following);
  }
}

MonotonicTime Fetcher::next_revival() const {
  MonotonicTime next = MonotonicTime::never();
  for (const log::LogKey& key : paused_) {
    next = std::min(next, following_.at(key)->not_before);
  }
  return next;
}

// ---- the session ----

void Fetcher::run() {
  Duration pause = options_.pause_min;
  bool told = false;
  for (;;) {
    while (following_.empty()) {
      if (!changed_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
    }
    const StatusOr<std::unique_ptr<client::Client>> client = connect();
    Status status = client.status();
    if (client.ok()) {
      const MonotonicTime began = fiber::Scheduler::current().now();
      status = serve(**client);
      if (fiber::Scheduler::current().now() - began > options_.pause_max) {
        pause = options_.pause_min;
        told = false;
      }
    }
    const bool failed = !following_.empty() && !absl::IsCancelled(status);
    metrics_.fetch_failures.add(failed ? 1 : 0);
    if (failed && !std::exchange(told, true)) {
      log_warn("replica fetch failed", field("leader", leader_), field("why", status.ToString()));
    }
    if (!fiber::sleep(pause).ok()) {
      return;
    }
    pause = std::min(pause * 2, options_.pause_max);
  }
}

StatusOr<std::unique_ptr<client::Client>> Fetcher::connect() {
  const cluster::Broker* broker = metadata_.image()->find_broker(leader_);
  if (broker == nullptr || broker->endpoints.empty()) {
    return absl::UnavailableError("it is not registered");
  }
  const cluster::Endpoint endpoint = broker->endpoints.front();
  ASSIGN_OR_RETURN(
      std::unique_ptr<Connection> connection,
      client::dial(network_, endpoint.host, endpoint.port, fiber::within(options_.connect, Expiry::kPeer)));
  return std::make_unique<client::Client>(
      std::move(connection), client::ClientOptions{.client_id = fmt::format("chronik-replica-{}", self_.value())});
}

Status Fetcher::serve(client::Client& client) {
  session_ = session_epoch_ = 0;
  answers_.clear();
  answered_ = asked_;
  forgotten_.clear();
  for (const auto& [key, following] : following_) {
    following->asked_first = 0;
    if (!paused_.contains(key) && !following->halted) {
      mark(*following);
    }
  }
  const absl::Cleanup serving = [this] {
    client_ = nullptr;
    answers_.clear();
  };
  client_ = &client;
  Status taken = ok();
  fiber::FiberScope scope;
  scope.spawn({"replica-taker", static_cast<std::uint64_t>(leader_.value())}, [&] {
    taken = take_answers();
    client.close();
    changed_.notify_all();
  });
  const Status asked = ask_for_ever(client);
  const bool ended = client.broken();  // not by this node: who takes the answers knows why
  client.close();
  scope.cancel_and_join();
  return absl::IsCancelled(asked) || absl::IsAborted(asked) || !ended || taken.ok() ? asked : taken;
}

Status Fetcher::wait_to_ask(const client::Client& client) {
  for (;;) {
    if (client.broken()) {
      return absl::UnavailableError("the connection has ended");
    }
    const MonotonicTime expires = answers_.empty() ? MonotonicTime::never() : answers_.begin()->second->expires;
    if (fiber::Scheduler::current().now() >= expires) {
      return absl::UnavailableError("no answer in time");
    }
    revive_paused();
    const std::uint64_t in_flight = asked_ - answered_;
    const bool news = !dirty_.empty() || !forgotten_.empty();
    // Until the session has its number, which the first answer brings at once, there is one request.
    const bool may = in_flight == 0 || (session_ != 0 && in_flight < kInFlightMax && news);
    if (may) {
      return ok();
    }
    Status woken = changed_.wait({WaitKind::kFetchAnswer, static_cast<std::uint64_t>(leader_.value()), asked_, 0},
                                 fiber::for_ever().no_later_than(std::min(next_revival(), expires), Expiry::kNormal));
    if (!woken.ok() && !absl::IsDeadlineExceeded(woken)) {
      return woken;
    }
    if (following_.empty()) {
      return absl::UnavailableError("nothing is left to be followed");
    }
  }
}

Status Fetcher::ask_for_ever(client::Client& client) {
  for (;;) {
    sim_pause("replication.before_ask");
    RETURN_IF_ERROR(wait_to_ask(client));
    RETURN_IF_ERROR(ask(client));
  }
}

Status Fetcher::ask(client::Client& client) {
  const std::uint64_t number = ++asked_;
  std::unique_ptr<Answer>& answer = answers_[number];
  answer = std::make_unique<Answer>(*this, fiber::Scheduler::current().now() + options_.wait + options_.request);
  return client.start(next_request(number), kFetchVersion, *answer);
}

FetchRequest Fetcher::next_request(std::uint64_t number) {
  FetchRequest request;
  request.max_wait_ms = session_epoch_ == 0 ? 0 : static_cast<std::int32_t>(options_.wait.milliseconds());
  request.min_bytes = 1;
  request.max_bytes = options_.bytes_max;
  request.session_id = session_;
  request.session_epoch = session_epoch_;
  session_epoch_ = session_epoch_ == std::numeric_limits<std::int32_t>::max() ? 1 : session_epoch_ + 1;
  request.replica_state = {.replica_id = self_, .replica_epoch = metadata_.broker_epoch()};
  while (!dirty_.empty()) {
    Following& following = dirty_.pop_front();
    if (following.asked_first == 0) {
      following.asked_first = number;
    }
    const log::PartitionLog& log = following.partition->log();
    if (request.topics.empty() || request.topics.back().topic_id != log.key().topic) {
      request.topics.emplace_back().topic_id = log.key().topic;
    }
    request.topics.back().partitions.push_back({.partition = log.key().partition,
                                                .current_leader_epoch = following.epoch,
                                                .fetch_offset = log.log_end(),
                                                .last_fetched_epoch = log.last_epoch(),
                                                .log_start_offset = log.log_start(),
                                                .partition_max_bytes = options_.partition_bytes_max,
                                                .replica_directory_id = {},
                                                .durable_end = log.durable_end()});
  }
  for (const log::LogKey& key : std::exchange(forgotten_, {})) {
    request.forgotten_topics_data.push_back({.topic = {}, .topic_id = key.topic, .partitions = {key.partition}});
  }
  return request;
}

// ---- answers ----

StatusOr<FetchResponse> Fetcher::next_answer() {
  const std::uint64_t number = answered_ + 1;
  for (;;) {
    const auto next = answers_.find(number);
    if (next != answers_.end() && next->second->arrived) {
      const StatusOr<Slice> body = std::move(next->second->body);
      answers_.erase(next);
      RETURN_IF_ERROR(body.status());
      return protocol::decode<FetchResponse>(*body, kFetchVersion);
    }
    RETURN_IF_ERROR(changed_.wait({WaitKind::kFetchAnswer, static_cast<std::uint64_t>(leader_.value()), number, 0},
                                  fiber::for_ever()));  // whoever asks looks at the time
  }
}

Status Fetcher::take_answers() {
  for (;;) {
    ASSIGN_OR_RETURN(const FetchResponse response, next_answer());
    sim_pause("replication.answer_taken");
    if (response.error_code != ErrorCode::kNone) {
      return absl::UnavailableError(fmt::format("it answers {}", protocol::error_name(response.error_code)));
    }
    session_ = response.session_id;
    // Asked again as soon as what came has been taken, not before: the next question says where this has led to.
    RETURN_IF_ERROR(take(answered_ + 1, response));
    ++answered_;
    changed_.notify_all();
  }
}

Status Fetcher::take(std::uint64_t number, const FetchResponse& response) {
  for (const protocol::FetchTopicResponse& topic : response.responses) {
    for (const FetchPartitionResponse& answer : topic.partitions) {
      const auto found = following_.find({topic.topic_id, answer.partition_index});
      // What was asked in an earlier epoch says nothing in this one.
      if (found == following_.end() || found->second->asked_first == 0 || found->second->asked_first > number) {
        continue;
      }
      RETURN_IF_ERROR(take_partition(*found->second, answer));
    }
  }
  return ok();
}

Status Fetcher::take_partition(Following& following, const FetchPartitionResponse& answer) {
  const Ref<Partition> partition = following.partition;
  const LeaderEpoch epoch = following.epoch;
  if (answer.error_code == ErrorCode::kOffsetOutOfRange && answer.log_start_offset > partition->log().log_end()) {
    return begin_anew(following, answer.log_start_offset);
  }
  if (answer.error_code != ErrorCode::kNone) {
    metrics_.fetch_failures.add();
    trouble(following);
    return ok();
  }
  following.pause = Duration::zero();
  if (answer.diverging_epoch.epoch != LeaderEpoch::none() || answer.diverging_epoch.end_offset != Offset::none()) {
    return cut(following, answer.diverging_epoch);
  }
  // From here on `following` may be gone: each of these may suspend.
  if (answer.records.has_value() && !answer.records->empty()) {
    // That it is durable will be told; that it has come, the leader takes for granted.
    Status taken = take_records(partition, epoch, *answer.records);
    if (absl::IsCancelled(taken)) {
      return taken;
    }
    if (!taken.ok()) {
      log_warn("replicated records not taken", field("log", partition->log().key().to_string()),
               field("leader", leader_), field("why", taken.ToString()));
      ask_anew(partition->log().key());
      return ok();
    }
  }
  // First the start: of what is deleted this log may hold what was never committed, and the leader knows no better.
  const Offset start = std::min(answer.log_start_offset, partition->log().log_end());
  if (partition->following() && partition->epoch() == epoch && start > partition->log().log_start()) {
    Status advanced = partition->log().advance_log_start(start, append_deadline());
    if (absl::IsCancelled(advanced)) {
      return advanced;
    }
  }
  partition->learn_high_watermark(epoch, answer.high_watermark);
  return ok();
}

// The leader takes for granted what it has given: it is told to forget that.
void Fetcher::ask_anew(const log::LogKey& key) {
  const auto found = following_.find(key);
  if (found != following_.end()) {
    forgotten_.push_back(key);
    trouble(*found->second);
  }
}

// All that this replica has is gone from the leader (R16). Only who is not in sync may have missed that.
Status Fetcher::begin_anew(Following& following, Offset leaders_start) {
  const Ref<Partition> partition = following.partition;
  const LeaderEpoch epoch = following.epoch;
  const log::LogKey key = partition->log().key();
  if (partition->in_sync(self_)) {
    log_warn("in sync, and below its leader's log start", field("log", key.to_string()), field("leader", leader_),
             field("log_end", partition->log().log_end()), field("leaders_start", leaders_start));
    trouble(following);
    return ok();
  }
  log_info("log begins anew at its leader's start", field("log", key.to_string()), field("leader", leader_),
           field("log_end", partition->log().log_end()), field("leaders_start", leaders_start));
  const auto still = [&] {
    return partition->following() && partition->epoch() == epoch && !partition->in_sync(self_);
  };
  sim_pause("replication.before_begin_anew");
  Status begun = partition->log().begin_anew(leaders_start, still, append_deadline());
  if (absl::IsCancelled(begun)) {
    return begun;
  }
  note(key);
  return ok();
}

Status Fetcher::take_records(const Ref<Partition>& partition, LeaderEpoch epoch, const Slice& records) {
  protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
  protocol::RecordBatchView batch;
  std::size_t at = 0;
  while (walk.next(batch)) {
    // The tail keeps it until it is drained: not with all that came in the same answer.
    const bool small = batch.size_bytes() < records.size() / 4;
    const Slice bytes = small ? Slice::copy_of(batch.bytes()) : records.sub(at, batch.size_bytes());
    at = walk.position();
    sim_pause("replication.before_append");
    RETURN_IF_ERROR(logs_.make_room(bytes.size(), append_deadline()));
    const log::PartitionLog& log = partition->log();
    if (!partition->following() || partition->epoch() != epoch) {
      return ok();
    }
    if (batch.next_offset() <= log.log_end()) {
      continue;
    }
    // The leader's compaction has made one of several empty batches, and this log ends between two of them.
    const bool begins_before = log::is_empty_batch(batch) && batch.base_offset() < log.log_end();
    const Slice own = begins_before ? log::filler_from(batch, log.log_end()) : bytes;
    CHECK(protocol::RecordBatchView::parse(own.bytes(), batch) == protocol::BatchDefect::kNone);
    const LeaderEpoch of_batch = batch.partition_leader_epoch();
    if (batch.base_offset() != log.log_end() || of_batch < log.last_epoch() || of_batch > epoch) {
      return absl::DataLossError(fmt::format("{}: a batch at {} of epoch {}, not at {} of {}", log.key().to_string(),
                                             batch.base_offset(), of_batch, log.log_end(), log.last_epoch()));
    }
    CHECK(partition->append_replicated(epoch, own, summary_of(batch)));
  }
  return walk.stop() == protocol::BatchDefect::kNone
             ? ok()
             : absl::DataLossError(
                   fmt::format("{}: {}", partition->log().key().to_string(), protocol::batch_defect_text(walk.stop())));
}

// What this log has behind the place where both part goes (KIP-595). Often it takes more than one step to find it.
Status Fetcher::cut(Following& following, const protocol::FetchEpochEndOffset& leaders) {
  const Ref<Partition> partition = following.partition;
  log::PartitionLog& log = partition->log();
  const LeaderEpoch epoch = following.epoch;
  const log::EpochEnd own = log.end_of_epoch(leaders.epoch);
  Offset to = std::min({leaders.end_offset, own.end == Offset::none() ? Offset(0) : own.end, log.log_end()});
  if (!partition->may_cut(to)) {
    // Rule R8: what was committed is never taken back by itself.
    following.halted = true;
    log_error("replica stopped: its leader's log lacks what was committed", field("log", log.key().to_string()),
              field("leader", leader_), field("epoch", following.epoch), field("would_cut_to", to),
              field("high_watermark", partition->high_watermark()));
    return ok();
  }
  if (to >= log.log_end()) {
    trouble(following);
    return ok();
  }
  if (to < partition->high_watermark()) {
    log_warn("log cut below what was committed: its leader was elected uncleanly", field("log", log.key().to_string()),
             field("leader", leader_), field("unclean_epoch", partition->leadership().unclean_epoch),
             field("high_watermark", partition->high_watermark()), field("to", to));
  }
  log_info("log cut to its leader's", field("log", log.key().to_string()), field("leader", leader_),
           field("epoch", following.epoch), field("from", log.log_end()), field("to", to));
  const log::LogKey key = log.key();
  // From here on `following` may be gone. What is left are whole batches, also where the leader's log begins within
  // one.
  to = std::max(log::base_of_batch_at(log, to, append_deadline()), log.log_start());
  // Meanwhile this replica may have come to follow another leader, or to lead; then its high watermark stays, too.
  const auto still = [&] {
    const bool cuts = partition->following() && partition->epoch() == epoch && partition->may_cut(to);
    if (cuts) {
      partition->lower_high_watermark(to);
    }
    return cuts;
  };
  sim_pause("replication.before_cut");
  Status cut = log.truncate(to, still, append_deadline());
  if (absl::IsCancelled(cut) || absl::IsDeadlineExceeded(cut)) {
    return cut;
  }
  if (cut.ok()) {
    metrics_.truncations.add();
  }
  note(key);
  return ok();
}

}  // namespace chronik::replication
