// What was measured, and how it is shown.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/metrics.h"
#include "core/base/time.h"
#include "server/bench/options.h"

namespace chronik::bench {

struct Tally {
  Counter messages;  // that succeeded
  Counter failed;
  Counter bytes;  // keys and values of the messages
  Histogram latency;

  void succeed(std::uint64_t count, std::uint64_t size, Duration took) {
    messages.add(count);
    bytes.add(size);
    latency.record(took);
  }
};

struct Result {
  Tally tally;
  // From the end of the warm-up to the end of the last message that counts: nothing that the tool does afterwards.
  Duration duration;
  std::uint64_t retries = 0;
  std::string first_failure = {};

  double seconds() const { return duration.seconds(); }
  double messages_per_second() const;
  double megabytes_per_second() const;  // of 1,000,000 bytes
};

std::string table(const BenchOptions& options, const Result& result);
std::string csv_header();
// unix_seconds: when it ended.
std::string csv_line(const BenchOptions& options, const Result& result, std::int64_t unix_seconds);
std::string json(const BenchOptions& options, const Result& result);
// One line about what came since the last: `interval` of it, `elapsed` since the start.
std::string progress(const Tally& since_last, Duration interval, Duration elapsed, bool warming_up);

}  // namespace chronik::bench
