// The running log: queue, committer, waiters. wal.h says what it promises.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/ring.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/wal/disk_guard.h"
#include "core/wal/disk_space.h"
#include "core/wal/file_set.h"
#include "core/wal/flush_builder.h"
#include "core/wal/wal.h"

namespace chronik::wal {

class Engine final : public Wal {
 public:
  Engine(const WalPorts& ports, const WalOptions& options, WalClient& client, CancelSource& parent,
         std::unique_ptr<WalMetrics> metrics, LogFiles files);
  ~Engine() override;
  Status start(const Deadline& deadline);

  Room try_reserve(std::size_t payload_bytes, Urgency urgency) override;
  Status wait_for_room(const Deadline& deadline) override;
  Lsn append(RecordType type, const LogKey& key, Slice payload, Offset log_end) override;
  Status wait_durable(Lsn lsn, const Deadline& deadline) override;
  void release_up_to(Lsn lsn) override;
  void hold_data(bool held) override;
  void note_disk_full() override;
  Status rotate(const Deadline& deadline) override;
  Status close(const Deadline& deadline) override;

  Lsn next_lsn() const override { return next_lsn_; }
  Lsn durable() const override { return durable_; }
  FlushNumber last_flush() const override { return last_flush_; }
  MonotonicTime flushing_since() const override { return flushing_since_; }
  Generation generation() const override { return files_.current().generation; }
  std::size_t files_in_use() const override { return files_.live().size(); }
  Lsn oldest_lsn() const override { return replay_from_; }
  const WalMetrics& metrics() const override { return *metrics_; }

 private:
  // A fiber in wait_durable(), in a list ordered by LSN.
  struct Waiting : ListHook<struct WaitingTag> {
    explicit Waiting(Lsn wanted) : lsn(wanted) {}
    fiber::Waiter waiter;
    Lsn lsn;
  };
  struct QueuedRecord {
    RecordType type = RecordType::kAppend;
    LogKey key;
    Slice payload;
    Offset log_end;
  };
  // A file that begins behind what is queued now.
  struct NextFile {
    FileHeader header;
    std::vector<Slice> checkpoint;
    std::size_t slot = 0;
  };

  Room room_for(std::size_t bytes, Urgency urgency);
  std::uint64_t limit_of(const FileHeader& header) const;
  // Of what is queued, each record may be of a log of its own, of which the flush behind it speaks.
  std::uint64_t queued() const { return queued_bytes_ + queue_.size() * kSummaryEntryBytes; }
  std::uint64_t projected() const { return position_ + record_bytes(summary_.bytes_max()) + queued(); }
  bool files_are_short() const;
  void press();
  void rotate_for_room();

  void commit_loop();
  Status linger(const WaitKey& key);
  Status delay_commit(const WaitKey& key);
  Status gather(const WaitKey& key, std::size_t records, std::uint64_t bytes, const Deadline& end);
  MonotonicTime now() const { return fiber::Scheduler::current().now(); }
  bool work_to_do() const { return !queue_.empty() || rotation_wanted() || next_file_.has_value(); }
  bool rotation_wanted() const { return rotation_asked_ > newest_generation(); }
  Generation newest_generation() const {
    return next_file_.has_value() ? next_file_->header.generation : current_.generation;
  }
  Status plan_rotation();
  bool better_slot_waits() const;
  Status flush();
  std::size_t batch_size(bool in_new_file) const;
  std::vector<Slice> build(std::size_t records, const NextFile* next_file);
  void begin_next_file(std::size_t records);
  void publish(Lsn last, bool began_file);
  void wake_waiters();

  void fill_loop();
  bool wants_fill() const;
  Status fill(std::size_t slot);
  WaitKey flush_key() const;

  WalPorts ports_;
  WalOptions options_;
  WalClient& client_;
  std::unique_ptr<WalMetrics> metrics_;
  DiskGuard disk_;
  DiskSpace space_;
  FileHeader current_;  // of the file that is written
  MonotonicTime flushing_since_ = MonotonicTime::never();
  FlushSummary summary_;  // of the last flush, in this file
  FileSet files_;
  FlushBuilder builder_;

  Ring<QueuedRecord> queue_;                  // waiting for a flush, in the order of their LSNs
  std::uint64_t queued_bytes_ = 0;            // as records in a file
  std::optional<std::size_t> granted_bytes_;  // by the last try_reserve(), for one append()
  Lsn next_lsn_;
  Lsn durable_;
  FlushNumber last_flush_;
  struct Commit {
    std::size_t records = 0;
    MonotonicTime end;
    Duration took;
  };
  Commit last_commit_;

  std::uint64_t position_;        // in it, where the next flush begins
  Lsn replay_from_;               // of the last durable checkpoint
  Lsn released_;                  // by the client
  Generation rotation_asked_{0};  // begin files until this one
  Generation checkpointed_{0};    // the newest file whose checkpoint is durable
  std::optional<NextFile> next_file_;

  bool data_held_ = false;  // by the client
  bool closing_ = false;
  fiber::Event work_;
  fiber::Event room_;
  fiber::Event fill_wanted_;
  fiber::Event rotated_;
  IntrusiveList<Waiting, WaitingTag> waiting_;
  fiber::FiberScope scope_;
};

}  // namespace chronik::wal
