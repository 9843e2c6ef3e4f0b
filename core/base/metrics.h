// Counters, gauges and histograms of one shard: plain numbers, a few nanoseconds each. Other threads read a snapshot
// that the shard makes of its own (rule S5), never these.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"

namespace chronik {

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_ += n; }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

class Gauge {
 public:
  void set(std::int64_t value) { value_ = value; }
  void add(std::int64_t n) { value_ += n; }
  std::int64_t value() const { return value_; }

 private:
  std::int64_t value_ = 0;
};

// Counts of values by magnitude: 8 steps per power of two, so a quantile is off by at most 6.25 %.
class Histogram {
 public:
  static constexpr int kStepBits = 3;
  static constexpr std::size_t kBuckets = std::size_t{(64 - kStepBits + 1)} << kStepBits;

  void record(std::uint64_t value) {
    ++buckets_[index(value)];
    ++count_;
    sum_ += value;
    max_ = value > max_ ? value : max_;
  }
  void record(Duration duration) {  // in nanoseconds; a negative one counts as zero
    record(duration.nanoseconds() < 0 ? 0 : static_cast<std::uint64_t>(duration.nanoseconds()));
  }
  std::uint64_t count() const { return count_; }
  std::uint64_t sum() const { return sum_; }
  std::uint64_t max() const { return max_; }
  // The value below which `share` (0..1) of the recorded values lie, rounded up to its bucket's end; 0 without values.
  std::uint64_t quantile(double share) const;
  // How many recorded values lie in buckets that end at or below `value`.
  std::uint64_t count_up_to(std::uint64_t value) const;
  void merge(const Histogram& other);

  static std::size_t index(std::uint64_t value);
  static std::uint64_t bucket_end(std::size_t index);  // the largest value that falls into the bucket

 private:
  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

// The metrics of a shard by name, for whoever exposes them. Holds pointers: what it names must outlive it.
class MetricsRegistry {
 public:
  enum class Unit : std::uint8_t { kNone, kSeconds, kBytes };  // of a histogram; kSeconds: recorded in nanoseconds
  struct Entry {
    std::string name;  // without the prefix "chronik_"
    std::string help;
    std::string label = {};  // "result=success", or empty
    const Counter* counter = nullptr;
    const Gauge* gauge = nullptr;
    const Histogram* histogram = nullptr;
    Unit unit = Unit::kNone;
  };

  void add(std::string_view name, std::string_view help, const Counter& counter, std::string_view label = {});
  void add(std::string_view name, std::string_view help, const Gauge& gauge, std::string_view label = {});
  void add(std::string_view name, std::string_view help, const Histogram& histogram, Unit unit,
           std::string_view label = {});
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace chronik
