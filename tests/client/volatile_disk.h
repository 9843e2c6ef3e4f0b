// The real disk, but what was not synced is gone when the process is killed: a killed process keeps the page cache, so
// without this a forgotten sync would stay unseen.
//
// Writes stay in memory until the sync that covers them; names, sizes and cuts are the real disk's at once.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/ports/disk.h"

namespace chronik::testing {

class VolatileDisk final : public Disk {
 public:
  // forget_syncs: after a file's first sync only its header is ever synced again, and nobody is told.
  VolatileDisk(Disk& real, bool forget_syncs) : real_(real), forget_syncs_(forget_syncs) {}

  StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenMode mode, DiskLane lane,
                                       const Deadline& deadline) override {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file, real_.open(path, mode, lane, deadline));
    std::shared_ptr<Unsynced>& unsynced = unsynced_[std::string(path)];
    if (unsynced == nullptr) {
      unsynced = std::make_shared<Unsynced>();
    }
    return std::make_unique<OpenFile>(std::move(file), unsynced, forget_syncs_);
  }
  Status create_directory(std::string_view path, const Deadline& deadline) override {
    return real_.create_directory(path, deadline);
  }
  StatusOr<std::vector<std::string>> list_directory(std::string_view path, const Deadline& deadline) override {
    return real_.list_directory(path, deadline);
  }
  Status rename(std::string_view from, std::string_view to, const Deadline& deadline) override {
    RETURN_IF_ERROR(real_.rename(from, to, deadline));
    auto moved = unsynced_.extract(std::string(from));
    unsynced_.erase(std::string(to));
    if (!moved.empty()) {
      moved.key() = std::string(to);
      unsynced_.insert(std::move(moved));
    }
    return ok();
  }
  Status unlink(std::string_view path, const Deadline& deadline) override {
    unsynced_.erase(std::string(path));
    return real_.unlink(path, deadline);
  }
  Status remove_directory(std::string_view path, const Deadline& deadline) override {
    return real_.remove_directory(path, deadline);
  }
  Status sync_directory(std::string_view path, const Deadline& deadline) override {
    return real_.sync_directory(path, deadline);
  }
  Status sync_all(const Deadline& deadline) override {
    const auto files = unsynced_;
    for (const auto& [path, unsynced] : files) {
      if (!unsynced->writes.empty()) {
        ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                         real_.open(path, OpenMode::kReadWrite, DiskLane::kBulk, deadline));
        RETURN_IF_ERROR(unsynced->put_down(*file, deadline));
      }
    }
    return real_.sync_all(deadline);
  }
  StatusOr<std::uint64_t> free_bytes(const Deadline& deadline) override { return real_.free_bytes(deadline); }

 private:
  // Of one file, however often it is open.
  struct Unsynced {
    std::vector<std::pair<std::uint64_t, Slice>> writes;  // offset and bytes, oldest first
    bool synced_before = false;

    std::uint64_t end() const {
      std::uint64_t end = 0;
      for (const auto& [offset, bytes] : writes) {
        end = std::max(end, offset + bytes.size());
      }
      return end;
    }
    Status put_down(File& file, const Deadline& deadline) {
      const std::size_t count = writes.size();
      FileBatch batch;
      batch.sync = true;
      for (const auto& [offset, bytes] : writes) {
        batch.writes.push_back({.offset = offset, .parts = {bytes}});
      }
      RETURN_IF_ERROR(file.run(std::move(batch), deadline));
      writes.erase(writes.begin(), writes.begin() + static_cast<std::ptrdiff_t>(count));
      synced_before = true;
      return ok();
    }
  };

  class OpenFile final : public File {
   public:
    OpenFile(std::unique_ptr<File> real, std::shared_ptr<Unsynced> unsynced, bool forget_syncs)
        : real_(std::move(real)), unsynced_(std::move(unsynced)), forget_syncs_(forget_syncs) {}

    Status run(FileBatch batch, const Deadline& deadline) override {
      bool at_start = false;
      for (const FileWrite& write : batch.writes) {
        at_start |= write.offset == 0;
        std::uint64_t at = write.offset;
        for (const Slice& part : write.parts) {
          unsynced_->writes.emplace_back(at, Slice::copy_of(part.bytes()));
          at += part.size();
        }
      }
      if (!batch.sync || (forget_syncs_ && unsynced_->synced_before && !at_start)) {
        return ok();
      }
      return unsynced_->put_down(*real_, deadline);
    }
    StatusOr<Slice> read(std::uint64_t offset, std::size_t size, const Deadline& deadline) override {
      ASSIGN_OR_RETURN(const Slice found, real_->read(offset, size, deadline));
      const std::uint64_t end = std::clamp(unsynced_->end(), offset + found.size(), offset + size);
      std::string bytes(found.text());
      bytes.resize(end - offset, '\0');
      for (const auto& [at, written] : unsynced_->writes) {
        const std::uint64_t from = std::max(at, offset);
        const std::uint64_t to = std::min(at + written.size(), end);
        if (from < to) {
          std::memcpy(bytes.data() + (from - offset), written.data() + (from - at), to - from);
        }
      }
      return Slice::copy_of(bytes);
    }
    Status fill(std::uint64_t offset, std::uint64_t size, const Deadline& deadline) override {
      return real_->fill(offset, size, deadline);
    }
    Status truncate(std::uint64_t size, const Deadline& deadline) override {
      std::vector<std::pair<std::uint64_t, Slice>> kept;
      for (auto& [offset, bytes] : unsynced_->writes) {
        if (offset < size) {
          kept.emplace_back(offset, bytes.sub(0, std::min<std::uint64_t>(bytes.size(), size - offset)));
        }
      }
      unsynced_->writes = std::move(kept);
      return real_->truncate(size, deadline);
    }
    StatusOr<std::uint64_t> size(const Deadline& deadline) override {
      ASSIGN_OR_RETURN(const std::uint64_t size, real_->size(deadline));
      return std::max(size, unsynced_->end());
    }

   private:
    std::unique_ptr<File> real_;
    std::shared_ptr<Unsynced> unsynced_;
    bool forget_syncs_;
  };

  Disk& real_;
  bool forget_syncs_;
  std::map<std::string, std::shared_ptr<Unsynced>> unsynced_;  // by path
};

}  // namespace chronik::testing
