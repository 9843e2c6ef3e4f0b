// A file of PosixDisk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/ports/disk.h"
#include "runtime/descriptor.h"
#include "runtime/event_loop.h"
#include "runtime/helper_pool.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

// A descriptor that several jobs may use. Shared by one shard alone; jobs drop it on the shard's thread.
using SharedDescriptor = std::shared_ptr<const Descriptor>;

// How much one turn reads out of memory. Such a read suspends nobody: whoever walks through a file that is in memory
// would have the loop to itself until the file's end. Beyond the bound a reader goes on in a later turn.
class CachedReads {
 public:
  explicit CachedReads(EventLoop& loop) : loop_(loop) {}
  // Waits for a turn that has read little. The wait is named after the file.
  Status begin(std::string_view path, const Deadline& deadline);
  void add(std::uint64_t bytes) { bytes_ += bytes; }

 private:
  EventLoop& loop_;
  std::uint64_t turn_ = 0;
  std::uint64_t bytes_ = 0;  // in that turn
};

class PosixFile final : public File {
 public:
  PosixFile(HelperPool& lane, SystemCalls& calls, CachedReads& cached, SharedDescriptor descriptor, std::string path)
      : lane_(lane), calls_(calls), cached_(cached), descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Status run(FileBatch batch, const Deadline& deadline) override;
  StatusOr<Slice> read(std::uint64_t offset, std::size_t size, const Deadline& deadline) override;
  Status fill(std::uint64_t offset, std::uint64_t size, const Deadline& deadline) override;
  Status truncate(std::uint64_t size, const Deadline& deadline) override;
  StatusOr<std::uint64_t> size(const Deadline& deadline) override;

 private:
  // Runs a job that changes the file; one that nobody waited for poisons it.
  template <typename Job>
  Status change(const char* what, std::unique_ptr<Job> job, const Deadline& deadline);
  Status poisoned() const;

  HelperPool& lane_;
  SystemCalls& calls_;
  CachedReads& cached_;
  SharedDescriptor descriptor_;
  std::string path_;
  bool poisoned_ = false;
};

}  // namespace chronik::runtime
