// The small ports of a simulated shard: clock, random, process, and a disk and a store for machines that have none.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/clock.h"
#include "core/ports/process.h"
#include "core/ports/random.h"
#include "sim/decision.h"
#include "sim/device.h"

namespace chronik::sim {

class Shard;

class ClockPort final : public Clock {
 public:
  explicit ClockPort(Shard& shard) : shard_(shard) {}
  MonotonicTime monotonic() const override;
  WallTime wall() const override;

 private:
  Shard& shard_;
};

class RandomPort final : public Random {
 public:
  explicit RandomPort(const Draws& draws) : draws_(draws) {}
  std::uint64_t next() override { return draws_.next(); }

 private:
  Draws draws_;
};

class ProcessPort final : public Process {
 public:
  explicit ProcessPort(Shard& shard) : shard_(shard) {}
  [[noreturn]] void fatal(ExitStatus status, std::string_view reason) override;

 private:
  Shard& shard_;
};

// A machine without a data directory: nothing is found, nothing can be made.
std::unique_ptr<DiskDevice> no_disk();
std::unique_ptr<StoreDevice> no_store();

}  // namespace chronik::sim
