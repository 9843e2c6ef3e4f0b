#include "core/wal/recovery.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/fiber/scheduler.h"

namespace chronik::wal {

Recovery::Recovery(const WalPorts& ports, const WalOptions& options, WalClient& client, WalMetrics& metrics,
                   const Deadline& deadline)
    : ports_(ports),
      options_(options),
      client_(client),
      metrics_(metrics),
      deadline_(deadline),
      disk_(ports.disk, ports.process, options.io_timeout) {}

StatusOr<LogFiles> Recovery::run() {
  RETURN_IF_ERROR(open_slots());
  std::optional<Index> newest;
  for (Index i = 0; i < slots_.size(); ++i) {
    if (headers_[i].has_value() && headers_[i]->generation > last_generation_) {
      last_generation_ = headers_[i]->generation;
      newest = i;
    }
  }
  RETURN_IF_ERROR(refuse_lost_headers(last_generation_));
  if (newest.has_value()) {
    RETURN_IF_ERROR(recover(*newest));
  } else {
    RETURN_IF_ERROR(begin(Generation::none()));
  }
  sim_pause("wal.recovery_replayed");
  RETURN_IF_ERROR(writer_->commit(next_lsn_, options_.directory));
  sim_pause("wal.recovery_committed");
  LogFiles files = finish();
  RETURN_IF_ERROR(drop_extra_slots(files));
  return files;
}

// ---- what is there ----

Status Recovery::prepare_directories() {
  // A directory that is there may still be missing after the next loss of power: its parent is synced every time.
  std::string_view parent;
  for (std::size_t at = 0; at != std::string::npos;) {
    at = options_.directory.find('/', at == 0 ? 0 : at + 1);
    const std::string_view path = std::string_view(options_.directory).substr(0, at);
    RETURN_IF_ERROR(ports_.disk.create_directory(path, deadline_));
    RETURN_IF_ERROR(disk_.sync_directory(parent));
    parent = path;
  }
  return ok();
}

Status Recovery::open_slots() {
  RETURN_IF_ERROR(prepare_directories());
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ports_.disk.list_directory(options_.directory, deadline_));
  for (const std::string& name : names) {
    std::uint32_t number = 0;
    if (!parse_slot_name(name, number)) {
      continue;
    }
    auto slot = std::make_unique<Slot>();
    slot->number = number;
    const std::string path = slot_path(options_.directory, number);
    ASSIGN_OR_RETURN(slot->file, ports_.disk.open(path, OpenMode::kReadWrite, DiskLane::kLog, deadline_));
    ASSIGN_OR_RETURN(slot->bytes, slot->file->size(deadline_));
    slots_.push_back(std::move(slot));
    headers_.emplace_back();
    RETURN_IF_ERROR(read_header(slots_.size() - 1));
  }
  return ok();
}

Status Recovery::read_header(Index index) {
  Slot& slot = *slots_[index];
  for (std::uint64_t at = 0; at < kHeaderBytes; at += kBlockBytes) {
    StatusOr<Slice> block = slot.file->read(at, kBlockBytes, deadline_);
    if (!block.ok()) {
      if (!absl::IsInternal(block.status())) {
        return block.status();
      }
      continue;  // the other copy is for this
    }
    const std::optional<FileHeader> header = decode_file_header(block->bytes());
    // A crash while a slot is taken into use again may leave one header of each use.
    if (header.has_value() && (!headers_[index].has_value() || header->generation > headers_[index]->generation)) {
      RETURN_IF_ERROR(check_header(*header));
      headers_[index] = header;
    }
  }
  return ok();
}

Status Recovery::check_header(const FileHeader& header) const {
  if (header.version < kFormatVersionOldest || header.version > kFormatVersion) {
    return absl::FailedPreconditionError(fmt::format("the log in {} has format {}, this program reads {} to {}",
                                                     options_.directory, header.version, kFormatVersionOldest,
                                                     kFormatVersion));
  }
  if (header.shard != options_.shard || header.shard_count != options_.shard_count) {
    return absl::FailedPreconditionError(
        fmt::format("the log in {} is of shard {} of {}, not {} of {}: drain it with its own count first",
                    options_.directory, header.shard, header.shard_count, options_.shard, options_.shard_count));
  }
  return ok();
}

std::optional<Recovery::Index> Recovery::find(Generation generation) const {
  for (Index i = 0; i < slots_.size(); ++i) {
    if (headers_[i].has_value() && headers_[i]->generation == generation) {
      return i;
    }
  }
  return std::nullopt;
}

std::optional<Recovery::Index> Recovery::newest_below(Generation generation) const {
  std::optional<Index> best;
  for (Index i = 0; i < slots_.size(); ++i) {
    if (headers_[i].has_value() && headers_[i]->generation < generation &&
        (!best.has_value() || headers_[i]->generation > headers_[*best]->generation)) {
      best = i;
    }
  }
  return best;
}

// A file without a header whose content says that it was in use, and is newer than all with one: both headers rotted.
// Without it the log would seem to end earlier than it does.
Status Recovery::refuse_lost_headers(Generation newest) {
  for (Index i = 0; i < slots_.size(); ++i) {
    Slot& slot = *slots_[i];
    if (headers_[i].has_value() || slot.bytes < kHeaderBytes + kRecordHeaderBytes) {
      continue;
    }
    StatusOr<Slice> head = slot.file->read(kHeaderBytes, kRecordHeaderBytes, deadline_);
    if (!head.ok() || head->size() < kRecordHeaderBytes) {
      continue;
    }
    const RecordHeader record = decode_record_header(head->data());
    if (record.generation <= newest || record.length > slot.bytes) {
      continue;
    }
    StatusOr<Slice> whole = slot.file->read(kHeaderBytes, kRecordHeaderBytes + record.length, deadline_);
    if (!whole.ok() || whole->size() < kRecordHeaderBytes + record.length || !record_is_whole(whole->bytes())) {
      continue;
    }
    FileHeader guess;
    guess.generation = record.generation;
    guess.use = record.use;
    guess.first_lsn = record.lsn;
    guess.first_flush = record.flush;
    FileReader reader(*slot.file, slot.bytes, guess, std::nullopt, options_.read_chunk_bytes);
    ASSIGN_OR_RETURN(const bool was_in_use, reader.holds_later_flush(deadline_));
    if (was_in_use) {
      return absl::DataLossError(
          fmt::format("both headers of {} are damaged, and the newest records of the log are in it",
                      slot_path(options_.directory, slot.number)));
    }
  }
  return ok();
}

// ---- what counts ----

Status Recovery::recover(Index newest) {
  const FileHeader& header = *headers_[newest];
  ASSIGN_OR_RETURN(const Survey survey, this->survey(newest));
  sim_pause("wal.recovery_surveyed");
  last_flush_ = survey.last_flush;
  Index end = newest;
  std::optional<Lsn> end_limit;
  in_doubt_from_ = survey.last_flush_first;
  newest_in_doubt_ = header.kind == FileKind::kRotation && !survey.first_flush_synced;
  if (newest_in_doubt_) {
    // The last flush is the one that began this file. Should it be gone after the next loss of power, the log ends with
    // the file before, so whatever that needs is kept.
    const std::optional<Index> before = newest_below(header.generation);
    if (before.has_value()) {
      for (const Index kept : chain_from(*before, headers_[*before]->replay_from).files) {
        kept_.insert(kept);
      }
    }
    if (!survey.checkpoint_whole) {
      if (!before.has_value()) {
        return absl::DataLossError(fmt::format("the checkpoint in {} is damaged, and the file before is missing",
                                               slot_path(options_.directory, slots_[newest]->number)));
      }
      end = *before;  // nothing in the newest counts, but what its header says of the file before is true
      end_limit = header.cut;
      in_doubt_from_ = header.cut.next();
    }
  }
  for (const Index kept : chain_from(newest, header.replay_from).files) {
    kept_.insert(kept);
  }
  RETURN_IF_ERROR(choose_base(end));
  if (header.kind == FileKind::kRecovery && !survey.first_flush_synced) {
    RETURN_IF_ERROR(renew_header(disk_, *slots_[newest], header));
  }
  const FileHeader& last = *headers_[end];
  previous_ = in_doubt_from_ > last.first_lsn ? last.generation : last.previous;
  RETURN_IF_ERROR(replay_checkpoint());
  RETURN_IF_ERROR(replay(end, end_limit));
  if (!writer_.has_value()) {
    RETURN_IF_ERROR(begin(previous_));
  }
  return ok();
}

StatusOr<Recovery::Survey> Recovery::survey(Index newest) {
  Slot& slot = *slots_[newest];
  const FileHeader& header = *headers_[newest];
  FileReader reader(*slot.file, slot.bytes, header, std::nullopt, options_.read_chunk_bytes);
  Survey survey;
  ASSIGN_OR_RETURN(const auto checkpoint, reader.read_checkpoint(deadline_));
  survey.checkpoint_whole = checkpoint.has_value();
  survey.last_flush = header.first_flush;
  survey.last_flush_first = header.first_lsn;
  for (;;) {
    ASSIGN_OR_RETURN(const FileReader::Step step, reader.next(deadline_));
    if (step == FileReader::Step::kEnd) {
      break;
    }
    if (step == FileReader::Step::kRecord && reader.header().flush > survey.last_flush) {
      survey.first_flush_synced = true;
      survey.last_flush = reader.header().flush;
      survey.last_flush_first = reader.header().lsn;
    }
  }
  if (reader.torn()) {
    log_info("wal ends in a torn flush", field("generation", header.generation), field("lsn", reader.expected()));
  }
  return survey;
}

Recovery::Chain Recovery::chain_from(Index newest, Lsn replay_from) const {
  Chain chain;
  std::optional<Index> at = newest;
  for (;;) {
    chain.files.push_back(*at);
    const FileHeader& header = *headers_[*at];
    if (header.first_lsn <= replay_from || header.previous == Generation::none()) {
      break;
    }
    CHECK_LT(header.previous, header.generation);
    at = find(header.previous);
    if (!at.has_value()) {
      chain.complete = false;
      break;
    }
  }
  std::reverse(chain.files.begin(), chain.files.end());
  return chain;
}

// The newest file, from `end` backwards, whose checkpoint can be read. That of an older one is of use only where every
// file from its replay_from on is still there.
Status Recovery::choose_base(Index end) {
  Lsn limit = in_doubt_from_;  // a checkpoint may not describe what does not count
  std::optional<Index> at = end;
  while (at.has_value()) {
    const FileHeader& header = *headers_[*at];
    FileReader reader(*slots_[*at]->file, slots_[*at]->bytes, header, std::nullopt, options_.read_chunk_bytes);
    ASSIGN_OR_RETURN(auto checkpoint, reader.read_checkpoint(deadline_));
    const bool may_be_torn = newest_in_doubt_ && header.generation == last_generation_;
    if (reader.damaged_copies() > 0 && !may_be_torn) {
      report(
          {.generation = header.generation, .position = kHeaderBytes, .first = header.first_lsn, .last = header.cut});
    }
    const Chain chain = chain_from(end, header.replay_from);
    const bool usable = at == end || (chain.complete && header.first_lsn <= limit);
    if (checkpoint.has_value() && usable) {
      base_ = *at;
      checkpoint_ = *std::move(checkpoint);
      replay_from_ = header.replay_from;
      for (const Index kept : chain.files) {
        kept_.insert(kept);
      }
      return ok();
    }
    limit = std::min(limit, header.first_lsn);
    at = newest_below(header.generation);
  }
  return absl::DataLossError(fmt::format("no checkpoint in {} can be read", options_.directory));
}

// ---- replay ----

Status Recovery::replay_checkpoint() {
  const Lsn lsn = headers_[base_]->first_lsn;
  for (std::size_t i = 0; i < checkpoint_.size(); ++i) {
    RETURN_IF_ERROR(client_.replay_checkpoint(lsn, checkpoint_[i], i + 1 == checkpoint_.size()));
  }
  checkpoint_.clear();
  return ok();
}

Status Recovery::replay(Index end, std::optional<Lsn> end_limit) {
  const Chain chain = chain_from(end, replay_from_);
  const FileHeader& oldest = *headers_[chain.files.front()];
  if (!chain.complete && replay_from_ < oldest.first_lsn) {
    report({.generation = oldest.previous, .position = 0, .first = replay_from_, .last = oldest.cut});
  }
  for (std::size_t i = 0; i < chain.files.size(); ++i) {
    const bool last = i + 1 == chain.files.size();
    RETURN_IF_ERROR(replay_file(chain.files[i], last ? end_limit : headers_[chain.files[i + 1]]->cut));
  }
  return ok();
}

Status Recovery::replay_file(Index index, std::optional<Lsn> limit) {
  Slot& slot = *slots_[index];
  FileReader reader(*slot.file, slot.bytes, *headers_[index], limit, options_.read_chunk_bytes);
  for (;;) {
    ASSIGN_OR_RETURN(const FileReader::Step step, reader.next(deadline_));
    if (step == FileReader::Step::kEnd) {
      next_lsn_ = std::max(reader.expected(), headers_[index]->first_lsn);
      return ok();
    }
    if (step == FileReader::Step::kRecord) {
      RETURN_IF_ERROR(replay_record(reader));
    } else if (reader.damage().last >= replay_from_) {
      report(reader.damage());
    }
  }
}

Status Recovery::replay_record(const FileReader& reader) {
  const RecordHeader& header = reader.header();
  if (header.type == RecordType::kSummary) {
    return replay_summary(header.lsn, reader.payload());
  }
  if (header.lsn < replay_from_) {
    return ok();
  }
  const bool in_doubt = header.lsn >= in_doubt_from_;
  if (in_doubt && !writer_.has_value()) {
    RETURN_IF_ERROR(begin(previous_));
  }
  metrics_.recovery_events.add();
  RETURN_IF_ERROR(client_.replay({.lsn = header.lsn,
                                  .flush = header.flush,
                                  .type = header.type,
                                  .key = header.key,
                                  .payload = reader.payload(),
                                  .in_doubt = in_doubt}));
  return in_doubt ? writer_->add(header.type, header.key, header.lsn, reader.payload(), client_.log_end(header.key))
                  : ok();
}

Status Recovery::replay_summary(Lsn lsn, const Slice& payload) {
  if (lsn <= headers_[base_]->first_lsn) {
    return ok();  // the checkpoint knows better
  }
  const bool read = read_flush_summary(payload.bytes(),
                                       [&](const LogKey& key, Offset end) { client_.replay_log_end(lsn, key, end); });
  return read ? ok() : absl::DataLossError(fmt::format("the summary before LSN {} cannot be read", lsn));
}

void Recovery::report(const DamagedRange& range) {
  metrics_.recovery_events.add();
  client_.replay_damage(range);
}

// ---- the new file ----

StatusOr<Recovery::Index> Recovery::free_slot() {
  std::optional<Index> best;
  std::uint32_t number = 0;
  for (Index i = 0; i < slots_.size(); ++i) {
    number = std::max(number, slots_[i]->number + 1);
    // A filled one first; among those the one whose content is oldest.
    const auto worth = [this](Index index) {
      const bool filled = slots_[index]->bytes >= options_.rotation_bytes;
      return std::pair(filled ? 0 : 1, headers_[index].has_value() ? headers_[index]->generation : Generation(0));
    };
    if (!kept_.contains(i) && (!best.has_value() || worth(i) < worth(*best))) {
      best = i;
    }
  }
  if (best.has_value()) {
    return *best;
  }
  auto slot = std::make_unique<Slot>();
  slot->number = number;
  const std::string path = slot_path(options_.directory, number);
  ASSIGN_OR_RETURN(slot->file, ports_.disk.open(path, OpenMode::kCreate, DiskLane::kLog, deadline_));
  slots_.push_back(std::move(slot));
  headers_.emplace_back();
  return slots_.size() - 1;
}

// Whether the files that a replay still needs, and the new one, would not leave one that is free (invariant 4).
bool Recovery::would_run_short(Generation previous) const {
  const std::optional<Index> before = find(previous);
  const std::size_t needed = before.has_value() ? chain_from(*before, replay_from_).files.size() : 0;
  return needed + 2 > options_.files_max;
}

Status Recovery::begin(Generation previous) {
  const bool drain = would_run_short(previous);
  if (drain) {
    RETURN_IF_ERROR(client_.drain_replayed());
  }
  ASSIGN_OR_RETURN(new_slot_, free_slot());
  CheckpointWriter checkpoint(in_doubt_from_);
  FileHeader header;
  header.kind = FileKind::kRecovery;
  header.shard = options_.shard;
  header.shard_count = options_.shard_count;
  header.generation = last_generation_.next();
  header.use = static_cast<std::uint32_t>(ports_.random.next());
  header.previous = previous;
  header.cut = in_doubt_from_ - 1;
  header.first_lsn = in_doubt_from_;
  header.first_flush = last_flush_.next();
  header.replay_from = client_.write_checkpoint(checkpoint);
  header.flush_bytes_max = flush_bytes_max(options_);
  CHECK_GE(header.replay_from, replay_from_);
  CHECK_LE(header.replay_from, header.first_lsn);
  CHECK(!drain || header.replay_from == header.first_lsn);
  std::vector<Slice> parts = checkpoint.take();
  if (parts.empty()) {
    parts.emplace_back();  // so that a checkpoint of nothing can be told from a lost one
  }
  writer_.emplace(disk_, *slots_[new_slot_], header, options_.gather_below_bytes);
  next_lsn_ = in_doubt_from_;
  return writer_->write_checkpoint(std::move(parts));
}

LogFiles Recovery::finish() {
  headers_[new_slot_] = writer_->header();
  LogFiles files;
  files.current = writer_->header();
  files.position = writer_->position();
  files.last_flush = files.current.first_flush;
  files.next_lsn = next_lsn_;
  files.summary = writer_->take_summary();
  for (const Index index : chain_from(new_slot_, files.current.replay_from).files) {
    files.live.push_back(
        {.slot = index, .generation = headers_[index]->generation, .first_lsn = headers_[index]->first_lsn});
  }
  std::vector<std::pair<Generation, Index>> free;
  for (Index i = 0; i < slots_.size(); ++i) {
    const bool live = std::any_of(files.live.begin(), files.live.end(), [i](const LiveFile& f) { return f.slot == i; });
    if (!live) {
      free.emplace_back(headers_[i].has_value() ? headers_[i]->generation : Generation(0), i);
    }
  }
  std::sort(free.begin(), free.end());
  for (const auto& [generation, index] : free) {
    files.free.push_back(index);
  }
  files.slots = std::move(slots_);
  return files;
}

// A recovery takes a slot beside those that the replay needs, which may have been all of them.
Status Recovery::drop_extra_slots(LogFiles& files) {
  std::size_t count = files.slots.size();
  while (count > options_.files_max && files.free.size() > 1) {
    const Index index = files.free.front();
    files.free.pop_front();
    const Status unlinked =
        ports_.disk.unlink(slot_path(options_.directory, files.slots[index]->number), disk_.deadline());
    RETURN_IF_ERROR(disk_.judge(unlinked, "unlink of a spare file", DiskGuard::FullDisk::kFatal));
    files.slots[index]->file.reset();
    --count;
  }
  return ok();
}

}  // namespace chronik::wal
