// A disk that stalls when it is told to: so that people can see, on a real process, what a stuck disk does.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "core/base/time.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

class StallingCalls final : public SystemCalls {
 public:
  // From any thread: calls of the disk and the store wait until then; zero: no longer.
  void stall_for(Duration duration);

  std::int64_t read(int file, const iovec* parts, int count, std::uint64_t offset) override;
  // As of a page that memory lacks, so that reads stall, too.
  std::int64_t read_cached(int file, const iovec* parts, int count, std::uint64_t offset) override;
  std::int64_t write(int file, const iovec* parts, int count, std::uint64_t offset) override;
  int open(int directory, const char* path, int flags, unsigned mode) override;
  int truncate(int file, std::uint64_t size) override;
  int make_directory(int directory, const char* path, unsigned mode) override;
  int rename(int directory, const char* from, const char* to) override;
  int unlink(int directory, const char* path, int flags) override;
  int sync_file(int file) override;
  int sync_directory(int directory) override;
  int sync_file_system(int directory) override;
  int enter_store(bool commit) override;

 private:
  bool stalls();
  void pass();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::chrono::steady_clock::time_point until_;  // guarded by mutex_
};

}  // namespace chronik::runtime
