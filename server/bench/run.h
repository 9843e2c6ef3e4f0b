// One run of the benchmark, from the first connection to the exit status.
#pragma once

#include "server/bench/options.h"

namespace chronik::bench {

// Exit statuses of chronik-bench; docs/OPERATIONS.md lists them for its users.
enum class BenchExit : int {
  kOk = 0,
  kBelow = 1,        // --min-throughput or --validate not met, or no message succeeded
  kUsage = 2,        // flags
  kUnreachable = 3,  // no broker, no topic, no file to write
};

BenchExit run_bench(const BenchOptions& options);

}  // namespace chronik::bench
