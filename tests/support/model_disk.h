// The Disk port for tests of core: the simulator's model of a disk behind calls that take virtual time, can be stopped
// at any point of any operation (a crash), held back, or made to fail.
//
// A point is a moment within an operation where a crash makes a difference. They are counted from 1; at the one that
// crash_at() names the disk stands still: nothing that is called afterwards ever returns. The test then kills the world
// and goes on with the model, or with clones of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/fiber/wait.h"
#include "core/ports/disk.h"
#include "core/ports/process.h"
#include "core/ports/random.h"
#include "sim/disk_model.h"

namespace chronik::testing {

// Waits until its node is killed.
[[noreturn]] inline void stand_still() {
  fiber::Event never;
  CancelSource nobody;
  for (;;) {
    const Status woken =
        never.wait(WaitKey{WaitKind::kDisk, 0, 0, 0}, Deadline(MonotonicTime::never(), Expiry::kNormal, nobody));
    if (!woken.ok()) {
      throw fiber::FiberKilled{};  // asked to wait while it unwinds
    }
  }
}

class FakeProcess : public Process {
 public:
  [[noreturn]] void fatal(ExitStatus status, std::string_view reason) override {
    ended = true;
    exit_status = status;
    exit_reason = std::string(reason);
    stand_still();
  }
  bool ended = false;
  ExitStatus exit_status = ExitStatus::kOk;
  std::string exit_reason;
};

class FakeRandom : public Random {
 public:
  explicit FakeRandom(std::uint64_t seed) : draws_(seed, "random", 0) {}
  std::uint64_t next() override { return draws_.next(); }

 private:
  sim::Draws draws_;
};

class ModelDisk : public Disk {
 public:
  explicit ModelDisk(sim::DiskModel& model) : model_(model) {}

  void crash_at(std::uint64_t point) { crash_at_ = point; }
  std::uint64_t points() const { return points_; }
  bool stopped() const { return stopped_; }
  // Some of the blocks of a write that is under way at the crash are written.
  void set_crash_draws(sim::Draws draws) { crash_draws_ = draws; }

  // Every sync of a file on the log's lane takes so long.
  Duration sync_time = Duration::microseconds(100);
  Duration fill_time = Duration::milliseconds(5);
  // Asked before each; an error is returned instead of doing it (a sync is done as one that failed).
  std::function<Status(std::string_view path, const FileBatch& batch)> on_run;
  std::function<Status(std::string_view path)> on_fill;
  std::function<Status(std::string_view path)> on_create;
  std::function<Status(std::string_view path)> on_create_directory;
  std::function<void(std::string_view event)> on_event;  // "write a/b 4096+8192", "synced a/b"
  // May suspend, before an operation is done or between that and its completion: "open", "read", "unlink" or
  // "truncate", and the path.
  std::function<void(const std::string& operation)> before;
  std::function<void(const std::string& operation)> after;
  bool hang_syncs = false;

  StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenMode mode, DiskLane,
                                       const Deadline& deadline) override {
    point();
    if (on_create && mode == OpenMode::kCreate) {
      RETURN_IF_ERROR(on_create(path));
    }
    return around("open " + std::string(path), [&]() -> StatusOr<std::unique_ptr<File>> {
      if (is_over(deadline)) {
        return late();
      }
      ASSIGN_OR_RETURN(const sim::InodeId id, model_.open(path, mode));
      return std::make_unique<OpenFile>(*this, id, std::string(path));
    });
  }
  Status create_directory(std::string_view path, const Deadline&) override {
    point();
    if (on_create_directory) {
      RETURN_IF_ERROR(on_create_directory(path));
    }
    const Status made = model_.create_directory(path);
    return absl::IsAlreadyExists(made) ? ok() : made;
  }
  StatusOr<std::vector<std::string>> list_directory(std::string_view path, const Deadline&) override {
    point();
    return model_.list_directory(path);
  }
  Status rename(std::string_view from, std::string_view to, const Deadline&) override {
    point();
    return model_.rename(from, to);
  }
  Status unlink(std::string_view path, const Deadline& deadline) override {
    point();
    return around("unlink " + std::string(path), [&] { return is_over(deadline) ? late() : model_.unlink(path); });
  }
  Status remove_directory(std::string_view path, const Deadline&) override {
    point();
    return model_.remove_directory(path);
  }
  Status sync_directory(std::string_view path, const Deadline&) override {
    point();
    ASSIGN_OR_RETURN(const sim::SyncTicket ticket, model_.begin_sync_directory(path));
    pass(sync_time);
    point();
    model_.end_sync(ticket, sim::SyncOutcome::kDone, draws_.child("sync", ++syncs_));
    return ok();
  }
  Status sync_all(const Deadline&) override {
    point();
    const sim::SyncTicket ticket = model_.begin_sync_all();
    pass(sync_time);
    point();
    model_.end_sync(ticket, sim::SyncOutcome::kDone, draws_.child("sync", ++syncs_));
    return ok();
  }
  StatusOr<std::uint64_t> free_bytes(const Deadline&) override {
    point();
    return model_.free_bytes();
  }

 private:
  class OpenFile : public File {
   public:
    OpenFile(ModelDisk& disk, sim::InodeId id, std::string path) : disk_(disk), id_(id), path_(std::move(path)) {}
    ~OpenFile() override {
      if (!disk_.stopped_) {
        disk_.model_.close(id_);
      }
    }
    Status run(FileBatch batch, const Deadline& deadline) override { return disk_.run(id_, path_, batch, deadline); }
    StatusOr<Slice> read(std::uint64_t offset, std::size_t size, const Deadline&) override {
      disk_.point();
      return disk_.around("read " + path_, [&]() -> StatusOr<Slice> {
        Slice bytes = Slice::allocate(size);
        ASSIGN_OR_RETURN(const std::size_t n, disk_.model_.read(id_, offset, bytes.mutable_bytes()));
        return bytes.sub(0, n);
      });
    }
    Status fill(std::uint64_t offset, std::uint64_t size, const Deadline&) override {
      disk_.point();
      if (disk_.on_fill) {
        RETURN_IF_ERROR(disk_.on_fill(path_));
      }
      disk_.pass(disk_.fill_time);
      disk_.point();
      return disk_.model_.fill(id_, offset, size, sim::SyncOutcome::kDone);
    }
    Status truncate(std::uint64_t size, const Deadline&) override {
      disk_.point();
      return disk_.around("truncate " + path_, [&] { return disk_.model_.truncate(id_, size); });
    }
    StatusOr<std::uint64_t> size(const Deadline&) override {
      disk_.point();
      return disk_.model_.size(id_);
    }

   private:
    ModelDisk& disk_;
    sim::InodeId id_;
    std::string path_;
  };

  Status run(sim::InodeId id, const std::string& path, const FileBatch& batch, const Deadline& deadline) {
    if (next_point_stops() && crash_draws_.has_value()) {
      for (const FileWrite& write : batch.writes) {
        model_.write_some(id, write, crash_draws_->child("write", points_));
      }
    }
    point();
    Status wanted = on_run ? on_run(path, batch) : ok();
    if (!wanted.ok() && !batch.sync) {
      return wanted;
    }
    sim::SyncTicket ticket = model_.begin_sync(id);
    model_.begin_own_writes(ticket);
    for (const FileWrite& write : batch.writes) {
      RETURN_IF_ERROR(model_.write(id, write));
      std::size_t size = 0;
      for (const Slice& part : write.parts) {
        size += part.size();
      }
      event("write " + path + " " + std::to_string(write.offset) + "+" + std::to_string(size));
    }
    model_.end_own_writes(ticket);
    if (!batch.sync) {
      return ok();
    }
    point();
    if (hang_syncs) {
      return hang(deadline);
    }
    pass(sync_time);
    const sim::SyncOutcome outcome = wanted.ok() ? sim::SyncOutcome::kDone : sim::SyncOutcome::kFailed;
    model_.end_sync(ticket, outcome, draws_.child("sync", ++syncs_));
    point();
    event("synced " + path);
    return wanted;
  }

  template <typename Do>
  std::invoke_result_t<Do> around(const std::string& operation, Do&& done) {
    if (before) {
      before(operation);
    }
    std::invoke_result_t<Do> result = done();
    if (after) {
      after(operation);
    }
    return result;
  }

  static bool is_over(const Deadline& deadline) { return fiber::Scheduler::current().now() >= deadline.at(); }
  static Status late() { return absl::DeadlineExceededError("the disk takes too long"); }
  Status hang(const Deadline& deadline) {
    const Status waited = fiber::Event().wait(WaitKey{WaitKind::kDisk, 0, 0, 0}, deadline);
    return absl::IsAborted(waited) ? waited : absl::UnknownError("the sync has not returned");
  }

  // All operations suspend, so that fibers interleave as they do on a real disk.
  void pass(Duration duration) {
    fiber::Waiter waiter;
    CancelSource nobody;
    waiter.wait(WaitKey{WaitKind::kDisk, 0, 0, 0},
                Deadline(fiber::Scheduler::current().now() + duration, Expiry::kNormal, nobody));
  }
  bool next_point_stops() const { return !stopped_ && points_ + 1 == crash_at_; }
  void point() {
    if (stopped_) {
      stand_still();
    }
    if (++points_ == crash_at_) {
      stopped_ = true;
      stand_still();
    }
    fiber::yield_to_ready();
    if (stopped_) {
      stand_still();
    }
  }
  void event(const std::string& what) {
    if (on_event) {
      on_event(what);
    }
  }

  sim::DiskModel& model_;
  sim::Draws draws_{1, "model-disk", 0};
  std::optional<sim::Draws> crash_draws_;
  std::uint64_t points_ = 0;
  std::uint64_t crash_at_ = 0;
  std::uint64_t syncs_ = 0;
  bool stopped_ = false;
};

}  // namespace chronik::testing
