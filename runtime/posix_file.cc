#include "runtime/posix_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/fiber/scheduler.h"
#include "runtime/io_wait.h"
#include "runtime/system_error.h"

namespace chronik::runtime {

namespace {

constexpr int kVectorsPerCall = IOV_MAX;
constexpr std::size_t kFillChunk = 1 << 20;
constexpr std::int64_t kWritebackBytesMin = 1 << 18;
constexpr std::uint64_t kCachedBytesPerTurn = 1 << 20;

class FileJob : public HelperJob {
 public:
  FileJob(SystemCalls& calls, SharedDescriptor descriptor) : calls_(calls), descriptor_(std::move(descriptor)) {}

 protected:
  int file() const { return descriptor_->number(); }

  // Moves all of `vectors`, going on after short counts. Returns bytes moved, fewer only where the file ended, or
  // -errno.
  template <typename Move>
  std::int64_t move_all(std::vector<iovec>& vectors, std::uint64_t offset, Move move) {
    std::int64_t moved = 0;
    std::size_t first = 0;
    while (first < vectors.size()) {
      const int count = static_cast<int>(std::min<std::size_t>(vectors.size() - first, kVectorsPerCall));
      std::int64_t now = move(&vectors[first], count, offset + static_cast<std::uint64_t>(moved));
      if (now == -EINTR) {
        continue;
      }
      if (now <= 0) {
        return now < 0 ? now : moved;
      }
      moved += now;
      for (; now > 0; ++first) {
        iovec& vector = vectors[first];
        const std::size_t part = std::min(vector.iov_len, static_cast<std::size_t>(now));
        now -= static_cast<std::int64_t>(part);
        if (part < vector.iov_len) {
          vector = {static_cast<std::uint8_t*>(vector.iov_base) + part, vector.iov_len - part};
          break;
        }
      }
    }
    return moved;
  }

  std::int64_t write_all(std::vector<iovec>& vectors, std::uint64_t offset) {
    std::size_t wanted = 0;
    for (const iovec& vector : vectors) {
      wanted += vector.iov_len;
    }
    const std::int64_t moved = move_all(vectors, offset, [this](const iovec* parts, int count, std::uint64_t at) {
      return calls_.write(file(), parts, count, at);
    });
    return moved < 0 || static_cast<std::size_t>(moved) == wanted ? moved : -EIO;
  }

  SystemCalls& calls_;

 private:
  SharedDescriptor descriptor_;
};

class BatchJob final : public FileJob {
 public:
  BatchJob(SystemCalls& calls, SharedDescriptor descriptor, FileBatch batch)
      : FileJob(calls, std::move(descriptor)), batch_(std::move(batch)) {
    // The helper must not touch a Slice (rule S5): it gets plain pointers, made here.
    for (const FileWrite& write : batch_.writes) {
      std::vector<iovec>& vectors = vectors_.emplace_back();
      for (const Slice& part : write.parts) {
        if (!part.empty()) {
          vectors.push_back({const_cast<std::uint8_t*>(part.data()), part.size()});  // NOLINT: only read
        }
      }
      offsets_.push_back(write.offset);
    }
  }

  std::int64_t run() override {
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
      const std::int64_t written = write_all(vectors_[i], offsets_[i]);
      if (written < 0) {
        return written;
      }
      if (!batch_.sync && written >= kWritebackBytesMin) {
        // Left to the sync that follows some day, it would all go out at once, with the log's own syncs behind it.
        calls_.start_writeback(file(), offsets_[i], static_cast<std::uint64_t>(written));
      }
    }
    return batch_.sync ? calls_.sync_file(file()) : 0;
  }

 private:
  FileBatch batch_;
  std::vector<std::vector<iovec>> vectors_;
  std::vector<std::uint64_t> offsets_;
};

class ReadJob final : public FileJob {
 public:
  ReadJob(SystemCalls& calls, SharedDescriptor descriptor, std::uint64_t offset, Slice into)
      : FileJob(calls, std::move(descriptor)), into_(std::move(into)), offset_(offset) {
    vectors_.push_back({into_.mutable_data(), into_.size()});
  }

  // What memory has. False: the disk must be asked for the rest.
  bool read_cached(std::int64_t& got) {
    got = move_all(vectors_, offset_, [this](const iovec* parts, int count, std::uint64_t at) {
      return calls_.read_cached(file(), parts, count, at);
    });
    return got >= 0;
  }
  std::int64_t run() override {
    vectors_.assign(1, {into_data_, into_size_});
    return move_all(vectors_, offset_, [this](const iovec* parts, int count, std::uint64_t at) {
      return calls_.read(file(), parts, count, at);
    });
  }
  const Slice& into() const { return into_; }

 private:
  Slice into_;
  std::uint8_t* into_data_ = into_.mutable_data();
  std::size_t into_size_ = into_.size();
  std::uint64_t offset_;
  std::vector<iovec> vectors_;
};

class FillJob final : public FileJob {
 public:
  FillJob(SystemCalls& calls, SharedDescriptor descriptor, std::uint64_t offset, std::uint64_t size)
      : FileJob(calls, std::move(descriptor)), offset_(offset), size_(size) {}

  std::int64_t run() override {
    const std::vector<std::uint8_t> zeros(kFillChunk);
    for (std::uint64_t done = 0; done < size_;) {
      const std::size_t now = static_cast<std::size_t>(std::min<std::uint64_t>(kFillChunk, size_ - done));
      std::vector<iovec> vectors{{const_cast<std::uint8_t*>(zeros.data()), now}};  // NOLINT: only read
      if (const std::int64_t written = write_all(vectors, offset_ + done); written < 0) {
        return written;
      }
      done += now;
    }
    return calls_.sync_file(file());
  }

 private:
  std::uint64_t offset_;
  std::uint64_t size_;
};

class TruncateJob final : public FileJob {
 public:
  TruncateJob(SystemCalls& calls, SharedDescriptor descriptor, std::uint64_t size)
      : FileJob(calls, std::move(descriptor)), size_(size) {}
  std::int64_t run() override { return calls_.truncate(file(), size_); }

 private:
  std::uint64_t size_;
};

class SizeJob final : public FileJob {
 public:
  using FileJob::FileJob;
  std::int64_t run() override {
    struct stat info {};
    return ::fstat(file(), &info) == 0 ? info.st_size : -errno;
  }
};

}  // namespace

Status CachedReads::begin(std::string_view path, const Deadline& deadline) {
  for (;;) {
    const std::uint64_t turn = fiber::Scheduler::current().turns();
    bytes_ = turn == turn_ ? bytes_ : 0;
    turn_ = turn;
    if (bytes_ < kCachedBytesPerTurn) {
      return ok();
    }
    IoWait wait;
    loop_.post({wait.number(), 0});
    const HelperWait detail(WaitKind::kDisk, "read", path);
    RETURN_IF_ERROR(
        wait.wait({WaitKind::kDisk, static_cast<std::uint64_t>(wait.number().value()), 0, 0}, deadline, &detail));
  }
}

Status PosixFile::poisoned() const {
  return poisoned_ ? absl::FailedPreconditionError(path_ + ": an operation on it has not ended") : ok();
}

template <typename Job>
Status PosixFile::change(const char* what, std::unique_ptr<Job> job, const Deadline& deadline) {
  RETURN_IF_ERROR(poisoned());
  RETURN_IF_ERROR(cannot_begin(deadline));
  const StatusOr<std::int64_t> result = lane_.run_as(job, {WaitKind::kDisk, what, path_}, deadline);
  if (!result.ok()) {
    if (result.status().code() == absl::StatusCode::kAborted) {
      return result.status();
    }
    poisoned_ = true;
    return absl::UnknownError(path_ + ": " + what + " did not end in time");
  }
  return *result < 0 ? disk_error(what, path_, static_cast<int>(-*result)) : ok();
}

Status PosixFile::run(FileBatch batch, const Deadline& deadline) {
  const char* what = batch.writes.empty() ? "sync" : "write";
  return change(what, std::make_unique<BatchJob>(calls_, descriptor_, std::move(batch)), deadline);
}

Status PosixFile::fill(std::uint64_t offset, std::uint64_t size, const Deadline& deadline) {
  return change("fill", std::make_unique<FillJob>(calls_, descriptor_, offset, size), deadline);
}

Status PosixFile::truncate(std::uint64_t size, const Deadline& deadline) {
  return change("truncate", std::make_unique<TruncateJob>(calls_, descriptor_, size), deadline);
}

StatusOr<Slice> PosixFile::read(std::uint64_t offset, std::size_t size, const Deadline& deadline) {
  RETURN_IF_ERROR(poisoned());
  RETURN_IF_ERROR(cannot_begin(deadline));
  RETURN_IF_ERROR(cached_.begin(path_, deadline));
  auto job = std::make_unique<ReadJob>(calls_, descriptor_, offset, Slice::allocate(size));
  std::int64_t got = 0;
  if (job->read_cached(got)) {
    cached_.add(static_cast<std::uint64_t>(got));
  } else {
    ASSIGN_OR_RETURN(got, lane_.run_as(job, {WaitKind::kDisk, "read", path_}, deadline));
  }
  return got < 0 ? StatusOr<Slice>(disk_error("read", path_, static_cast<int>(-got)))
                 : job->into().sub(0, static_cast<std::size_t>(got));
}

StatusOr<std::uint64_t> PosixFile::size(const Deadline& deadline) {
  RETURN_IF_ERROR(poisoned());
  RETURN_IF_ERROR(cannot_begin(deadline));
  // The kernel has this in memory for every open file.
  const std::int64_t got = SizeJob(calls_, descriptor_).run();
  return got < 0 ? StatusOr<std::uint64_t>(disk_error("size of", path_, static_cast<int>(-got)))
                 : static_cast<std::uint64_t>(got);
}

}  // namespace chronik::runtime
