#include "core/wal/engine.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/base/sim_point.h"
#include "core/wal/recovery.h"

namespace chronik::wal {

namespace {
constexpr std::size_t kControlQueueRecords = 1024;  // on top of queue_records_max
}  // namespace

StatusOr<std::unique_ptr<Wal>> Wal::open(const WalPorts& ports, const WalOptions& options, WalClient& client,
                                         CancelSource& parent, const Deadline& deadline) {
  RETURN_IF_ERROR(validate(options));
  auto metrics = std::make_unique<WalMetrics>();
  Recovery recovery(ports, options, client, *metrics, deadline);
  ASSIGN_OR_RETURN(LogFiles files, recovery.run());
  auto engine = std::make_unique<Engine>(ports, options, client, parent, std::move(metrics), std::move(files));
  RETURN_IF_ERROR(engine->start(deadline));
  return std::unique_ptr<Wal>(std::move(engine));
}

Engine::Engine(const WalPorts& ports, const WalOptions& options, WalClient& client, CancelSource& parent,
               std::unique_ptr<WalMetrics> metrics, LogFiles files)
    : ports_(ports),
      options_(options),
      client_(client),
      metrics_(std::move(metrics)),
      disk_(ports.disk, ports.process, options.io_timeout),
      space_(ports.disk, options.free_disk_reserve_bytes),
      current_(files.current),
      summary_(std::move(files.summary)),
      files_(options_, std::move(files)),
      builder_(options.gather_below_bytes),
      scope_(fiber::Scheduler::current(), parent) {
  next_lsn_ = current_.first_flush_last.next();
  durable_ = next_lsn_ - 1;
  last_flush_ = current_.first_flush;
  position_ = files_.initial_position();
  replay_from_ = current_.replay_from;
  released_ = replay_from_;
  checkpointed_ = current_.generation;
}

Engine::~Engine() = default;

Status Engine::start(const Deadline& deadline) {
  RETURN_IF_ERROR(space_.refresh(deadline));
  if (Observer* o = observer()) {
    o->on_wal_file(current_.generation, files_.path(files_.current().slot), false);
    o->on_wal_recovered(durable_, true);
  }
  const auto shard = static_cast<std::uint64_t>(options_.shard);
  scope_.spawn({"wal-commit", shard}, [this] { commit_loop(); });
  scope_.spawn({"wal-fill", shard}, [this] { fill_loop(); });
  scope_.spawn({"wal-space", shard}, [this] { space_.run(closing_, options_.io_timeout, room_); });
  return ok();
}

WaitKey Engine::flush_key() const { return {WaitKind::kWalFlush, static_cast<std::uint64_t>(options_.shard), 0, 0}; }

// ---- room (rule R14) ----

Room Engine::try_reserve(std::size_t payload_bytes, Urgency urgency) {
  CHECK_LE(payload_bytes, options_.record_bytes_max);
  granted_bytes_.reset();
  const Room room = room_for(record_bytes(payload_bytes), urgency);
  if (room == Room::kGranted) {
    granted_bytes_ = payload_bytes;
    return room;
  }
  metrics_->refused.add();
  if (room == Room::kDiskFull) {
    space_.note_refused();
  } else if (room == Room::kLogFull) {
    press();
  }
  return room;
}

Room Engine::room_for(std::size_t bytes, Urgency urgency) {
  const bool control = urgency == Urgency::kControl;
  const std::size_t records_max = options_.queue_records_max + (control ? kControlQueueRecords : 0);
  const std::uint64_t bytes_max = options_.queue_bytes_max + (control ? options_.control_reserve_bytes : 0);
  if (queue_.size() >= records_max || (!queue_.empty() && queued_bytes_ + bytes > bytes_max)) {
    return Room::kQueueFull;
  }
  if (closing_) {
    return Room::kLogFull;
  }
  if (!space_.allows(control, bytes)) {
    return Room::kDiskFull;
  }
  if (data_held_ && !control) {
    return Room::kQueueFull;
  }
  // What fits into the file where a record queued now will lie, and into those that may begin after it. The last free
  // slot is not counted: it is for the checkpoint that frees the others.
  const bool next = next_file_.has_value();
  const std::uint64_t limit =
      limit_of(next ? next_file_->header : current_) - (control ? 0 : options_.control_reserve_bytes);
  const std::uint64_t used = next ? next_file_->header.records_at() + queued() : projected();
  const std::size_t available = files_.available();
  const std::uint64_t beyond = available > 1 ? (available - 1) * (options_.rotation_bytes / 2) : 0;
  // A file that has grown beyond its limit, since no next one could be made, takes what it has too much from those.
  return used + bytes + kBlockBytes <= limit + beyond ? Room::kGranted : Room::kLogFull;
}

// A file is full at rotation_bytes; behind a checkpoint that takes most of that, there is room for records all the
// same.
std::uint64_t Engine::limit_of(const FileHeader& header) const {
  return std::max(options_.rotation_bytes, header.records_at() + options_.rotation_bytes / 2);
}

// Who was refused sleeps here, and nothing polls: each reason for a refusal has an event that ends it.
//   kQueueFull  the flush under way: publish(); or the client, by hold_data().
//   kLogFull    The refusal pressed the client, which answers by release_up_to() or note_disk_full(). release_up_to()
//               begins the file whose checkpoint frees others, and that ends in publish(); or the file has been begun
//               already, and ends there as well; or the last slot is being filled, and the end of that begins it; or it
//               cannot be created, which is a full disk.
//   kDiskFull   the answer of the disk, which the refusal has asked for.
Status Engine::wait_for_room(const Deadline& deadline) {
  if (closing_) {
    return absl::CancelledError("wal: closed");
  }
  return room_.wait(WaitKey{WaitKind::kWalRoom, 0, 0, 0}, deadline);
}

bool Engine::files_are_short() const { return files_.available() <= options_.files_max / 2; }

void Engine::press() {
  const std::vector<LiveFile>& live = files_.live();
  client_.on_pressure((live.size() > 1 ? live[1].first_lsn : next_lsn_) - 1);
}

// ---- append and wait ----

Lsn Engine::append(RecordType type, const LogKey& key, Slice payload, Offset log_end) {
  CHECK(type != RecordType::kCheckpoint);
  CHECK(granted_bytes_.has_value());
  CHECK_LE(payload.size(), *granted_bytes_);
  granted_bytes_.reset();
  const std::size_t bytes = record_bytes(payload.size());
  queue_.push({.type = type, .key = key, .payload = std::move(payload), .log_end = log_end});
  queued_bytes_ += bytes;
  space_.note_queued(bytes);
  metrics_->queue_depth.set(static_cast<std::int64_t>(queue_.size()));
  work_.notify_all();
  const Lsn lsn = next_lsn_;
  next_lsn_ = next_lsn_.next();
  return lsn;
}

Status Engine::wait_durable(Lsn lsn, const Deadline& deadline) {
  CHECK_LT(lsn, next_lsn_);
  if (lsn <= durable_) {
    fiber::maybe_suspend();
    return ok();
  }
  Waiting waiting(lsn);
  waiting_.insert_sorted(waiting, [](const Waiting& a, const Waiting& b) { return a.lsn < b.lsn; });
  return fiber::wake_status(waiting.waiter.wait(flush_key(), deadline));
}

void Engine::wake_waiters() {
  while (!waiting_.empty() && waiting_.front().lsn <= durable_) {
    waiting_.pop_front().waiter.fire(fiber::Wake::kSignalled);
  }
}

// ---- files ----

void Engine::release_up_to(Lsn lsn) {
  CHECK_LE(lsn, next_lsn_);
  released_ = std::max(released_, lsn);
  rotate_for_room();
}

void Engine::hold_data(bool held) {
  if (std::exchange(data_held_, held) && !held) {
    room_.notify_all();
  }
}

void Engine::note_disk_full() {
  space_.note_full();
  room_.notify_all();
}

void Engine::rotate_for_room() {
  // With room left, the checkpoint that makes use of what was released comes by itself, when the file is full.
  const bool wanted = files_.available() <= 1 || projected() >= limit_of(current_);
  if (wanted && !next_file_.has_value() && files_.may_begin_file(released_, next_lsn_)) {
    rotation_asked_ = current_.generation.next();
    work_.notify_all();
  }
}

Status Engine::rotate(const Deadline& deadline) {
  const Generation wanted = newest_generation().next();
  rotation_asked_ = wanted;
  work_.notify_all();
  while (checkpointed_ < wanted) {
    if (rotation_asked_ < wanted) {
      return absl::ResourceExhaustedError("wal: no free file to rotate to");
    }
    RETURN_IF_ERROR(rotated_.wait(flush_key(), deadline));
  }
  return ok();
}

Status Engine::close(const Deadline& deadline) {
  closing_ = true;
  work_.notify_all();
  room_.notify_all();
  fill_wanted_.notify_all();
  space_.wake();
  Status joined = scope_.join(deadline);
  if (!joined.ok()) {
    scope_.cancel_and_join();
  }
  return joined;
}

// ---- filling ahead (rule R5) ----

// An idle node fills nothing; one that writes has its next file ready before it needs it.
bool Engine::wants_fill() const {
  return position_ - current_.records_at() >= options_.fill_after_bytes && !files_.has_filled_free_slot();
}

void Engine::fill_loop() {
  const WaitKey key{WaitKind::kWork, 0, 0, 0};
  while (!closing_) {
    if (!fill_wanted_.wait(key, fiber::for_ever()).ok()) {
      return;
    }
    if (closing_ || !wants_fill() || !space_.allows(false, options_.rotation_bytes)) {
      continue;
    }
    StatusOr<std::optional<std::size_t>> slot = files_.begin_fill(disk_);
    if (absl::IsAborted(slot.status())) {
      return;
    }
    if (!slot.ok() || !slot->has_value()) {
      rotate_for_room();
      continue;
    }
    const Status filled = fill(**slot);
    files_.end_fill(**slot);
    rotate_for_room();
    room_.notify_all();
    work_.notify_all();
    if (absl::IsAborted(filled)) {
      return;
    }
    if (absl::IsResourceExhausted(filled)) {
      space_.ask_again();  // there was room, by the last answer
    }
    if (!filled.ok()) {
      log_warn("wal file not filled", field("path", files_.path(**slot)), field("error", filled.ToString()));
    }
  }
}

Status Engine::fill(std::size_t index) {
  Slot& slot = files_.slot(index);
  StatusOr<std::unique_ptr<File>> file =
      ports_.disk.open(files_.path(index), OpenMode::kReadWrite, DiskLane::kBulk, disk_.deadline());
  RETURN_IF_ERROR(disk_.judge(file.status(), "opening of a log file to fill", DiskGuard::FullDisk::kTolerated));
  const std::uint64_t end = round_up_to_block(options_.rotation_bytes);
  while (slot.bytes < end && !closing_ && !scope_.source().cancelled()) {
    const std::uint64_t step = std::min(options_.fill_step_bytes, end - slot.bytes);
    sim_pause("wal.before_fill");
    RETURN_IF_ERROR(disk_.judge((*file)->fill(slot.bytes, step, disk_.deadline()), "filling of a log file",
                                DiskGuard::FullDisk::kTolerated));
    slot.bytes += step;
  }
  return ok();
}

}  // namespace chronik::wal
