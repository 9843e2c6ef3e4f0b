#include "sim/disk.h"

#include <algorithm>
#include <utility>

#include "core/fiber/wait.h"
#include "sim/disk_operation.h"
#include "sim/shard.h"

namespace chronik::sim {

const char* disk_step_name(DiskStep step) {
  switch (step) {
    case DiskStep::kOpen: return "open";
    case DiskStep::kRead: return "read";
    case DiskStep::kWrite: return "write";
    case DiskStep::kSync: return "sync";
    case DiskStep::kTruncate: return "truncate";
    case DiskStep::kCreateDirectory: return "create-directory";
    case DiskStep::kRename: return "rename";
    case DiskStep::kUnlink: return "unlink";
    case DiskStep::kSyncDirectory: return "sync-directory";
    case DiskStep::kSyncAll: return "sync-all";
    case DiskStep::kOther: return "other";
  }
  UNREACHABLE("a step");
}

const char* disk_effect_name(DiskEffect effect) {
  switch (effect) {
    case DiskEffect::kNone: return "none";
    case DiskEffect::kShort: return "short";
    case DiskEffect::kIoError: return "io-error";
    case DiskEffect::kNoSpace: return "no-space";
    case DiskEffect::kHang: return "hang";
    case DiskEffect::kLie: return "lie";
    case DiskEffect::kMisplace: return "misplace";
    case DiskEffect::kKillBefore: return "kill-before";
    case DiskEffect::kKillDuring: return "kill-during";
    case DiskEffect::kKillAfter: return "kill-after";
    case DiskEffect::kPowerLossBefore: return "power-loss-before";
    case DiskEffect::kPowerLossDuring: return "power-loss-during";
    case DiskEffect::kPowerLossAfter: return "power-loss-after";
  }
  UNREACHABLE("an effect");
}

DiskKnobs draw_disk_knobs(Draws& draws) {
  DiskKnobs knobs;
  knobs.operation = Duration::microseconds(draws.magnitude(5, 500));
  knobs.operation_most = knobs.operation * draws.magnitude(10, 500);
  knobs.sync = Duration::microseconds(draws.magnitude(20, 10'000));
  knobs.sync_most = knobs.sync * draws.magnitude(4, 100);
  knobs.bytes_per_second = draws.magnitude(10'000'000, 4'000'000'000);
  knobs.bulk_helpers = static_cast<std::uint32_t>(draws.between(1, 4));
  knobs.cached_read = percent(static_cast<std::uint32_t>(draws.between(0, 100)));
  knobs.survival.kept = static_cast<std::uint32_t>(draws.between(1, 8));
  knobs.survival.dropped = static_cast<std::uint32_t>(draws.between(1, 8));
  knobs.survival.torn = static_cast<std::uint32_t>(draws.between(0, 8));
  return knobs;
}

// ---- the ports ----

class DiskFile final : public File {
 public:
  DiskFile(DiskPort& port, Lane& lane, std::shared_ptr<OpenFile> file);
  ~DiskFile() override;

  Status run(FileBatch batch, const Deadline& deadline) override;
  StatusOr<Slice> read(std::uint64_t offset, std::size_t size, const Deadline& deadline) override;
  Status fill(std::uint64_t offset, std::uint64_t size, const Deadline& deadline) override;
  Status truncate(std::uint64_t size, const Deadline& deadline) override;
  StatusOr<std::uint64_t> size(const Deadline& deadline) override;

 private:
  Status may_begin(bool changes, const Deadline& deadline) const;
  template <typename Op>
  Status change(std::unique_ptr<Op> operation, const Deadline& deadline);

  DiskPort& port_;
  Lane& lane_;
  std::shared_ptr<OpenFile> file_;
  bool poisoned_ = false;
};

class DiskPort final : public Attached<chronik::Disk> {
 public:
  DiskPort(SimulatedDisk& device, ShardContext& context)
      : device_(device), log_(*device.host_, context, 1), bulk_(*device.host_, context, device.knobs_.bulk_helpers) {
    device_.ports_.push_back(this);
  }
  ~DiskPort() override { std::erase(device_.ports_, this); }

  StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenMode mode, DiskLane lane,
                                       const Deadline& deadline) override;
  Status create_directory(std::string_view path, const Deadline& deadline) override {
    return on_names(DiskStep::kCreateDirectory, path, deadline,
                    [this, name = std::string(path)] { return device_.model_.create_directory(name); });
  }
  StatusOr<std::vector<std::string>> list_directory(std::string_view path, const Deadline& deadline) override;
  Status rename(std::string_view from, std::string_view to, const Deadline& deadline) override {
    return on_names(DiskStep::kRename, from, deadline, [this, source = std::string(from), target = std::string(to)] {
      return device_.model_.rename(source, target);
    });
  }
  Status unlink(std::string_view path, const Deadline& deadline) override {
    return on_names(DiskStep::kUnlink, path, deadline,
                    [this, name = std::string(path)] { return device_.model_.unlink(name); });
  }
  Status remove_directory(std::string_view path, const Deadline& deadline) override {
    return on_names(DiskStep::kUnlink, path, deadline,
                    [this, name = std::string(path)] { return device_.model_.remove_directory(name); });
  }
  Status sync_directory(std::string_view path, const Deadline& deadline) override {
    RETURN_IF_ERROR(cannot_begin(deadline));
    return run(std::make_unique<NameSyncOperation>(device_, device_.name_draws_, path), deadline);
  }
  Status sync_all(const Deadline& deadline) override {
    RETURN_IF_ERROR(cannot_begin(deadline));
    return run(std::make_unique<NameSyncOperation>(device_, device_.name_draws_), deadline);
  }
  StatusOr<std::uint64_t> free_bytes(const Deadline& deadline) override;

  void detach(Death how) override {
    log_.detach(how);
    bulk_.detach(how);
  }
  std::size_t handles() const override { return files_; }

 private:
  friend class DiskFile;
  friend class SimulatedDisk;

  template <typename Op>
  Status run(std::unique_ptr<Op> operation, const Deadline& deadline) {
    const Status status = bulk_.run(operation, WaitKind::kDisk, deadline);
    if (status.ok()) {
      return operation->status();
    }
    return absl::IsAborted(status) ? status : absl::UnknownError("an operation on the disk did not end in time");
  }
  template <typename Call>
  Status on_names(DiskStep step, std::string_view path, const Deadline& deadline, Call call) {
    RETURN_IF_ERROR(cannot_begin(deadline));
    return run(std::make_unique<NameOperation<Call>>(device_, device_.name_draws_, step, path, std::move(call)),
               deadline);
  }

  SimulatedDisk& device_;
  Lane log_;
  Lane bulk_;
  std::size_t files_ = 0;
};

StatusOr<std::unique_ptr<File>> DiskPort::open(std::string_view path, OpenMode mode, DiskLane lane,
                                               const Deadline& deadline) {
  // Owned by the operation until it ends: a file that opens after its caller has gone is closed again.
  const auto opened = std::make_shared<std::shared_ptr<OpenFile>>();
  RETURN_IF_ERROR(on_names(DiskStep::kOpen, path, deadline, [this, mode, opened, name = std::string(path)]() -> Status {
    if (device_.open_files_ >= device_.knobs_.open_files_max) {
      device_.host_->fault_fired("too-many-open-files");
      return absl::ResourceExhaustedError("too many open files");
    }
    ASSIGN_OR_RETURN(const InodeId id, device_.model_.open(name, mode));
    *opened = std::make_shared<OpenFile>(device_, id, name, mode != OpenMode::kRead);
    return ok();
  }));
  return std::make_unique<DiskFile>(*this, lane == DiskLane::kLog ? log_ : bulk_, std::move(*opened));
}

StatusOr<std::vector<std::string>> DiskPort::list_directory(std::string_view path, const Deadline& deadline) {
  const auto names = std::make_shared<std::vector<std::string>>();
  RETURN_IF_ERROR(on_names(DiskStep::kOther, path, deadline, [this, names, name = std::string(path)]() -> Status {
    ASSIGN_OR_RETURN(*names, device_.model_.list_directory(name));
    return ok();
  }));
  return std::move(*names);
}

StatusOr<std::uint64_t> DiskPort::free_bytes(const Deadline& deadline) {
  const auto bytes = std::make_shared<std::uint64_t>(0);
  RETURN_IF_ERROR(on_names(DiskStep::kOther, "", deadline, [this, bytes] {
    *bytes = device_.model_.free_bytes();
    return ok();
  }));
  return *bytes;
}

DiskFile::DiskFile(DiskPort& port, Lane& lane, std::shared_ptr<OpenFile> file)
    : port_(port), lane_(lane), file_(std::move(file)) {
  ++port_.files_;
}

DiskFile::~DiskFile() { --port_.files_; }

Status DiskFile::may_begin(bool changes, const Deadline& deadline) const {
  if (poisoned_) {
    return absl::FailedPreconditionError("an operation on this file has not ended");
  }
  RETURN_IF_ERROR(cannot_begin(deadline));
  return changes && !file_->writable ? absl::InternalError("a file opened for reading") : ok();
}

template <typename Op>
Status DiskFile::change(std::unique_ptr<Op> operation, const Deadline& deadline) {
  const Status status = lane_.run(operation, WaitKind::kDisk, deadline);
  if (status.ok()) {
    return operation->status();
  }
  if (absl::IsAborted(status)) {
    return status;
  }
  poisoned_ = true;
  return absl::UnknownError("an operation on a file did not end in time");
}

Status DiskFile::run(FileBatch batch, const Deadline& deadline) {
  RETURN_IF_ERROR(may_begin(!batch.writes.empty(), deadline));
  return change(std::make_unique<BatchOperation>(file_, std::move(batch)), deadline);
}

Status DiskFile::fill(std::uint64_t offset, std::uint64_t size, const Deadline& deadline) {
  RETURN_IF_ERROR(may_begin(true, deadline));
  return change(std::make_unique<FillOperation>(file_, offset, size), deadline);
}

Status DiskFile::truncate(std::uint64_t size, const Deadline& deadline) {
  RETURN_IF_ERROR(may_begin(true, deadline));
  return change(std::make_unique<TruncateOperation>(file_, size), deadline);
}

StatusOr<Slice> DiskFile::read(std::uint64_t offset, std::size_t size, const Deadline& deadline) {
  RETURN_IF_ERROR(may_begin(false, deadline));
  SimulatedDisk& device = file_->disk;
  device.bytes_asked_for_ += size;
  if (device.strikes_.empty() && file_->draws.chance(device.knobs_.cached_read)) {
    fiber::maybe_suspend();
    return ReadOperation::read(device.model_, file_->id, offset, size);
  }
  auto operation = std::make_unique<ReadOperation>(file_, offset, size);
  RETURN_IF_ERROR(lane_.run(operation, WaitKind::kDisk, deadline));
  RETURN_IF_ERROR(operation->status());
  return operation->take();
}

StatusOr<std::uint64_t> DiskFile::size(const Deadline& deadline) {
  RETURN_IF_ERROR(may_begin(false, deadline));
  fiber::maybe_suspend();
  return file_->disk.model_.size(file_->id);
}

// ---- the device ----

SimulatedDisk::SimulatedDisk(std::unique_ptr<DeviceHost> host, const DiskKnobs& knobs, const Draws& draws)
    : host_(std::move(host)),
      knobs_(knobs),
      draws_(draws),
      name_draws_(draws.child("names", 0)),
      fault_draws_(draws.child("damage", 0)),
      model_(knobs.capacity_bytes) {}

SimulatedDisk::~SimulatedDisk() { CHECK(ports_.empty()); }

std::unique_ptr<Attached<chronik::Disk>> SimulatedDisk::attach(Shard& shard) { return attach(shard.context()); }

std::unique_ptr<Attached<chronik::Disk>> SimulatedDisk::attach(ShardContext& context) {
  return std::make_unique<DiskPort>(*this, context);
}

void SimulatedDisk::on_death(Death how) {
  CHECK(ports_.empty());
  CHECK_EQ(open_files_, std::size_t{0});
  const Draws draws = draws_.child("death", ++deaths_);
  model_.process_kill();
  if (how == Death::kPowerLoss) {
    model_.power_loss(draws, knobs_.survival);
  } else if (knobs_.evicts.value != 0 && draws.child("evict", 0).chance(knobs_.evicts)) {
    host_->fault_fired("clean-pages-evicted");
    model_.evict_clean_pages();
  }
}

void SimulatedDisk::strike(DiskStrike strike) {
  CHECK_GT(strike.nth, std::uint64_t{0});
  strikes_.push_back(std::move(strike));
}

void SimulatedDisk::release_hung() {
  for (DiskPort* port : ports_) {
    port->log_.release_hung();
    port->bulk_.release_hung();
  }
}

std::size_t SimulatedDisk::in_flight() const {
  std::size_t count = 0;
  for (const DiskPort* port : ports_) {
    count += port->log_.in_flight() + port->bulk_.in_flight();
  }
  return count;
}

DiskEffect SimulatedDisk::meet(DiskStep step, std::string_view path, Draws& draws) {
  // Every strike that waits for this step counts it; the first that is due takes it.
  DiskEffect met = DiskEffect::kNone;
  for (auto strike = strikes_.begin(); strike != strikes_.end();) {
    if (strike->step == step && path.find(strike->path) != std::string_view::npos &&
        (strike->nth > 1 || met == DiskEffect::kNone) && --strike->nth == 0) {
      met = strike->effect;
      strike = strikes_.erase(strike);
    } else {
      ++strike;
    }
  }
  return met != DiskEffect::kNone ? met : drawn_effect(step, draws);
}

DiskEffect SimulatedDisk::drawn_effect(DiskStep step, Draws& draws) const {
  const auto drawn = [&draws](PerMillion odds) { return odds.value != 0 && draws.chance(odds); };
  switch (step) {
    case DiskStep::kRead: return drawn(knobs_.read_fails) ? DiskEffect::kIoError : DiskEffect::kNone;
    case DiskStep::kWrite:
      if (drawn(knobs_.misplaces)) {
        return DiskEffect::kMisplace;
      }
      return drawn(knobs_.write_fails) ? DiskEffect::kIoError : DiskEffect::kNone;
    case DiskStep::kSync:
    case DiskStep::kSyncDirectory:
    case DiskStep::kSyncAll:
      if (drawn(knobs_.sync_fails)) {
        return DiskEffect::kIoError;
      }
      if (drawn(knobs_.sync_lies)) {
        return DiskEffect::kLie;
      }
      return drawn(knobs_.sync_hangs) ? DiskEffect::kHang : DiskEffect::kNone;
    default: return DiskEffect::kNone;
  }
}

bool SimulatedDisk::rot_somewhere(std::string_view within) {
  const std::optional<BlockPlace> place =
      model_.pick_durable_block(fault_draws_.child("rot", fault_draws_.next()), within);
  if (!place) {
    return false;
  }
  const std::uint64_t used =
      std::min<std::uint64_t>(model_.durable_size(place->file) - place->block * kBlockBytes, kBlockBytes);
  const std::uint32_t size = static_cast<std::uint32_t>(
      fault_draws_.magnitude(1, static_cast<std::int64_t>(std::min<std::uint64_t>(used, 64))));
  const std::uint32_t offset = static_cast<std::uint32_t>(fault_draws_.below(used - size + 1));
  model_.rot(*place, offset, size, static_cast<std::uint8_t>(1u << fault_draws_.below(8)));
  host_->fault_fired("bit-rot");
  return true;
}

bool SimulatedDisk::spoil_a_block(std::string_view within) {
  const std::optional<BlockPlace> place =
      model_.pick_durable_block(fault_draws_.child("spoil", fault_draws_.next()), within);
  if (!place) {
    return false;
  }
  model_.make_unreadable(*place);
  host_->fault_fired("unreadable-block");
  return true;
}

}  // namespace chronik::sim
