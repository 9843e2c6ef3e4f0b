#include "sim/debugger_stop.h"

#include <fmt/core.h>
#include <signal.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "sim/world.h"

namespace chronik::sim {

namespace {

World* stopped_world = nullptr;  // only while its process is stopped

}  // namespace

void stop_for_debugger(World& world) {
  fmt::print(stderr, "stopped before event {} at {} of virtual time\n", world.events() + 1, world.now().to_string());
  stopped_world = &world;
  raise(SIGTRAP);
  stopped_world = nullptr;
}

void tell_of_no_stop(const World& world) {
  if (world.stop_is_ahead()) {
    fmt::print(stderr, "did not stop: the run ended before that, with event {} at {} of virtual time\n", world.events(),
               world.last_event().to_string());
  }
}

bool under_debugger() {
  std::ifstream status("/proc/self/status");
  constexpr std::string_view kTracer = "TracerPid:";
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(kTracer, 0) == 0) {
      return std::stol(line.substr(kTracer.size())) != 0;
    }
  }
  return false;
}

}  // namespace chronik::sim

void chronik_waits() {
  using chronik::sim::stopped_world;
  fmt::print(stderr, "{}", stopped_world == nullptr ? "no world has stopped\n" : stopped_world->describe_waits());
}
