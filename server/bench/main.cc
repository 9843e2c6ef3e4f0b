// chronik-bench: measures a Kafka broker.
#include <variant>

#include "server/bench/run.h"

int main(int argc, char** argv) {
  const std::variant<chronik::bench::BenchOptions, int> parsed = chronik::bench::parse_options(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) {
    return *status;
  }
  return static_cast<int>(chronik::bench::run_bench(std::get<chronik::bench::BenchOptions>(parsed)));
}
