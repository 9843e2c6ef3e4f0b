// A machine for tests of devices: a scheduler and a device host, without a world around them.
#pragma once

#include <absl/container/btree_map.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "core/fiber/wait.h"
#include "sim/decision.h"
#include "sim/disk_lane.h"
#include "tests/support/fiber_world.h"

namespace chronik::sim {

// Time, events, and what devices tell their host.
struct TestClockwork {
  EventQueue events;
  VirtualTime now;
  absl::btree_map<std::string, int> fired;
  std::string failure;
  std::optional<Death> wish;  // a device ended the process
  std::vector<fiber::Completion> completions;
  std::uint64_t hash = 0;
};

class TestHost final : public DeviceHost {
 public:
  explicit TestHost(TestClockwork& works) : works_(works) {}
  EventId after(Duration delay, EventQueue::Callback callback) override {
    return works_.events.add(works_.now + delay, std::move(callback));
  }
  void cancel(EventId event) override { works_.events.cancel(event); }
  void complete(ShardId /*shard*/, OpNumber number, std::int64_t result) override {
    works_.completions.push_back({number, result});
  }
  void kill(Death how) override { works_.wish = how; }
  void fault_fired(std::string_view kind) override { ++works_.fired[std::string(kind)]; }
  void record(Record what, std::uint64_t a, std::uint64_t b, std::uint64_t c) override {
    works_.hash = mix(works_.hash, static_cast<std::uint64_t>(what), mix(a, b, c));
  }
  void fail(std::string_view checker, std::string_view message) override {
    works_.failure = std::string(checker) + ": " + std::string(message);
  }

 private:
  TestClockwork& works_;
};

// One life of a process on these devices: body(ports..., scope) is its main fiber, and afterwards it dies. Returns
// whether the body came to its end within `limit`.
template <typename... Devices, typename Body>
bool live(TestClockwork& works, Death how, Duration limit, std::tuple<Devices&...> devices, Body&& body) {
  testing::FiberWorld fibers(nullptr, {.timer_granularity = Duration::microseconds(1)});
  fibers.now = fibers.now + (works.now - VirtualTime::zero());
  works.wish.reset();
  works.completions.clear();
  fiber::FiberScope children(fibers.scheduler, fibers.scheduler.root_cancel());  // a main fiber's own would die with it
  Ambient ambient{.context = &fibers.context, .name = "life"};
  const AmbientGuard guard(ambient);
  auto ports = std::apply([&](auto&... device) { return std::make_tuple(device.attach(fibers.context)...); }, devices);
  const MonotonicTime start = fibers.now;
  const VirtualTime began = works.now;
  bool finished = false;
  fibers.spawn("main", [&] {
    std::apply([&](auto&... port) { body(*port..., children); }, ports);
    finished = true;
  });
  while (!works.wish && !finished && works.now - began <= limit) {
    fibers.now = start + (works.now - began);
    while (fibers.scheduler.run_turn(fibers.now, std::exchange(works.completions, {}))) {
    }
    if (finished || !works.completions.empty()) {
      continue;
    }
    const MonotonicTime timer = fibers.scheduler.next_timer();
    const VirtualTime at = timer == MonotonicTime::never() ? VirtualTime::never() : began + (timer - start);
    const VirtualTime event = works.events.next();
    if (at == VirtualTime::never() && event == VirtualTime::never()) {
      break;  // stuck: something hangs for ever
    }
    works.now = std::max(works.now, std::min(at, event));
    if (event <= at) {
      works.events.take()();
    }
  }
  const Death death = works.wish.value_or(how);
  std::apply([&](auto&... port) { (port->detach(death), ...); }, ports);
  fibers.scheduler.kill_all();
  std::apply(
      [&](auto&... port) {
        EXPECT_EQ((port->handles() + ...), std::size_t{0});
        (port.reset(), ...);
      },
      ports);
  std::apply([&](auto&... device) { (device.on_death(death), ...); }, devices);
  return finished;
}

// One device, and one life on it after the other.
template <typename Device>
class DeviceWorld {
 public:
  template <typename Knobs>
  explicit DeviceWorld(const Knobs& knobs, std::uint64_t seed = 1)
      : device(std::make_unique<TestHost>(works), knobs, Draws(seed, "device", 0)) {}
  ~DeviceWorld() { EXPECT_EQ(works.events.size(), std::size_t{0}); }

  template <typename Body>
  bool live(Death how, Body&& body) {
    return sim::live(works, how, Duration::seconds(1'000'000), std::tie(device), std::forward<Body>(body));
  }

  TestClockwork works;
  Device device;
};

inline Deadline soon() { return fiber::within(Duration::seconds(60), Expiry::kPeer); }

}  // namespace chronik::sim
