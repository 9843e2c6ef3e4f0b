// The real world as the conformance suite sees it: a shard on sockets of the loopback and a fresh directory, whose
// system calls fail when they are told to.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/descriptor.h"
#include "runtime/shard_runtime.h"
#include "tests/conformance/world.h"

namespace chronik::runtime {

// A directory of its own, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// System calls that meet faults, each once, in the order in which they were asked for.
class FaultyCalls final : public SystemCalls {
 public:
  using Step = conformance::DiskStep;
  using Fault = conformance::DiskFault;

  void fail_next(Step step, Fault fault);
  void release_hung();
  // Whoever hangs gets an error and does nothing: its process is gone.
  void drop_hung();
  void limit_transfers(std::size_t bytes) { transfer_limit_ = bytes; }

  std::int64_t send(int socket, const msghdr& message) override;
  int open(int directory, const char* path, int flags, unsigned mode) override;
  std::int64_t read(int file, const iovec* parts, int count, std::uint64_t offset) override;
  std::int64_t read_cached(int file, const iovec* parts, int count, std::uint64_t offset) override;
  std::int64_t write(int file, const iovec* parts, int count, std::uint64_t offset) override;
  int sync_file(int file) override;
  int sync_directory(int directory) override;
  int sync_file_system(int directory) override;
  int truncate(int file, std::uint64_t size) override;
  int make_directory(int directory, const char* path, unsigned mode) override;
  int rename(int directory, const char* from, const char* to) override;
  int unlink(int directory, const char* path, int flags) override;
  int enter_store(bool commit) override;

 private:
  enum class Meets { kNothing, kShort, kError };
  struct Met {
    Meets what = Meets::kNothing;
    int error = 0;  // -errno
  };
  // Takes the fault that waits for `step`, and hangs where it says so.
  Met meet(Step step);
  bool expected(Step step);
  // One system call of that step: an error, or what call() says.
  template <typename Call>
  int once(Step step, Call call);

  std::mutex mutex_;
  std::condition_variable released_;
  std::array<std::deque<Fault>, 16> faults_;  // guarded by mutex_, as are the three below
  std::uint64_t release_ = 0;
  std::uint64_t hung_ = 0;
  bool dropped_ = false;
  std::size_t transfer_limit_ = 0;
};

class RealWorld final : public conformance::ConformanceWorld {
 public:
  RealWorld();

  bool simulated() const override { return false; }
  bool can(conformance::Ability ability) const override;
  conformance::RunEnd run(Body body, conformance::Death death, Duration limit) override;
  conformance::RunEnd run_to_fatal(Body body) override;
  using ConformanceWorld::run;

  Address here() const override { return Address::ipv4(127, 0, 0, 1, 0); }
  Address nobody() const override { return nobody_; }
  Address hole() const override { return hole_; }

  void fail_next(conformance::DiskStep step, conformance::DiskFault fault) override { calls_.fail_next(step, fault); }
  void release_hung() override { calls_.release_hung(); }
  void limit_transfers(std::size_t bytes) override { calls_.limit_transfers(bytes); }

 private:
  TemporaryDirectory directory_;
  FaultyCalls calls_;
  Descriptor bound_;  // an address that is taken and not listened at
  Address nobody_;
  std::vector<Descriptor> full_;  // a listener and the connections that fill its backlog
  Address hole_;
};

}  // namespace chronik::runtime
