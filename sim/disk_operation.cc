#include "sim/disk_operation.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/base/crc32c.h"

namespace chronik::sim {
namespace {

std::uint32_t checksum_of(const FileWrite& write) {
  std::uint32_t crc = 0;
  for (const Slice& part : write.parts) {
    crc = crc32c(part.bytes(), crc);
  }
  return crc;
}

}  // namespace

OpenFile::OpenFile(SimulatedDisk& of, InodeId inode, std::string opened_path, bool may_write)
    : disk(of),
      id(inode),
      path(std::move(opened_path)),
      path_hash(mix_text(path)),
      writable(may_write),
      draws(of.draws_.child("open file", mix(path_hash, ++of.opens_[path_hash]))) {
  ++disk.open_files_;
}

OpenFile::~OpenFile() {
  --disk.open_files_;
  disk.model_.close(id);
}

// ---- any operation ----

Duration DiskOperation::duration() {
  const DiskKnobs& knobs = disk_.knobs_;
  Duration time = draws_.heavy_tailed(knobs.operation, knobs.operation_most);
  time = time + Duration::nanoseconds(static_cast<std::int64_t>(static_cast<Uint128>(bytes()) * 1'000'000'000 /
                                                                static_cast<std::uint64_t>(knobs.bytes_per_second)));
  const DiskStep last = steps() == 0 ? DiskStep::kOther : kind(steps() - 1);
  if (last == DiskStep::kSync || last == DiskStep::kSyncDirectory || last == DiskStep::kSyncAll) {
    time = time + draws_.heavy_tailed(knobs.sync, knobs.sync_most);
  }
  if (knobs.stalls.value != 0 && draws_.chance(knobs.stalls)) {
    fired("disk-stall");
    time = time + draws_.between(knobs.operation_most, std::max(knobs.operation_most, knobs.stall_most));
  }
  return time;
}

std::string DiskOperation::describe_wait() const {
  std::string names;
  for (std::size_t step = 0; step < steps(); ++step) {
    if (step == 0 || kind(step) != kind(step - 1)) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ",
                           kind(step) == DiskStep::kOther ? "look at" : disk_step_name(kind(step)));
    }
  }
  names += fmt::format("{}{}", path().empty() ? "" : " ", path());
  return bytes() == 0 ? names : names + fmt::format(", {} bytes", bytes());
}

LaneOperation::Progress DiskOperation::carry_out(Death& how) {
  const auto kills = [&](Death death) {
    fired(
        fmt::format("{}-at-{}", death == Death::kPowerLoss ? "power-loss" : "process-kill", disk_step_name(kind(at_))));
    how = death;
    let_go();
    return Progress::kKills;
  };
  for (; at_ < steps(); ++at_) {
    const DiskEffect effect = goes_on_ ? DiskEffect::kNone : disk_.meet(kind(at_), path(), draws_);
    goes_on_ = false;
    switch (effect) {
      case DiskEffect::kKillBefore: return kills(Death::kProcessKill);
      case DiskEffect::kPowerLossBefore: return kills(Death::kPowerLoss);
      case DiskEffect::kKillDuring: perform_part(at_); return kills(Death::kProcessKill);
      case DiskEffect::kPowerLossDuring: perform_part(at_); return kills(Death::kPowerLoss);
      case DiskEffect::kHang:
        fired("disk-hang");
        goes_on_ = true;
        return Progress::kHangs;
      default: break;
    }
    status_ = perform(at_, effect);
    if (effect == DiskEffect::kKillAfter || effect == DiskEffect::kPowerLossAfter) {
      return kills(effect == DiskEffect::kKillAfter ? Death::kProcessKill : Death::kPowerLoss);
    }
    if (!status_.ok()) {
      break;
    }
  }
  let_go();
  return Progress::kEnded;
}

void DiskOperation::die(Death how, bool begun) {
  const std::size_t left = steps() - at_;
  std::size_t whole = how == Death::kExit ? left : 0;
  bool part = false;
  if (begun && how != Death::kExit) {
    whole = draws_.below(left + 1);
    part = whole < left && draws_.below(2) == 0;
  }
  for (; whole != 0 && status_.ok(); --whole) {
    status_ = perform(at_++, DiskEffect::kNone);
  }
  if (part && status_.ok()) {
    perform_part(at_);
  }
  let_go();
}

void DiskOperation::record(std::uint64_t what, std::uint64_t where, std::uint64_t crc) {
  host().record(Record::kDisk, what, where, crc);
}

SyncOutcome DiskOperation::sync_outcome(DiskEffect effect) {
  switch (effect) {
    case DiskEffect::kIoError:
    case DiskEffect::kNoSpace: fired("sync-failed"); return SyncOutcome::kFailed;
    case DiskEffect::kLie: fired("sync-lied"); return SyncOutcome::kLied;
    default: return SyncOutcome::kDone;
  }
}

Status DiskOperation::sync_status(SyncOutcome outcome) {
  return outcome == SyncOutcome::kFailed ? absl::InternalError("a failed sync") : ok();
}

Status DiskOperation::error_of(DiskEffect effect) {
  return effect == DiskEffect::kNoSpace ? absl::ResourceExhaustedError("no space left on the disk")
                                        : absl::InternalError("an error of the disk");
}

// ---- batches ----

BatchOperation::BatchOperation(std::shared_ptr<OpenFile> file, FileBatch batch)
    : FileOperation(std::move(file)), batch_(std::move(batch)), sync_(batch_.sync) {
  for (const FileWrite& write : batch_.writes) {
    checksums_.push_back(checksum_of(write));
    for (const Slice& part : write.parts) {
      bytes_ += part.size();
    }
  }
  if (sync_) {
    sync_begun_ = true;
    ticket_ = model().begin_sync(this->file().id);
    ticket_.cover.own_from = ~WriteSeq{0};
  }
}

Status BatchOperation::perform(std::size_t step, DiskEffect effect) {
  return step < checksums_.size() ? write(batch_.writes[step], checksums_[step], effect) : end_sync(effect);
}

Status BatchOperation::write(const FileWrite& write, std::uint32_t checksum, DiskEffect effect) {
  const InodeId id = file().id;
  if (checksum_of(write) != checksum) {
    host().fail("OWNED-BUFFERS", fmt::format("bytes for {} at {} changed while being written", path(), write.offset));
  }
  record(static_cast<std::uint64_t>(DiskStep::kWrite), mix(file().path_hash, write.offset), checksum);
  const WriteSeq first = model().next_seq();
  Status written = ok();
  if (effect == DiskEffect::kIoError || effect == DiskEffect::kNoSpace) {
    fired(effect == DiskEffect::kIoError ? "write-failed" : "disk-full");
    model().write_some(id, write, draws());
    written = error_of(effect);
  } else {
    if (effect == DiskEffect::kMisplace && sync_) {
      misplaced_ = BlockPlace{id, write.offset / kBlockBytes};
      before_ = model().durable_content(*misplaced_);
    }
    written = model().write(id, write);
    if (absl::IsResourceExhausted(written)) {
      fired(path().ends_with(".log") ? kSegmentWithoutRoom : "disk-full");
    }
  }
  ticket_.cover.own_from = std::min(ticket_.cover.own_from, first);
  ticket_.cover.own_to = model().next_seq() - 1;
  return written;
}

Status BatchOperation::end_sync(DiskEffect effect) {
  record(static_cast<std::uint64_t>(DiskStep::kSync), file().path_hash, 0);
  const SyncOutcome outcome = sync_outcome(effect);
  sync_begun_ = false;
  model().end_sync(ticket_, outcome, draws().child("sync", ticket_.cover.before));
  if (misplaced_ && outcome == SyncOutcome::kDone) {
    const std::optional<BlockPlace> victim = model().pick_durable_block(draws().child("victim", ticket_.cover.before));
    if (victim && (victim->file != misplaced_->file || victim->block != misplaced_->block)) {
      fired("misplaced-write");
      model().misplace(*misplaced_, before_, *victim);
    }
  }
  return sync_status(outcome);
}

void BatchOperation::perform_part(std::size_t step) {
  if (step < checksums_.size()) {
    model().write_some(file().id, batch_.writes[step], draws());
  } else if (draws().below(2) == 0) {
    static_cast<void>(end_sync(DiskEffect::kNone));
  }
}

void BatchOperation::let_go() {
  batch_.writes.clear();
  if (std::exchange(sync_begun_, false)) {
    model().abandon_sync(ticket_);
  }
}

// ---- the other operations on files ----

StatusOr<Slice> ReadOperation::read(const DiskModel& model, InodeId file, std::uint64_t offset, std::size_t size) {
  const std::uint64_t end = model.size(file);
  const std::size_t length = offset >= end ? 0 : std::min<std::uint64_t>(size, end - offset);
  Slice bytes = Slice::allocate(length);
  ASSIGN_OR_RETURN(const std::size_t got, model.read(file, offset, bytes.mutable_bytes()));
  CHECK_EQ(got, length);
  return bytes;
}

Status ReadOperation::perform(std::size_t /*step*/, DiskEffect effect) {
  record(static_cast<std::uint64_t>(DiskStep::kRead), mix(file().path_hash, offset_), size_);
  if (effect == DiskEffect::kIoError) {
    fired("read-failed");
    return error_of(effect);
  }
  ASSIGN_OR_RETURN(read_, read(model(), file().id, offset_, size_));
  return ok();
}

FillOperation::FillOperation(std::shared_ptr<OpenFile> file, std::uint64_t offset, std::uint64_t size)
    : FileOperation(std::move(file)), offset_(offset), size_(size), ticket_(model().begin_sync(this->file().id)) {}

Status FillOperation::perform(std::size_t step, DiskEffect effect) {
  if (step == 0) {
    record(static_cast<std::uint64_t>(DiskStep::kWrite), mix(file().path_hash, offset_), size_);
    if (effect == DiskEffect::kIoError || effect == DiskEffect::kNoSpace) {
      fired(effect == DiskEffect::kIoError ? "write-failed" : "disk-full");
      perform_part(0);
      return error_of(effect);
    }
    return ok();  // written with the sync, whose outcome says whether it costs memory
  }
  const SyncOutcome outcome = sync_outcome(effect);
  model().begin_own_writes(ticket_);
  const Status filled = model().fill(file().id, offset_, size_, outcome);
  model().end_own_writes(ticket_);
  if (!filled.ok()) {
    fired("disk-full");
    return filled;
  }
  sync_begun_ = false;
  model().end_sync(ticket_, outcome, draws().child("sync", ticket_.cover.before));
  return sync_status(outcome);
}

void FillOperation::let_go() {
  if (std::exchange(sync_begun_, false)) {
    model().abandon_sync(ticket_);
  }
}

void FillOperation::perform_part(std::size_t /*step*/) {
  static_cast<void>(model().fill(file().id, offset_, draws().below(size_ + 1), SyncOutcome::kFailed));
}

Status TruncateOperation::perform(std::size_t /*step*/, DiskEffect effect) {
  record(static_cast<std::uint64_t>(DiskStep::kTruncate), file().path_hash, size_);
  return effect == DiskEffect::kIoError || effect == DiskEffect::kNoSpace ? error_of(effect)
                                                                          : model().truncate(file().id, size_);
}

void TruncateOperation::perform_part(std::size_t step) {
  if (draws().below(2) == 0) {
    static_cast<void>(perform(step, DiskEffect::kNone));
  }
}

// ---- syncs of names ----

NameSyncOperation::NameSyncOperation(SimulatedDisk& disk, Draws& draws, std::string_view directory)
    : DiskOperation(disk, draws), all_(false), path_(directory) {
  ticket_.cover.before = model().next_seq();
}

NameSyncOperation::NameSyncOperation(SimulatedDisk& disk, Draws& draws)
    : DiskOperation(disk, draws), all_(true), ticket_(model().begin_sync_all()) {}

Status NameSyncOperation::perform(std::size_t /*step*/, DiskEffect effect) {
  record(static_cast<std::uint64_t>(kind(0)), mix_text(path_), 0);
  return end(sync_outcome(effect));
}

Status NameSyncOperation::end(SyncOutcome outcome) {
  if (!all_) {
    ASSIGN_OR_RETURN(const SyncTicket found, model().begin_sync_directory(path_));
    ticket_ = {.of = found.of, .id = found.id, .cover = {.before = ticket_.cover.before}};
  }
  model().end_sync(ticket_, outcome, draws().child("sync", ticket_.cover.before));
  return sync_status(outcome);
}

void NameSyncOperation::perform_part(std::size_t /*step*/) {
  if (draws().below(2) == 0) {
    static_cast<void>(end(SyncOutcome::kDone));
  }
}

}  // namespace chronik::sim
