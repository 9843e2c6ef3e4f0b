// A file of PosixDisk.
#pragma once

#include <memory>
#include <string>

#include "core/ports/disk.h"
#include "runtime/descriptor.h"
#include "runtime/helper_pool.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

// A descriptor that several jobs may use. Shared by one shard alone; jobs drop it on the shard's thread.
using SharedDescriptor = std::shared_ptr<const Descriptor>;

class PosixFile final : public File {
 public:
  PosixFile(HelperPool& lane, SystemCalls& calls, SharedDescriptor descriptor, std::string path)
      : lane_(lane), calls_(calls), descriptor_(std::move(descriptor)), path_(std::move(path)) {}

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
  SharedDescriptor descriptor_;
  std::string path_;
  bool poisoned_ = false;
};

}  // namespace chronik::runtime
