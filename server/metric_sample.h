// Copies of a shard's metrics, for other threads, and their text for Prometheus.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/metrics.h"

namespace chronik::server {

struct MetricSample {
  enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };

  std::string name;  // without the prefix "chronik_"
  std::string help;
  std::string label = {};  // "result=success", or empty
  Kind kind = Kind::kGauge;
  double value = 0;                                 // of a counter or gauge
  std::shared_ptr<const Histogram> histogram = {};  // of this sample alone
  MetricsRegistry::Unit unit = MetricsRegistry::Unit::kNone;
};

// On the shard's thread.
std::vector<MetricSample> sample_metrics(const MetricsRegistry& registry);

// Prometheus' text format 0.0.4. Samples of one name must stand together. Histograms of times are in seconds, and their
// names end in _seconds; their buckets end at powers of two.
std::string prometheus_text(std::span<const MetricSample> samples);

}  // namespace chronik::server
