#include <algorithm>
#include <cerrno>

#include "core/base/check.h"
#include "tests/runtime/real_world.h"

namespace chronik::runtime {

void FaultyCalls::fail_next(Step step, Fault fault) {
  const std::lock_guard lock(mutex_);
  faults_[static_cast<std::size_t>(step)].push_back(fault);
}

void FaultyCalls::release_hung() {
  {
    const std::lock_guard lock(mutex_);
    ++release_;
  }
  released_.notify_all();
}

void FaultyCalls::drop_hung() {
  std::unique_lock lock(mutex_);
  dropped_ = true;
  ++release_;
  released_.notify_all();
  released_.wait(lock, [this] { return hung_ == 0; });
  dropped_ = false;
}

FaultyCalls::Met FaultyCalls::meet(Step step) {
  std::unique_lock lock(mutex_);
  std::deque<Fault>& waiting = faults_[static_cast<std::size_t>(step)];
  if (waiting.empty()) {
    return {};
  }
  const Fault fault = waiting.front();
  waiting.pop_front();
  switch (fault) {
    case Fault::kShort: return {Meets::kShort, 0};
    case Fault::kIoError: return {Meets::kError, -EIO};
    case Fault::kNoSpace: return {Meets::kError, -ENOSPC};
    case Fault::kHang: break;
  }
  const std::uint64_t seen = release_;
  ++hung_;
  released_.wait(lock, [this, seen] { return release_ != seen; });
  --hung_;
  const bool dropped = dropped_;
  released_.notify_all();
  return dropped ? Met{Meets::kError, -EIO} : Met{};
}

bool FaultyCalls::expected(Step step) {
  const std::lock_guard lock(mutex_);
  return !faults_[static_cast<std::size_t>(step)].empty();
}

template <typename Call>
int FaultyCalls::once(Step step, Call call) {
  const Met met = meet(step);
  return met.what == Meets::kError ? met.error : call();
}

std::int64_t FaultyCalls::send(int socket, const msghdr& message) {
  if (transfer_limit_ == 0) {
    return SystemCalls::send(socket, message);
  }
  iovec first = message.msg_iov[0];
  first.iov_len = std::min(first.iov_len, transfer_limit_);
  msghdr part{};
  part.msg_iov = &first;
  part.msg_iovlen = 1;
  return SystemCalls::send(socket, part);
}

namespace {
// The first half of the first part, at least a byte of it.
iovec short_part(const iovec* parts) { return {parts[0].iov_base, std::max<std::size_t>(parts[0].iov_len / 2, 1)}; }
}  // namespace

std::int64_t FaultyCalls::write(int file, const iovec* parts, int count, std::uint64_t offset) {
  const Met met = meet(Step::kWrite);
  if (met.what == Meets::kShort) {
    const iovec part = short_part(parts);
    return SystemCalls::write(file, &part, 1, offset);
  }
  return met.what == Meets::kError ? met.error : SystemCalls::write(file, parts, count, offset);
}

std::int64_t FaultyCalls::read(int file, const iovec* parts, int count, std::uint64_t offset) {
  const Met met = meet(Step::kRead);
  if (met.what == Meets::kShort) {
    const iovec part = short_part(parts);
    return SystemCalls::read(file, &part, 1, offset);
  }
  return met.what == Meets::kError ? met.error : SystemCalls::read(file, parts, count, offset);
}

std::int64_t FaultyCalls::read_cached(int file, const iovec* parts, int count, std::uint64_t offset) {
  // A read that is to meet a fault has to go where faults are.
  return expected(Step::kRead) ? -EAGAIN : SystemCalls::read_cached(file, parts, count, offset);
}

int FaultyCalls::open(int directory, const char* path, int flags, unsigned mode) {
  return once(Step::kOpen, [&] { return SystemCalls::open(directory, path, flags, mode); });
}
int FaultyCalls::sync_file(int file) {
  return once(Step::kSync, [&] { return SystemCalls::sync_file(file); });
}
int FaultyCalls::sync_directory(int directory) {
  return once(Step::kSyncDirectory, [&] { return SystemCalls::sync_directory(directory); });
}
int FaultyCalls::sync_file_system(int directory) {
  return once(Step::kSyncAll, [&] { return SystemCalls::sync_file_system(directory); });
}
int FaultyCalls::truncate(int file, std::uint64_t size) {
  return once(Step::kTruncate, [&] { return SystemCalls::truncate(file, size); });
}
int FaultyCalls::make_directory(int directory, const char* path, unsigned mode) {
  return once(Step::kCreateDirectory, [&] { return SystemCalls::make_directory(directory, path, mode); });
}
int FaultyCalls::rename(int directory, const char* from, const char* to) {
  return once(Step::kRename, [&] { return SystemCalls::rename(directory, from, to); });
}
int FaultyCalls::unlink(int directory, const char* path, int flags) {
  return once(Step::kUnlink, [&] { return SystemCalls::unlink(directory, path, flags); });
}
int FaultyCalls::enter_store(bool commit) {
  return once(commit ? Step::kStoreCommit : Step::kStoreRead, [] { return 0; });
}

}  // namespace chronik::runtime
