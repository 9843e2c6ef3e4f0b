#include "core/log/file_cache.h"

#include <utility>

namespace chronik::log {

StatusOr<FileRef> FileCache::open(const std::string& path, const Deadline& deadline) {
  if (const auto found = entries_.find(path); found != entries_.end()) {
    found->second.used = ++uses_;
    return found->second.file;
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
  entries_.erase(path);
}

FileRef FileCache::keep(const std::string& path, std::unique_ptr<File> file) {
  if (entries_.size() >= files_max_) {
    auto oldest = entries_.begin();
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      oldest = at->second.used < oldest->second.used ? at : oldest;
    }
    entries_.erase(oldest);
  }
  Entry& entry = entries_[path];
  entry = {Ref<OpenFile>::make(std::move(file)), ++uses_};
  return entry.file;
}

}  // namespace chronik::log
