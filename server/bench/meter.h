// Decides which messages begin, and counts those that matter: begun after the warm-up and before the end, every one of
// them, however it went.
//
// With a rate, a message is due at its time whether or not a client is free: where none is, its latency counts from
// then on, so that a broker that stalls does not also stop the measurement.
#pragma once

#include <optional>
#include <string>

#include "core/fiber/wait.h"
#include "server/bench/result.h"

namespace chronik::bench {

class Meter {
 public:
  // begin: of the warm-up.
  Meter(const BenchOptions& options, MonotonicTime begin);

  struct Claim {
    MonotonicTime began;
    bool counts = false;
  };
  // The next message, once it is due; empty: there is no more. Waits only where there is a rate.
  std::optional<Claim> claim();
  // units: messages of this one operation; a fetch has many.
  void succeeded(const Claim& claim, std::uint64_t units, std::uint64_t bytes);
  void failed(const Claim& claim, const std::string& why);
  void retried() { ++retries_; }
  // No message begins any more.
  void stop();
  bool stopped() const { return stopped_; }

  // What came since the last call.
  Tally take_interval();
  const Tally& tally() const { return tally_; }
  bool warming_up() const;
  Result result() const;

 private:
  bool over(MonotonicTime at) const;
  void finished(const Claim& claim, MonotonicTime now);

  const BenchOptions& options_;
  MonotonicTime begin_;
  MonotonicTime measure_from_;
  MonotonicTime stop_at_;
  std::uint64_t due_ = 0;      // messages that got a time by the rate
  std::uint64_t claimed_ = 0;  // that count
  bool stopped_ = false;
  fiber::Event stopping_;
  Tally tally_;
  Tally interval_;
  MonotonicTime last_finished_;
  std::uint64_t retries_ = 0;
  std::string first_failure_;
};

}  // namespace chronik::bench
