// Writes of the log that succeed or end the process (rule R2): no retry, no second sync that might lie about the first.
#pragma once

#include <string_view>

#include "core/base/status.h"
#include "core/base/time.h"
#include "core/ports/disk.h"
#include "core/ports/process.h"

namespace chronik::wal {

class DiskGuard {
 public:
  DiskGuard(Disk& disk, Process& process, Duration timeout) : disk_(disk), process_(process), timeout_(timeout) {}

  // Each returns ok, or kAborted where the node is dying, or kResourceExhausted where that is `tolerated`. `what` names
  // the operation in the reason of the exit. A caller's cancellation does not reach them: what was begun is waited for.
  enum class FullDisk : std::uint8_t { kFatal, kTolerated };
  Status run(File& file, FileBatch batch, std::string_view what, FullDisk full = FullDisk::kFatal);
  Status sync_directory(std::string_view path);

  Disk& disk() { return disk_; }
  Deadline deadline() const;
  // For an error of any other call: ok and kAborted come back, kResourceExhausted where tolerated.
  Status judge(Status status, std::string_view what, FullDisk full);

 private:
  Disk& disk_;
  Process& process_;
  Duration timeout_;
};

}  // namespace chronik::wal
