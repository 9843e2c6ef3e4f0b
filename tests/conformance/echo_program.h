// An echo server and its clients, written against ports alone: the smallest program that runs in both worlds.
//
// It shows the shape that every server here has: an accepting fiber, one fiber per connection in a scope, cancellation
// that ends all of them, and a file that is appended and synced on the way.
#pragma once

#include <cstdint>
#include <string>

#include "core/fiber/scope.h"
#include "core/ports/ports.h"

namespace chronik::conformance {

// Accepts until `scope` is cancelled. Every connection gets back what it sends, and is closed when it has closed its
// side.
void serve_echo(Listener& listener, fiber::FiberScope& scope);

struct EchoLoad {
  std::uint64_t clients = 4;
  std::uint64_t messages = 25;  // each
  std::size_t message_bytes = 256;
};

struct EchoOutcome {
  std::uint64_t echoed = 0;  // messages that came back right
  std::string trouble;       // the first error; empty where there was none
};

// Runs clients against `server` and joins them.
EchoOutcome run_echo_clients(Ports& ports, const Address& server, const EchoLoad& load);

// The whole of it: a server, clients that check every byte, and a journal of `messages` lines that is written, synced
// and read back.
EchoOutcome run_echo_program(Ports& ports, const Address& at, const EchoLoad& load);

}  // namespace chronik::conformance
