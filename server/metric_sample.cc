#include "server/metric_sample.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "core/base/check.h"

namespace chronik::server {

namespace {

using Unit = MetricsRegistry::Unit;

// Buckets end at 2^first - 1 … 2^last - 1, in steps of `step` powers.
struct Buckets {
  int first;
  int last;
  int step;
};

Buckets buckets_of(Unit unit) {
  switch (unit) {
    case Unit::kSeconds: return {14, 36, 1};  // 16 us to 69 s, in nanoseconds
    case Unit::kBytes: return {10, 30, 2};    // 1 KiB to 1 GiB
    case Unit::kNone: return {1, 16, 1};
  }
  UNREACHABLE("a unit of histograms");
}

std::string full_name(const MetricSample& sample) {
  std::string name = "chronik_" + sample.name;
  if (sample.unit == Unit::kSeconds) {
    name += "_seconds";
  } else if (sample.unit == Unit::kBytes && !name.ends_with("_bytes")) {
    name += "_bytes";
  }
  return name;
}

const char* kind_name(MetricSample::Kind kind) {
  switch (kind) {
    case MetricSample::Kind::kCounter: return "counter";
    case MetricSample::Kind::kGauge: return "gauge";
    case MetricSample::Kind::kHistogram: return "histogram";
  }
  UNREACHABLE("a kind of metrics");
}

// "{result="success",le="7"}" of "result=success" and the end of a bucket; either may be empty.
std::string labels(std::string_view label, std::string_view bucket_end) {
  std::string out;
  if (!label.empty()) {
    const std::size_t equals = label.find('=');
    CHECK(equals != std::string_view::npos);
    out += fmt::format("{}=\"{}\"", label.substr(0, equals), label.substr(equals + 1));
  }
  if (!bucket_end.empty()) {
    out += fmt::format("{}le=\"{}\"", out.empty() ? "" : ",", bucket_end);
  }
  return out.empty() ? out : "{" + out + "}";
}

void append_histogram(std::string& text, const std::string& name, const MetricSample& sample) {
  const Histogram& histogram = *sample.histogram;
  const double scale = sample.unit == Unit::kSeconds ? 1e-9 : 1;
  const Buckets buckets = buckets_of(sample.unit);
  auto out = std::back_inserter(text);
  for (int power = buckets.first; power <= buckets.last; power += buckets.step) {
    const std::uint64_t end = (std::uint64_t{1} << power) - 1;
    fmt::format_to(out, "{}_bucket{} {}\n", name,
                   labels(sample.label, fmt::format("{:.9g}", static_cast<double>(end) * scale)),
                   histogram.count_up_to(end));
  }
  fmt::format_to(out, "{}_bucket{} {}\n", name, labels(sample.label, "+Inf"), histogram.count());
  fmt::format_to(out, "{}_sum{} {}\n", name, labels(sample.label, {}), static_cast<double>(histogram.sum()) * scale);
  fmt::format_to(out, "{}_count{} {}\n", name, labels(sample.label, {}), histogram.count());
}

}  // namespace

std::vector<MetricSample> sample_metrics(const MetricsRegistry& registry) {
  std::vector<MetricSample> samples;
  for (const MetricsRegistry::Entry& entry : registry.entries()) {
    MetricSample& sample = samples.emplace_back();
    sample.name = entry.name;
    sample.help = entry.help;
    sample.label = entry.label;
    sample.unit = entry.unit;
    if (entry.counter != nullptr) {
      sample.kind = MetricSample::Kind::kCounter;
      sample.value = static_cast<double>(entry.counter->value());
    } else if (entry.gauge != nullptr) {
      sample.value = static_cast<double>(entry.gauge->value());
    } else {
      sample.kind = MetricSample::Kind::kHistogram;
      sample.histogram = std::make_shared<const Histogram>(*entry.histogram);
    }
  }
  return samples;
}

std::string prometheus_text(std::span<const MetricSample> samples) {
  std::string text;
  std::string last;
  for (const MetricSample& sample : samples) {
    const std::string name = full_name(sample);
    if (name != last) {
      fmt::format_to(std::back_inserter(text), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, sample.help,
                     kind_name(sample.kind));
      last = name;
    }
    if (sample.kind == MetricSample::Kind::kHistogram) {
      append_histogram(text, name, sample);
    } else {
      fmt::format_to(std::back_inserter(text), "{}{} {}\n", name, labels(sample.label, {}), sample.value);
    }
  }
  return text;
}

}  // namespace chronik::server
