#include "core/log/file_cache.h"

#include <utility>

namespace chronik::log {

StatusOr<FileRef> FileCache::open(const std::string& path, const Deadline& deadline) {
  if (const auto found = by_path_.find(path); found != by_path_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return found->second->file;
  }
  const std::uint64_t changes = changes_;
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, disk_.open(path, OpenMode::kReadWrite, DiskLane::kBulk, deadline));
  if (changes != changes_) {
    // Perhaps of this name, and what was opened is the file that had it before.
    return Ref<OpenFile>::make(std::move(file));
  }
  return keep(path, std::move(file));
}

StatusOr<FileRef> FileCache::create(const std::string& path, const Deadline& deadline) {
  StatusOr<std::unique_ptr<File>> file = disk_.open(path, OpenMode::kCreate, DiskLane::kBulk, deadline);
  if (absl::IsAlreadyExists(file.status())) {
    ASSIGN_OR_RETURN(const FileRef old, open(path, deadline));
    RETURN_IF_ERROR(old->file->truncate(0, deadline));
    return old;
  }
  RETURN_IF_ERROR(file.status());
  ++changes_;
  return keep(path, *std::move(file));
}

void FileCache::forget(const std::string& path) {
  ++changes_;
  if (const auto found = by_path_.find(path); found != by_path_.end()) {
    const auto entry = found->second;
    by_path_.erase(found);
    by_use_.erase(entry);
  }
}

FileRef FileCache::keep(const std::string& path, std::unique_ptr<File> file) {
  FileRef opened = Ref<OpenFile>::make(std::move(file));
  if (const auto found = by_path_.find(path); found != by_path_.end()) {
    found->second->file = opened;  // somebody else has opened it meanwhile
    return opened;
  }
  if (by_use_.size() >= files_max_) {
    by_path_.erase(by_use_.back().path);
    by_use_.pop_back();
  }
  by_use_.push_front({path, opened});
  by_path_[by_use_.front().path] = by_use_.begin();
  return opened;
}

}  // namespace chronik::log
