#include "tests/sim/simulated_world.h"

#include <memory>
#include <utility>

namespace chronik::sim {

namespace {

WorldOptions options_of(std::uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.schedule = static_cast<ScheduleKind>(seed % 3);
  return options;
}

}  // namespace

SimulatedWorld::SimulatedWorld(std::uint64_t seed) : world_(options_of(seed), stacks_) {
  Draws draws = world_.draws("conformance", "world");
  NetworkKnobs& knobs = world_.network().knobs();
  knobs = draw_network_knobs(draws);
  // Clauses wait for seconds at most and move a megabyte: no slow network.
  knobs.delay = Duration::microseconds(draws.magnitude(5, 200));
  knobs.loopback_delay = knobs.delay;
  knobs.delay_most = Duration::milliseconds(5);
  knobs.bytes_per_second = 100'000'000;
  knobs.send_buffer = static_cast<std::size_t>(draws.magnitude(4096, 1 << 20));
  knobs.receive_buffer = static_cast<std::size_t>(draws.magnitude(4096, 1 << 20));
  MachineOptions options;
  options.name = "node";
  options.address = Address::ipv4(10, 0, 0, 1, 0);
  options.clock.drift_parts_per_million = draws.between(-200, 200);
  machine_ = &world_.add_machine(options);
}

conformance::RunEnd SimulatedWorld::run(Body body, conformance::Death death, Duration limit) {
  conformance::RunEnd end;
  const auto shared = std::make_shared<Body>(std::move(body));
  machine_->install([&end, shared, death](ProcessContext& process) {
    fiber::FiberScope scope;
    (*shared)(process.ports, scope);
    end.finished = true;
    if (death == conformance::Death::kExit) {
      scope.cancel_and_join();
      return;
    }
    static_cast<void>(scope.join(fiber::for_ever()));  // what it left running goes on until the kill
    static_cast<void>(fiber::sleep(Duration::seconds(1000)));
  });
  machine_->start();
  const VirtualTime latest = world_.now() + limit;
  while (machine_->running() && world_.now() <= latest && !(end.finished && death != conformance::Death::kExit)) {
    if (!world_.step()) {
      break;
    }
  }
  if (machine_->last_exit().has_value() && machine_->last_exit()->how == Death::kFatal && !machine_->running()) {
    end.fatal = machine_->last_exit()->status;
  }
  machine_->kill(death == conformance::Death::kPowerLoss ? Death::kPowerLoss : Death::kProcessKill);
  return end;
}

conformance::RunEnd SimulatedWorld::run_to_fatal(Body body) {
  return run(std::move(body), conformance::Death::kExit, Duration::seconds(20));
}

void SimulatedWorld::fail_next(conformance::DiskStep, conformance::DiskFault) {
  UNREACHABLE("this world's machine has no disk yet; its clauses are not run");
}

void SimulatedWorld::release_hung() {}

}  // namespace chronik::sim
