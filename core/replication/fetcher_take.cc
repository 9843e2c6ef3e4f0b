// What a Fetcher does with a leader's answer for one partition: takes records, cuts its log, begins it anew.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/log/batch_at.h"
#include "core/log/batch_producer.h"
#include "core/log/compaction.h"
#include "core/protocol/record_batch_walk.h"
#include "core/replication/fetcher.h"

namespace chronik::replication {

using protocol::ErrorCode;
using protocol::FetchPartitionResponse;

namespace {

log::BatchSummary summary_of(const protocol::RecordBatchView& batch) {
  log::BatchSummary summary;
  summary.record_count = static_cast<std::int32_t>(batch.next_offset() - batch.base_offset());
  summary.max_timestamp = batch.max_timestamp();
  summary.offset_of_max_timestamp = Offset(summary.record_count - 1);  // which of them had it, the batch does not say
  summary.producer = log::producer_of(batch);
  return summary;
}

}  // namespace

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
      ask_anew(partition->log().key(), taken);
      return ok();
    }
  }
  no_more_trouble(partition->log().key());
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
void Fetcher::ask_anew(const log::LogKey& key, const Status& why) {
  const auto found = following_.find(key);
  if (found == following_.end()) {
    return;
  }
  Following& following = *found->second;
  metrics_.fetch_failures.add();
  // Once: a full disk stays full for hours.
  if (following.pause == Duration::zero()) {
    log_warn("replicated records not taken", field("log", key.to_string()), field("leader", leader_),
             field("why", why.ToString()));
  }
  forgotten_.push_back(key);
  trouble(following);
}

void Fetcher::no_more_trouble(const log::LogKey& key) {
  if (const auto found = following_.find(key); found != following_.end()) {
    found->second->pause = Duration::zero();
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
