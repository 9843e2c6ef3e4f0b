// Short words for clauses about the disk. Each aborts where the call fails: a clause asks for failures by the port
// itself.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/conformance/clause.h"

namespace chronik::conformance {

std::vector<Clause> disk_life_clauses();   // what is promised while a process lives
std::vector<Clause> disk_death_clauses();  // what is found after it

// One life of a process; returns what `check` says.
template <typename Check>
bool in_one_life(ConformanceWorld& world, Check check, Death death = Death::kExit) {
  bool observed = false;
  const RunEnd end =
      world.run([&](Ports& ports, fiber::FiberScope&) { observed = check(ports.disk); }, death, Duration::seconds(20));
  EXPECT_TRUE(end.finished);
  return end.finished && observed;
}

inline std::unique_ptr<File> open(Disk& disk, std::string_view path, OpenMode mode) {
  StatusOr<std::unique_ptr<File>> file = disk.open(path, mode, DiskLane::kLog, soon());
  CHECK_OK(file.status());
  return *std::move(file);
}
inline std::unique_ptr<File> create(Disk& disk, std::string_view path) { return open(disk, path, OpenMode::kCreate); }

inline Status write(File& file, std::uint64_t offset, std::string_view bytes, const Deadline& deadline) {
  FileBatch batch;
  batch.writes.push_back({.offset = offset, .parts = {Slice::copy_of(bytes)}});
  return file.run(std::move(batch), deadline);
}
inline Status write(File& file, std::uint64_t offset, std::string_view bytes) {
  return write(file, offset, bytes, soon());
}
inline Status write_durably(File& file, std::uint64_t offset, std::string_view bytes) {
  FileBatch batch;
  batch.writes.push_back({.offset = offset, .parts = {Slice::copy_of(bytes)}});
  batch.sync = true;
  return file.run(std::move(batch), soon());
}
inline Status sync(File& file) {
  FileBatch batch;
  batch.sync = true;
  return file.run(std::move(batch), soon());
}

inline std::string read(File& file, std::uint64_t offset, std::size_t size) {
  const StatusOr<Slice> bytes = file.read(offset, size, soon());
  CHECK_OK(bytes.status());
  return std::string(bytes->text());
}
inline std::uint64_t size(File& file) { return file.size(soon()).value(); }

// All of a file; "none" without one of this name.
inline std::string contents(Disk& disk, std::string_view path) {
  const auto file = disk.open(path, OpenMode::kRead, DiskLane::kBulk, soon());
  return file.ok() ? read(**file, 0, 10'000'000) : std::string("none");
}
// The names in a directory, with spaces between.
inline std::string names(Disk& disk, std::string_view path) {
  const auto listed = disk.list_directory(path, soon());
  CHECK_OK(listed.status());
  std::string all;
  for (const std::string& name : *listed) {
    all += (all.empty() ? "" : " ") + name;
  }
  return all;
}

}  // namespace chronik::conformance
