// A disk's model with a file system on it, for tests.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/disk_model.h"
#include "tests/sim/disk_draws.h"

namespace chronik::sim {

class ModelTest : public ::testing::Test {
 protected:
  InodeId create(std::string_view path) { return disk.open(path, OpenMode::kCreate).value(); }
  // A file that is there after any loss of power, with these bytes.
  InodeId durable_file(std::string_view path, std::string_view bytes) {
    const InodeId file = create(path);
    write(file, 0, bytes);
    sync(file);
    sync_directory("");
    return file;
  }
  void write(InodeId file, std::uint64_t offset, std::string_view bytes) {
    ASSERT_TRUE(disk.write(file, offset, bytes).ok());
  }
  void sync(InodeId file, SyncOutcome outcome = SyncOutcome::kDone, std::uint64_t seed = 1) {
    disk.end_sync(disk.begin_sync(file), outcome, draws_of(seed));
  }
  void sync_directory(std::string_view path, SyncOutcome outcome = SyncOutcome::kDone, std::uint64_t seed = 1) {
    disk.end_sync(disk.begin_sync_directory(path).value(), outcome, draws_of(seed));
  }
  static std::string read(const DiskModel& model, InodeId file, std::uint64_t offset, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    const StatusOr<std::size_t> got = model.read(file, offset, bytes);
    return got.ok() ? std::string(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(*got)) : "error";
  }
  std::string read(InodeId file, std::uint64_t offset, std::size_t size) { return read(disk, file, offset, size); }
  // What is in the file after the next loss of power of a clone; "none" without the file.
  std::string after_power_loss(std::string_view path, std::uint64_t seed, const Survival& survival = kAnything) {
    DiskModel copy = disk.clone();
    copy.process_kill();
    copy.power_loss(draws_of(seed), survival);
    const StatusOr<InodeId> file = copy.open(path, OpenMode::kRead);
    return file.ok() ? read(copy, *file, 0, kMiB) : "none";
  }
  std::set<std::string> outcomes(std::string_view path, int seeds = 200) {
    std::set<std::string> found;
    for (int seed = 0; seed < seeds; ++seed) {
      found.insert(after_power_loss(path, static_cast<std::uint64_t>(seed)));
    }
    return found;
  }

  DiskModel disk{64 * kMiB};
};
using Outcomes = std::set<std::string>;

}  // namespace chronik::sim
