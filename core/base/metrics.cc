#include "core/base/metrics.h"

#include <algorithm>
#include <bit>

namespace chronik {

std::size_t Histogram::index(std::uint64_t value) {
  constexpr std::uint64_t kSteps = std::uint64_t{1} << kStepBits;
  if (value < kSteps) {
    return static_cast<std::size_t>(value);
  }
  const int exponent = 63 - std::countl_zero(value);
  const std::uint64_t step = (value >> (exponent - kStepBits)) & (kSteps - 1);
  return (static_cast<std::size_t>(exponent - kStepBits + 1) << kStepBits) + static_cast<std::size_t>(step);
}

std::uint64_t Histogram::bucket_end(std::size_t index) {
  constexpr std::uint64_t kSteps = std::uint64_t{1} << kStepBits;
  if (index < kSteps) {
    return index;
  }
  const int shift = static_cast<int>(index >> kStepBits) - 1;
  const std::uint64_t step = index & (kSteps - 1);
  return ((kSteps + step) << shift) + ((std::uint64_t{1} << shift) - 1);
}

std::uint64_t Histogram::quantile(double share) const {
  if (count_ == 0) {
    return 0;
  }
  const double wanted = share * static_cast<double>(count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen > 0 && static_cast<double>(seen) >= wanted) {
      return std::min(bucket_end(i), max_);
    }
  }
  return max_;
}

std::uint64_t Histogram::count_up_to(std::uint64_t value) const {
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets && bucket_end(i) <= value; ++i) {
    seen += buckets_[i];
  }
  return seen;
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    buckets_[i] += other.buckets_[i];
  }
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

void MetricsRegistry::add(std::string_view name, std::string_view help, const Counter& counter,
                          std::string_view label) {
  entries_.push_back(
      {.name = std::string(name), .help = std::string(help), .label = std::string(label), .counter = &counter});
}

void MetricsRegistry::add(std::string_view name, std::string_view help, const Gauge& gauge, std::string_view label) {
  entries_.push_back(
      {.name = std::string(name), .help = std::string(help), .label = std::string(label), .gauge = &gauge});
}

void MetricsRegistry::add(std::string_view name, std::string_view help, const Histogram& histogram, Unit unit,
                          std::string_view label) {
  entries_.push_back({.name = std::string(name),
                      .help = std::string(help),
                      .label = std::string(label),
                      .histogram = &histogram,
                      .unit = unit});
}

}  // namespace chronik
