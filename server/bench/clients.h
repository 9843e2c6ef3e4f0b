// The clients of a run: each a loop with one operation under way, until the meter says that there is no more.
#pragma once

#include <string>
#include <vector>

#include "server/bench/sender.h"
#include "server/bench/validation.h"

namespace chronik::bench {

struct ClientContext {
  RunContext& run;
  Sender& sender;
  Acknowledged& acknowledged;          // with --validate
  std::vector<std::string>& findings;  // what --validate found wrong on the way
  std::uint64_t seed;                  // of the run
  std::size_t unfinished = 0;          // with acks 0: ended while brokers had not read all that they had sent
};

// One client, the nth, in the current fiber.
void be_client(ClientContext& context, std::uint64_t nth);

}  // namespace chronik::bench
