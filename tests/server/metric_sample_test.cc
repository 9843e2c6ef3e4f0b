#include "server/metric_sample.h"

#include <gtest/gtest.h>

#include "server/banner.h"

namespace chronik::server {
namespace {

TEST(PrometheusText, CountersOfOneNameStandTogetherUnderOneHelp) {
  Counter good;
  Counter bad;
  good.add(5);
  MetricsRegistry registry;
  registry.add("produce_requests_total", "Requests", good, "result=success");
  registry.add("produce_requests_total", "Requests", bad, "result=error");
  EXPECT_EQ(prometheus_text(sample_metrics(registry)),
            "# HELP chronik_produce_requests_total Requests\n"
            "# TYPE chronik_produce_requests_total counter\n"
            "chronik_produce_requests_total{result=\"success\"} 5\n"
            "chronik_produce_requests_total{result=\"error\"} 0\n");
}

TEST(PrometheusText, AHistogramOfTimesIsInSecondsAndItsBucketsAddUp) {
  Histogram histogram;
  histogram.record(Duration::milliseconds(1));
  histogram.record(Duration::milliseconds(3));
  histogram.record(Duration::seconds(1000));
  MetricsRegistry registry;
  registry.add("wal_commit_duration", "Time", histogram, MetricsRegistry::Unit::kSeconds);
  const std::string text = prometheus_text(sample_metrics(registry));
  EXPECT_NE(text.find("# TYPE chronik_wal_commit_duration_seconds histogram\n"), std::string::npos);
  EXPECT_NE(text.find("_bucket{le=\"0.000524287\"} 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("_bucket{le=\"0.001048575\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("_bucket{le=\"0.004194303\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("_bucket{le=\"68.7194767\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("_bucket{le=\"+Inf\"} 3\n"), std::string::npos);
  EXPECT_NE(text.find("_sum 1000.004\n"), std::string::npos);
  EXPECT_NE(text.find("_count 3\n"), std::string::npos);
}

TEST(PrometheusText, SmallCountsAreExact) {
  Histogram histogram;
  histogram.record(std::uint64_t{1});
  histogram.record(std::uint64_t{2});
  histogram.record(std::uint64_t{7});
  MetricsRegistry registry;
  registry.add("wal_commit_batch_size", "Records", histogram, MetricsRegistry::Unit::kNone);
  const std::string text = prometheus_text(sample_metrics(registry));
  EXPECT_NE(text.find("chronik_wal_commit_batch_size_bucket{le=\"1\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("chronik_wal_commit_batch_size_bucket{le=\"3\"} 2\n"), std::string::npos);
  EXPECT_NE(text.find("chronik_wal_commit_batch_size_bucket{le=\"7\"} 3\n"), std::string::npos);
}

TEST(PrometheusText, ASampleIsACopy) {
  Histogram histogram;
  MetricsRegistry registry;
  registry.add("wal_commit_bytes", "Bytes", histogram, MetricsRegistry::Unit::kBytes);
  const std::vector<MetricSample> samples = sample_metrics(registry);
  histogram.record(std::uint64_t{1});
  EXPECT_NE(prometheus_text(samples).find("chronik_wal_commit_bytes_count 0\n"), std::string::npos);
}

TEST(Banner, SizesAreReadable) {
  EXPECT_EQ(readable_bytes(999), "999 bytes");
  EXPECT_EQ(readable_bytes(12'345'678), "12.3 MB");
  EXPECT_EQ(readable_bytes(5'000'000'000'000'000), "5000.0 TB");
}

}  // namespace
}  // namespace chronik::server
