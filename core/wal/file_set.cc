#include "core/wal/file_set.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/base/check.h"
#include "core/base/sim_point.h"

namespace chronik::wal {

std::size_t FileSet::existing() const {
  return static_cast<std::size_t>(std::count_if(files_.slots.begin(), files_.slots.end(), [](const auto& slot) {
    return slot->file != nullptr || slot->filling;
  }));
}

std::size_t FileSet::available() const {
  const auto filling =
      std::count_if(files_.slots.begin(), files_.slots.end(), [](const auto& s) { return s->filling; });
  const std::size_t exist = existing();
  const std::size_t to_create = options_.files_max > exist ? options_.files_max - exist : 0;
  return files_.free.size() + static_cast<std::size_t>(filling) + to_create;
}

bool FileSet::has_filled_free_slot() const {
  return std::any_of(files_.free.begin(), files_.free.end(),
                     [this](std::size_t index) { return files_.slots[index]->bytes >= options_.rotation_bytes; });
}

std::size_t FileSet::freed_by(Lsn replay_from, Lsn first_lsn) const {
  std::size_t freed = 0;
  for (std::size_t i = 0; i < files_.live.size(); ++i) {
    const Lsn next_begins = i + 1 < files_.live.size() ? files_.live[i + 1].first_lsn : first_lsn;
    if (next_begins <= replay_from) {
      ++freed;
    }
  }
  return freed;
}

bool FileSet::may_begin_file(Lsn replay_from, Lsn first_lsn) const {
  if (files_.free.empty() && existing() >= options_.files_max) {
    return false;
  }
  return available() > 1 || freed_by(replay_from, first_lsn) > 0;
}

StatusOr<std::size_t> FileSet::take_slot(DiskGuard& guard) {
  if (files_.free.empty()) {
    ASSIGN_OR_RETURN(const std::size_t created, create_slot(guard));
    files_.slots[created]->filling = false;
    return created;
  }
  const auto filled = std::find_if(files_.free.begin(), files_.free.end(), [this](std::size_t index) {
    return files_.slots[index]->bytes >= options_.rotation_bytes;
  });
  const auto chosen = filled != files_.free.end() ? filled : files_.free.begin();
  const std::size_t index = *chosen;
  files_.free.erase(chosen);
  return index;
}

StatusOr<std::size_t> FileSet::create_slot(DiskGuard& guard) {
  auto made = std::make_unique<Slot>();
  Slot& slot = *made;
  for (const auto& other : files_.slots) {
    slot.number = std::max(slot.number, other->number + 1);
  }
  slot.filling = true;
  files_.slots.push_back(std::move(made));
  const std::size_t index = files_.slots.size() - 1;
  auto opened = guard.disk().open(path(index), OpenMode::kCreate, DiskLane::kLog, guard.deadline());
  if (!opened.ok()) {
    slot.filling = false;
    RETURN_IF_ERROR(guard.judge(opened.status(), "creation of a log file", DiskGuard::FullDisk::kTolerated));
  }
  slot.file = *std::move(opened);
  sim_pause("wal.file_created");
  RETURN_IF_ERROR(guard.sync_directory(options_.directory));
  return index;
}

void FileSet::begin_file(std::size_t slot, Generation generation, Lsn first_lsn) {
  CHECK_LT(current().generation, generation);
  CHECK_LE(current().first_lsn, first_lsn);
  files_.live.push_back({.slot = slot, .generation = generation, .first_lsn = first_lsn});
}

bool FileSet::free_below(Lsn replay_from) {
  const std::size_t before = files_.live.size();
  while (files_.live.size() > 1 && files_.live[1].first_lsn <= replay_from) {
    files_.free.push_back(files_.live.front().slot);
    files_.live.erase(files_.live.begin());
  }
  return files_.live.size() < before;
}

StatusOr<std::optional<std::size_t>> FileSet::begin_fill(DiskGuard& guard) {
  if (has_filled_free_slot()) {
    return std::nullopt;
  }
  if (!files_.free.empty()) {
    const std::size_t index = files_.free.front();
    files_.free.pop_front();
    files_.slots[index]->filling = true;
    return index;
  }
  if (existing() >= options_.files_max) {
    return std::nullopt;
  }
  return create_slot(guard);
}

void FileSet::end_fill(std::size_t slot) {
  CHECK(files_.slots[slot]->filling);
  files_.slots[slot]->filling = false;
  files_.free.push_back(slot);
}

}  // namespace chronik::wal
