// Disk on a directory of the operating system's file system.
//
// Calls that may block run on helper threads: one for the log's lane, a few for the rest. Reads that memory can answer
// do not leave the shard's thread. A job owns its buffers and its descriptor until its real end; whoever stopped
// waiting finds the file poisoned (rule S2). Names that begin with a dot belong to the runtime (its lock, the store):
// they are refused and not listed. Lifetime: one per shard and data directory; files may outlive their last call, never
// the disk.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/disk.h"
#include "runtime/descriptor.h"
#include "runtime/event_loop.h"
#include "runtime/helper_pool.h"
#include "runtime/posix_file.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

// The data directory, opened and locked against every other process for as long as this lives.
class DataDirectory {
 public:
  // Creates the directory where it is missing (its parent must exist). kFailedPrecondition: locked by another process.
  static StatusOr<DataDirectory> open(const std::string& path);

  const std::string& path() const { return path_; }
  int descriptor() const { return directory_.number(); }

 private:
  DataDirectory(std::string path, Descriptor directory, Descriptor lock)
      : path_(std::move(path)), directory_(std::move(directory)), lock_(std::move(lock)) {}

  std::string path_;
  Descriptor directory_;
  Descriptor lock_;
};

class PosixDisk final : public Disk {
 public:
  PosixDisk(EventLoop& loop, SystemCalls& calls, const DataDirectory& directory);

  StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenMode mode, DiskLane lane,
                                       const Deadline& deadline) override;
  Status create_directory(std::string_view path, const Deadline& deadline) override;
  StatusOr<std::vector<std::string>> list_directory(std::string_view path, const Deadline& deadline) override;
  Status rename(std::string_view from, std::string_view to, const Deadline& deadline) override;
  Status unlink(std::string_view path, const Deadline& deadline) override;
  Status remove_directory(std::string_view path, const Deadline& deadline) override;
  Status sync_directory(std::string_view path, const Deadline& deadline) override;
  Status sync_all(const Deadline& deadline) override;
  StatusOr<std::uint64_t> free_bytes(const Deadline& deadline) override;

  // Jobs that have not really ended.
  std::size_t in_flight() const { return log_lane_.in_flight() + bulk_lane_.in_flight(); }

 private:
  // A call on paths, as a job of the bulk lane. `what` is a literal.
  template <typename Call>
  Status change(const char* what, std::string_view path, const Deadline& deadline, Call call);

  SystemCalls& calls_;
  const DataDirectory& directory_;
  CachedReads cached_reads_;
  HelperPool log_lane_;
  HelperPool bulk_lane_;
};

}  // namespace chronik::runtime
