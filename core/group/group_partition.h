// A partition of __consumer_offsets that is led here, for one leader epoch: it runs a Coordinator on the partition's
// log.
//
// run() replays the log, then appends what calls want recorded: everything that has gathered while the batch before was
// being committed goes into the next. So records stand in the order of the calls, and a commit costs one batch however
// many share it. What waits for records is told when the high watermark has passed them; when the epoch ends first, all
// who wait are told NOT_COORDINATOR, and what was not committed is forgotten with this object.
//
// Life: counted; whoever makes it runs run() and run_timers() in fibers that hold a reference, and calls resign() when
// the partition is led here no more. Calls suspend, but for those that say otherwise.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/functional/any_invocable.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/counted.h"
#include "core/fiber/wait.h"
#include "core/group/coordinator.h"
#include "core/group/metrics.h"
#include "core/log/log_manager.h"
#include "core/ports/clock.h"
#include "core/protocol/record_batch_builder.h"
#include "core/replication/partition.h"

namespace chronik::group {

struct GroupPartitionOptions {
  Settings groups;
  OffsetsSettings offsets;
  Duration expiry_interval = Duration::seconds(600);  // offsets.retention.check.interval.ms
  Duration commit_timeout = Duration::seconds(5);     // offsets.commit.timeout.ms
};

// Whether a topic that offsets were committed for is gone; the id is zero where it was not recorded. Asked of whom the
// partition is led by: it knows of all topics that its predecessors knew, since they knew them before it was elected.
using TopicIsGone = absl::AnyInvocable<bool(const std::string& topic, const Uuid& id) const>;

// One who waits for an answer by its number, from when this is made until it goes.
template <typename Answer>
class Awaited final : private WaitDetail {
 public:
  using All = absl::btree_map<std::uint64_t, Awaited*>;
  // what: for people. all: outlives it.
  Awaited(All& all, std::uint64_t number, std::string what) : all_(all), number_(number), what_(std::move(what)) {
    all_.emplace(number, this);
  }
  Awaited(const Awaited&) = delete;
  Awaited& operator=(const Awaited&) = delete;
  ~Awaited() override { all_.erase(number_); }
  // False: the deadline passed, or the caller is called off.
  bool wait(Duration patience) {
    return told_.wait({WaitKind::kEvent, number_, 0, 0}, fiber::within(patience, Expiry::kPeer), this).ok();
  }
  Answer& answer() { return answer_; }
  static void tell(All& all, std::uint64_t number, Answer answer) {
    if (const auto found = all.find(number); found != all.end()) {
      found->second->answer_ = std::move(answer);
      found->second->told_.set();
      all.erase(found);
    }
  }

 private:
  std::string describe_wait() const override { return what_; }

  All& all_;
  std::uint64_t number_;
  std::string what_;
  fiber::Latch told_;
  Answer answer_ = {};
};

class GroupPartition final : public Counted {
 public:
  // All outlive it.
  GroupPartition(Ref<replication::Partition> partition, log::LogManager& logs, const Clock& clock,
                 const GroupPartitionOptions& options, const TopicIsGone& topic_is_gone, GroupMetrics& metrics);

  void run();
  void run_timers();
  // Does not suspend.
  void resign();

  bool runs_on(const Ref<replication::Partition>& partition) const {
    return partition_ == partition && partition->epoch() == epoch_;
  }
  // Whether the log is still led in the epoch that this was made for.
  bool still_led() const { return partition_->leading() && partition_->epoch() == epoch_; }
  // kNone: it serves; kCoordinatorLoadInProgress; kNotCoordinator: it has resigned.
  protocol::ErrorCode state() const;

  JoinAnswer join(const std::string& group, const JoinCall& call);
  SyncAnswer sync(const std::string& group, const SyncCall& call);
  protocol::ErrorCode heartbeat(const std::string& group, const std::string& member,
                                const std::optional<std::string>& instance, std::int32_t generation);
  // `errors`: of each member. What it returns concerns all of them.
  protocol::ErrorCode leave(const std::string& group, const std::vector<Coordinator::Leaving>& members,
                            std::vector<protocol::ErrorCode>& errors);
  // In two steps, since a client's commits take effect in the order in which they came: the first does not suspend.
  struct OffsetCommit {
    protocol::ErrorCode error = protocol::ErrorCode::kNone;      // of all, and then that is the end of it
    std::vector<protocol::ErrorCode> errors = {};                // of each
    std::unique_ptr<Awaited<protocol::ErrorCode>> awaited = {};  // null: there is nothing to wait for
  };
  OffsetCommit begin_commit(const CommitCall& call);
  // Returns what concerns all of them.
  protocol::ErrorCode finish(OffsetCommit& commit);
  protocol::ErrorCode delete_offsets(const std::string& group, const std::vector<PartitionName>& partitions,
                                     std::vector<protocol::ErrorCode>& errors);
  protocol::ErrorCode delete_group(const std::string& group);
  // The topic is gone; so are, a little later, the offsets of groups in it. Does not suspend.
  void forget_topic(const std::string& topic);
  // What is committed.
  const Coordinator& coordinator() const { return coordinator_; }

 private:
  bool serves() const { return !resigned_ && !loading_; }
  Moment now() const;
  // state(), and kCoordinatorNotAvailable where too much waits to be recorded already.
  protocol::ErrorCode takes_more() const;
  bool load();
  void replay(const log::ReadResult& read, Offset from);
  void take(Outcome outcome);
  void wake_timers();
  void abandon(const std::string& group, Ticket ticket);
  // Whether there may be more to be expired now.
  bool expire_some(const Moment& moment);
  void count(const Coordinator::Counts& now);
  // What of the queue goes into the next batch; the commits that end with it.
  std::vector<CommitId> gather(protocol::RecordBatchBuilder& builder, WallTime wall);
  void write_some();
  // Nothing that is on its way will be: these, and what has been begun of the next.
  void fail(std::vector<CommitId> commits, protocol::ErrorCode error);
  void settle(const std::vector<CommitId>& commits, protocol::ErrorCode error);
  // Waits until what the call wants recorded is. late: what is answered where it takes too long.
  protocol::ErrorCode carry_out(Outcome outcome, protocol::ErrorCode late);
  Ref<replication::Partition> partition_;
  log::LogManager& logs_;
  const Clock& clock_;
  const GroupPartitionOptions& options_;
  const TopicIsGone& topic_is_gone_;
  GroupMetrics& metrics_;
  Coordinator::Counts counted_;
  LeaderEpoch epoch_;
  Coordinator coordinator_;
  bool loading_ = true;
  bool resigned_ = false;
  bool swept_ = false;  // once, since it was loaded

  struct Queued {
    CommitId commit;
    std::vector<KeyAndValue> records;
    std::size_t bytes = 0;     // of the records
    std::size_t appended = 0;  // how many are, or are about to be
  };
  void leave_queue();
  std::deque<Queued> queue_;
  std::size_t queued_bytes_ = 0;
  fiber::Event queue_event_;
  fiber::Event timer_event_;
  MonotonicTime timer_at_ = MonotonicTime::never();  // when the timers' fiber wakes by itself

  Ticket last_ticket_ = 0;
  Awaited<JoinAnswer>::All joins_;
  Awaited<SyncAnswer>::All syncs_;
  Awaited<protocol::ErrorCode>::All commits_;
};

}  // namespace chronik::group
