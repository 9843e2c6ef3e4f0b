#include "server/bench/result.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <ctime>

namespace chronik::bench {

namespace {

struct Quantile {
  const char* name;  // in files
  const char* shown;
  double share;
};
constexpr std::array<Quantile, 6> kQuantiles{{{"p50", "p50", 0.5},
                                              {"p90", "p90", 0.9},
                                              {"p95", "p95", 0.95},
                                              {"p99", "p99", 0.99},
                                              {"p999", "p99.9", 0.999},
                                              {"max", "max", 1}}};

std::uint64_t nanoseconds(const Histogram& latency, const Quantile& quantile) {
  return latency.quantile(quantile.share);
}
double milliseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

double per_second(double amount, Duration time) { return time > Duration::zero() ? amount / time.seconds() : 0; }

double success_percent(const Tally& tally) {
  const std::uint64_t all = tally.messages.value() + tally.failed.value();
  return all == 0 ? 0 : 100 * static_cast<double>(tally.messages.value()) / static_cast<double>(all);
}

}  // namespace

double Result::messages_per_second() const { return per_second(static_cast<double>(tally.messages.value()), duration); }
double Result::megabytes_per_second() const {
  return per_second(static_cast<double>(tally.bytes.value()) / 1e6, duration);
}

std::string table(const BenchOptions& options, const Result& result) {
  std::string text = fmt::format(
      "mode        {}\nduration    {:.2f} s\nconcurrency {}\ncompression {}\n\n"
      "messages    {}\nfailed      {}\nretries     {}\ndata        {:.2f} MB\nrate        {:.0f} msg/s\n"
      "bandwidth   {:.2f} MB/s\n\nlatency",
      mode_name(options.mode), result.seconds(), options.concurrency, options.compression_name,
      result.tally.messages.value(), result.tally.failed.value(), result.retries,
      static_cast<double>(result.tally.bytes.value()) / 1e6, result.messages_per_second(),
      result.megabytes_per_second());
  for (const Quantile& quantile : kQuantiles) {
    text += fmt::format("  {} {:.3f} ms", quantile.shown, milliseconds(nanoseconds(result.tally.latency, quantile)));
  }
  text += '\n';
  if (!result.first_failure.empty()) {
    text += fmt::format("\nfirst failure: {}\n", result.first_failure);
  }
  return text;
}

std::string csv_header() {
  std::string text =
      "timestamp,mode,duration_secs,total_messages,failed_messages,total_bytes,throughput_msg_per_sec,"
      "throughput_mb_per_sec,success_rate_pct";
  for (const char* unit : {"us", "ms"}) {
    for (const Quantile& quantile : kQuantiles) {
      text += fmt::format(",latency_{}_{}", quantile.name, unit);
    }
  }
  return text + ",message_size,concurrency,compression\n";
}

std::string csv_line(const BenchOptions& options, const Result& result, std::int64_t unix_seconds) {
  const std::tm when = fmt::gmtime(static_cast<std::time_t>(unix_seconds));
  std::string text = fmt::format("{:%Y-%m-%dT%H:%M:%SZ},{},{:.3f},{},{},{},{:.2f},{:.2f},{:.2f}", when,
                                 mode_name(options.mode), result.seconds(), result.tally.messages.value(),
                                 result.tally.failed.value(), result.tally.bytes.value(), result.messages_per_second(),
                                 result.megabytes_per_second(), success_percent(result.tally));
  for (const Quantile& quantile : kQuantiles) {
    text += fmt::format(",{}", nanoseconds(result.tally.latency, quantile) / 1000);
  }
  for (const Quantile& quantile : kQuantiles) {
    text += fmt::format(",{:.3f}", milliseconds(nanoseconds(result.tally.latency, quantile)));
  }
  return text + fmt::format(",{},{},{}\n", options.message_size, options.concurrency, options.compression_name);
}

std::string json(const BenchOptions& options, const Result& result) {
  constexpr std::int64_t kNanoseconds = 1'000'000'000;  // of a second
  const std::int64_t ns = result.duration.nanoseconds();
  std::string text = fmt::format(
      "{{\n  \"mode\": \"{}\",\n  \"duration\": {{\"secs\": {}, \"nanos\": {}}},\n  \"total_messages\": {},\n"
      "  \"failed_messages\": {},\n  \"total_bytes\": {},\n",
      mode_name(options.mode), ns / kNanoseconds, ns % kNanoseconds, result.tally.messages.value(),
      result.tally.failed.value(), result.tally.bytes.value());
  for (const Quantile& quantile : kQuantiles) {
    text +=
        fmt::format("  \"latency_{}_us\": {},\n", quantile.name, nanoseconds(result.tally.latency, quantile) / 1000);
  }
  return text + fmt::format("  \"message_size\": {},\n  \"concurrency\": {},\n  \"compression\": \"{}\"\n}}\n",
                            options.message_size, options.concurrency, options.compression_name);
}

std::string progress(const Tally& since_last, Duration interval, Duration elapsed, bool warming_up) {
  return fmt::format("{:7.1f} s{} {:10.0f} msg/s {:9.2f} MB/s  p50 {:.2f} ms  p99 {:.2f} ms  failed {}\n",
                     elapsed.seconds(), warming_up ? " (warm-up)" : "",
                     per_second(static_cast<double>(since_last.messages.value()), interval),
                     per_second(static_cast<double>(since_last.bytes.value()) / 1e6, interval),
                     milliseconds(since_last.latency.quantile(0.5)), milliseconds(since_last.latency.quantile(0.99)),
                     since_last.failed.value());
}

}  // namespace chronik::bench
