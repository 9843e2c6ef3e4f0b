#include "runtime/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/check.h"
#include "runtime/io_wait.h"
#include "runtime/posix_file.h"
#include "runtime/system_error.h"

namespace chronik::runtime {

namespace {

constexpr unsigned kFileMode = 0640;
constexpr unsigned kDirectoryMode = 0750;
constexpr const char* kLockName = ".lock";
constexpr std::size_t kBulkThreads = 3;

Status check_path(std::string_view path) {
  if (path.empty()) {
    return ok();
  }
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    // Names that begin with a dot are the runtime's own, and so are "." and "..".
    if (name.empty() || name.front() == '.' || name.find('\0') != std::string_view::npos) {
      return absl::InvalidArgumentError("not a path within the data directory: " + std::string(path));
    }
    begin = end + 1;
  }
  return ok();
}

template <typename Call>
class CallJob final : public HelperJob {
 public:
  explicit CallJob(Call call) : call_(std::move(call)) {}
  std::int64_t run() override { return call_(); }

 private:
  Call call_;
};

// Opens the directory, calls use(descriptor), closes it.
template <typename Use>
std::int64_t with_directory(SystemCalls& calls, int base, const std::string& path, Use use) {
  const Descriptor directory(calls.open(base, path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY, 0));
  return directory.open() ? use(directory.number()) : directory.number();
}

std::int64_t list_names(int descriptor, std::vector<std::string>& names) {
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  DIR* stream = copy < 0 ? nullptr : ::fdopendir(copy);
  if (stream == nullptr) {
    return -errno;
  }
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    std::string name = entry->d_name;
    if (name.front() == '.') {
      continue;
    }
    struct stat info {};
    const bool directory =
        entry->d_type == DT_DIR ||
        (entry->d_type == DT_UNKNOWN && ::fstatat(descriptor, name.c_str(), &info, 0) == 0 && S_ISDIR(info.st_mode));
    names.push_back(directory ? name + "/" : std::move(name));
  }
  const int error = errno;
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return -error;
}

// The entry of `path` in its parent survives a loss of power. A parent that we may not read is not of our making.
Status sync_parent(const std::string& path) {
  const std::size_t name = path.find_last_of('/', path.find_last_not_of('/'));
  const std::string parent = name == std::string::npos ? "." : path.substr(0, name + 1);
  const Descriptor directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.open()) {
    return errno == EACCES ? ok() : disk_error("open directory", parent, errno);
  }
  return ::fsync(directory.number()) == 0 ? ok() : disk_error("sync directory", parent, errno);
}

// Makes the directory and those above it that are missing.
Status make_directories(const std::string& path) {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', path.find_first_not_of('/', end));
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), kDirectoryMode) == 0) {
      RETURN_IF_ERROR(sync_parent(part));
    } else if (errno != EEXIST) {
      return disk_error("create data directory", part, errno);
    }
  }
  // Also where an earlier start made it: that one may have ended before its sync.
  return sync_parent(path);
}

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead: return O_RDONLY;
    case OpenMode::kReadWrite: return O_RDWR;
    case OpenMode::kCreate: return O_RDWR | O_CREAT | O_EXCL;
  }
  UNREACHABLE("a mode of opening");
}

}  // namespace

StatusOr<DataDirectory> DataDirectory::open(const std::string& path) {
  RETURN_IF_ERROR(make_directories(path));
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.open()) {
    return disk_error("open data directory", path, errno);
  }
  Descriptor lock(::openat(directory.number(), kLockName, O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
  if (!lock.open()) {
    return disk_error("open lock of data directory", path, errno);
  }
  if (::flock(lock.number(), LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK
               ? absl::FailedPreconditionError("data directory " + path + " is in use by another process")
               : disk_error("lock data directory", path, errno);
  }
  return DataDirectory(path, std::move(directory), std::move(lock));
}

PosixDisk::PosixDisk(EventLoop& loop, SystemCalls& calls, const DataDirectory& directory)
    : calls_(calls),
      directory_(directory),
      cached_reads_(loop),
      log_lane_(loop, "disk-log", 1),
      bulk_lane_(loop, "disk-bulk", kBulkThreads) {}

template <typename Call>
Status PosixDisk::change(const char* what, std::string_view path, const Deadline& deadline, Call call) {
  RETURN_IF_ERROR(check_path(path));
  RETURN_IF_ERROR(cannot_begin(deadline));
  auto job = std::make_unique<CallJob<Call>>(std::move(call));
  const StatusOr<std::int64_t> result = bulk_lane_.run_as(job, {WaitKind::kDisk, what, path}, deadline);
  if (!result.ok()) {
    return result.status().code() == absl::StatusCode::kAborted
               ? result.status()
               : absl::UnknownError(std::string(path) + ": " + what + " did not end in time");
  }
  return *result < 0 ? disk_error(what, path, static_cast<int>(-*result)) : ok();
}

StatusOr<std::unique_ptr<File>> PosixDisk::open(std::string_view path, OpenMode mode, DiskLane lane,
                                                const Deadline& deadline) {
  // Owned by the job until it ends: a file that opens after its caller has gone is closed again.
  const auto opened = std::make_shared<Descriptor>();
  RETURN_IF_ERROR(change("open", path, deadline, [this, mode, opened, name = std::string(path)]() -> std::int64_t {
    const int number = calls_.open(directory_.descriptor(), name.c_str(), open_flags(mode), kFileMode);
    if (number < 0) {
      return number;
    }
    *opened = Descriptor(number);
    return 0;
  }));
  return std::make_unique<PosixFile>(lane == DiskLane::kLog ? log_lane_ : bulk_lane_, calls_, cached_reads_, opened,
                                     std::string(path));
}

Status PosixDisk::create_directory(std::string_view path, const Deadline& deadline) {
  return change("create directory", path, deadline, [this, name = std::string(path)]() -> std::int64_t {
    const int error = calls_.make_directory(directory_.descriptor(), name.c_str(), kDirectoryMode);
    if (error != -EEXIST) {
      return error;
    }
    struct stat info {};
    return ::fstatat(directory_.descriptor(), name.c_str(), &info, 0) == 0 && S_ISDIR(info.st_mode) ? 0 : -EEXIST;
  });
}

StatusOr<std::vector<std::string>> PosixDisk::list_directory(std::string_view path, const Deadline& deadline) {
  const auto names = std::make_shared<std::vector<std::string>>();
  RETURN_IF_ERROR(change("list", path, deadline, [this, names, name = std::string(path)]() -> std::int64_t {
    return with_directory(calls_, directory_.descriptor(), name,
                          [&names](int directory) { return list_names(directory, *names); });
  }));
  return std::move(*names);
}

Status PosixDisk::rename(std::string_view from, std::string_view to, const Deadline& deadline) {
  RETURN_IF_ERROR(check_path(to));
  return change("rename", from, deadline,
                [this, source = std::string(from), target = std::string(to)]() -> std::int64_t {
                  return calls_.rename(directory_.descriptor(), source.c_str(), target.c_str());
                });
}

Status PosixDisk::unlink(std::string_view path, const Deadline& deadline) {
  return change("unlink", path, deadline, [this, name = std::string(path)]() -> std::int64_t {
    return calls_.unlink(directory_.descriptor(), name.c_str(), 0);
  });
}

Status PosixDisk::remove_directory(std::string_view path, const Deadline& deadline) {
  return change("remove directory", path, deadline, [this, name = std::string(path)]() -> std::int64_t {
    return calls_.unlink(directory_.descriptor(), name.c_str(), AT_REMOVEDIR);
  });
}

Status PosixDisk::sync_directory(std::string_view path, const Deadline& deadline) {
  return change("sync directory", path, deadline, [this, name = std::string(path)]() -> std::int64_t {
    return with_directory(calls_, directory_.descriptor(), name,
                          [this](int directory) { return calls_.sync_directory(directory); });
  });
}

Status PosixDisk::sync_all(const Deadline& deadline) {
  return change("sync all", "", deadline,
                [this]() -> std::int64_t { return calls_.sync_file_system(directory_.descriptor()); });
}

StatusOr<std::uint64_t> PosixDisk::free_bytes(const Deadline& deadline) {
  const auto bytes = std::make_shared<std::uint64_t>(0);
  RETURN_IF_ERROR(change("free space of", "", deadline, [this, bytes]() -> std::int64_t {
    struct statvfs info {};
    if (::fstatvfs(directory_.descriptor(), &info) != 0) {
      return -errno;
    }
    *bytes = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
    return 0;
  }));
  return *bytes;
}

}  // namespace chronik::runtime
