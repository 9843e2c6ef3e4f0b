#include "core/wal/disk_guard.h"

#include <fmt/core.h>

#include <utility>

#include "core/base/check.h"
#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/fiber/scheduler.h"

namespace chronik::wal {

Deadline DiskGuard::deadline() const {
  fiber::Scheduler& scheduler = fiber::Scheduler::current();
  return Deadline(scheduler.now() + timeout_, Expiry::kPeer, scheduler.root_cancel());
}

Status DiskGuard::run(File& file, FileBatch batch, std::string_view what, FullDisk full) {
  return judge(file.run(std::move(batch), deadline()), what, full);
}

Status DiskGuard::sync_directory(std::string_view path) {
  return judge(disk_.sync_directory(path, deadline()), "sync of the log's directory", FullDisk::kFatal);
}

Status DiskGuard::judge(Status status, std::string_view what, FullDisk full) {
  if (status.ok() || absl::IsAborted(status) || (full == FullDisk::kTolerated && absl::IsResourceExhausted(status))) {
    return status;
  }
  const std::string reason = fmt::format("{} failed: {}", what, status.ToString());
  log_error("wal failed", field("reason", reason));
  if (Observer* o = observer()) {
    o->on_disk_failure({}, reason);
  }
  process_.fatal(ExitStatus::kDiskFailed, reason);
  UNREACHABLE("the process went on after its end");
}

}  // namespace chronik::wal
