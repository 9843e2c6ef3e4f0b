#include "runtime/stalling_calls.h"

#include <cerrno>

namespace chronik::runtime {

void StallingCalls::stall_for(Duration duration) {
  {
    const std::lock_guard lock(mutex_);
    until_ = std::chrono::steady_clock::now() + std::chrono::nanoseconds(duration.nanoseconds());
  }
  changed_.notify_all();
}

bool StallingCalls::stalls() {
  const std::lock_guard lock(mutex_);
  return std::chrono::steady_clock::now() < until_;
}

void StallingCalls::pass() {
  std::unique_lock lock(mutex_);
  while (std::chrono::steady_clock::now() < until_) {
    const auto until = until_;  // which may change meanwhile
    changed_.wait_until(lock, until);
  }
}

std::int64_t StallingCalls::read(int file, const iovec* parts, int count, std::uint64_t offset) {
  pass();
  return SystemCalls::read(file, parts, count, offset);
}

std::int64_t StallingCalls::read_cached(int file, const iovec* parts, int count, std::uint64_t offset) {
  return stalls() ? -EAGAIN : SystemCalls::read_cached(file, parts, count, offset);
}

std::int64_t StallingCalls::write(int file, const iovec* parts, int count, std::uint64_t offset) {
  pass();
  return SystemCalls::write(file, parts, count, offset);
}

int StallingCalls::open(int directory, const char* path, int flags, unsigned mode) {
  pass();
  return SystemCalls::open(directory, path, flags, mode);
}

int StallingCalls::truncate(int file, std::uint64_t size) {
  pass();
  return SystemCalls::truncate(file, size);
}

int StallingCalls::make_directory(int directory, const char* path, unsigned mode) {
  pass();
  return SystemCalls::make_directory(directory, path, mode);
}

int StallingCalls::rename(int directory, const char* from, const char* to) {
  pass();
  return SystemCalls::rename(directory, from, to);
}

int StallingCalls::unlink(int directory, const char* path, int flags) {
  pass();
  return SystemCalls::unlink(directory, path, flags);
}

int StallingCalls::sync_file(int file) {
  pass();
  return SystemCalls::sync_file(file);
}

int StallingCalls::sync_directory(int directory) {
  pass();
  return SystemCalls::sync_directory(directory);
}

int StallingCalls::sync_file_system(int directory) {
  pass();
  return SystemCalls::sync_file_system(directory);
}

int StallingCalls::enter_store(bool commit) {
  pass();
  return SystemCalls::enter_store(commit);
}

}  // namespace chronik::runtime
