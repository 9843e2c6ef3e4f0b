// What the ground floor costs: fibers, timers, and a request through the loop beside the same system calls in a bare
// one.
//
//   fiber_bench            all of it, a few seconds
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "core/fiber/scope.h"
#include "core/fiber/timer_queue.h"
#include "runtime/descriptor.h"
#include "runtime/mapped_stacks.h"
#include "runtime/shard_runtime.h"
#include "runtime/system_clock.h"
#include "tests/conformance/echo_program.h"

namespace chronik::runtime {
namespace {

Duration thread_cpu() {
  timespec at{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return Duration::nanoseconds(at.tv_sec * 1'000'000'000 + at.tv_nsec);
}

// Nanoseconds of this thread's CPU for each of `times`, the best of a few rounds.
template <typename Body>
void measure(const char* what, std::size_t times, Body body) {
  double best = 1e18;
  for (int round = 0; round < 5; ++round) {
    const Duration begin = thread_cpu();
    body();
    best = std::min(best, static_cast<double>((thread_cpu() - begin).nanoseconds()) / static_cast<double>(times));
  }
  fmt::print("{:<44}{:>10.1f} ns\n", what, best);
}

// ---- fibers ----

struct FiberWorld {
  ShardContext context{.shard = ShardId(0), .node = NodeId(0)};
  Ambient ambient{.context = &context, .name = "bench"};
  AmbientGuard guard{ambient};
  MappedStacks stacks;
  fiber::Scheduler scheduler{context, stacks, {}, nullptr, nullptr};
  fiber::FiberScope scope{scheduler, scheduler.root_cancel()};
  MonotonicTime now = MonotonicTime::from_nanoseconds(1);

  void run() {
    while (scheduler.run_turn(now, {})) {
    }
  }
};

struct PingPong {
  fiber::Context loop;
  fiber::Context fiber;
};

void bench_raw_switch() {
  constexpr std::size_t kRounds = 2'000'000;
  MappedStacks stacks;
  const StackMemory stack = stacks.allocate(64 * 1024);
  PingPong both;
  fiber::make_context(
      both.fiber, stack.bottom, stack.top(),
      [](void* argument) {
        auto& contexts = *static_cast<PingPong*>(argument);
        for (;;) {
          fiber::switch_context(contexts.fiber, contexts.loop);
        }
      },
      &both);
  measure("switch of contexts, one way", 2 * kRounds, [&] {
    for (std::size_t i = 0; i < kRounds; ++i) {
      fiber::switch_context(both.loop, both.fiber);
    }
  });
  stacks.release(stack);
}

void bench_fibers() {
  FiberWorld world;
  constexpr std::size_t kRounds = 1'000'000;
  measure("yield of a fiber (two switches, ready list)", 2 * kRounds, [&] {
    for (int i = 0; i < 2; ++i) {
      world.scope.spawn({"yield"}, [] {
        for (std::size_t n = 0; n < kRounds; ++n) {
          fiber::yield_to_ready();
        }
      });
    }
    world.run();
  });
  constexpr std::size_t kSpawns = 500;
  measure("spawn from the pool, run, end", 1'000 * kSpawns, [&] {
    for (std::size_t i = 0; i < 1'000; ++i) {
      for (std::size_t n = 0; n < kSpawns; ++n) {
        world.scope.spawn({"spawned", n}, [] {});
      }
      world.run();
    }
  });
  measure("spawn, run, end, one after another", 1'000'000, [&] {
    for (std::size_t i = 0; i < 1'000'000; ++i) {
      world.scope.spawn({"spawned", i}, [] {});
      world.run();
    }
  });
}

void bench_waits() {
  FiberWorld world;
  constexpr std::size_t kRounds = 500'000;
  measure("wait with a deadline, notified", kRounds, [&] {
    fiber::Event event;
    world.scope.spawn({"waiter"}, [&] {
      for (std::size_t n = 0; n < kRounds; ++n) {
        CHECK_OK(event.wait({WaitKind::kEvent, 1, 0, 0}, fiber::within(Duration::seconds(10), Expiry::kNormal)));
      }
    });
    world.scope.spawn({"notifier"}, [&] {
      for (std::size_t n = 0; n < kRounds; ++n) {
        fiber::yield_to_ready();
        event.notify_one();
      }
    });
    world.run();
  });
}

class Alarm final : public fiber::Timer {
 public:
  void on_timer() override {}
};

void bench_timers() {
  fiber::TimerQueue queue;
  std::vector<Alarm> alarms(1'000);
  for (std::size_t i = 0; i < alarms.size(); ++i) {
    queue.arm(alarms[i], MonotonicTime::from_nanoseconds(static_cast<std::int64_t>(i * 7919 % 1000)));
  }
  Alarm one;
  constexpr std::size_t kRounds = 2'000'000;
  measure("arm and disarm a timer among 1,000", kRounds, [&] {
    for (std::size_t i = 0; i < kRounds; ++i) {
      queue.arm(one, MonotonicTime::from_nanoseconds(static_cast<std::int64_t>(i * 31 % 2000)));
      one.disarm();
    }
  });
  for (Alarm& alarm : alarms) {
    alarm.disarm();
  }
}

// ---- echo ----

constexpr std::size_t kConnections = 128;
constexpr std::size_t kMessageBytes = 256;
constexpr std::int64_t kSeconds = 3;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return to;
}

// 128 connections, each with one message under way, from one thread. Returns round trips.
std::uint64_t drive(std::uint16_t port, std::int64_t seconds) {
  const Descriptor epoll(::epoll_create1(0));
  std::vector<Descriptor> sockets;
  const std::vector<char> message(kMessageBytes, 'x');
  const sockaddr_in to = loopback(port);
  for (std::size_t i = 0; i < kConnections; ++i) {
    Descriptor& socket = sockets.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
    CHECK_EQ(::connect(socket.number(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    const int one = 1;
    ::setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket.number();
    CHECK_EQ(::epoll_ctl(epoll.number(), EPOLL_CTL_ADD, socket.number(), &event), 0);
    CHECK_EQ(::send(socket.number(), message.data(), kMessageBytes, 0), static_cast<ssize_t>(kMessageBytes));
  }
  std::uint64_t trips = 0;
  std::vector<char> buffer(kMessageBytes);
  const MonotonicTime end = SystemClock::read_monotonic() + Duration::seconds(seconds);
  std::array<epoll_event, kConnections> events;
  while (SystemClock::read_monotonic() < end) {
    const int ready = ::epoll_wait(epoll.number(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      const int socket = events[static_cast<std::size_t>(i)].data.fd;
      if (::recv(socket, buffer.data(), buffer.size(), 0) > 0) {
        ++trips;
        ::send(socket, buffer.data(), kMessageBytes, MSG_NOSIGNAL);
      }
    }
  }
  return trips;
}

void print_echo(const char* what, std::uint64_t trips, Duration cpu) {
  fmt::print("{:<44}{:>10.0f} /s {:>8.2f} us CPU each\n", what,
             static_cast<double>(trips) / static_cast<double>(kSeconds),
             static_cast<double>(cpu.nanoseconds()) / 1e3 / static_cast<double>(trips));
}

// The same system calls without anything around them.
void bench_bare_echo() {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof(at);
  CHECK_EQ(::bind(listener.number(), reinterpret_cast<const sockaddr*>(&at), size), 0);
  CHECK_EQ(::listen(listener.number(), 1024), 0);
  CHECK_EQ(::getsockname(listener.number(), reinterpret_cast<sockaddr*>(&at), &size), 0);
  Duration cpu;
  std::thread server([&] {
    const Descriptor epoll(::epoll_create1(0));
    std::vector<Descriptor> sockets;
    for (std::size_t i = 0; i < kConnections; ++i) {
      Descriptor& socket = sockets.emplace_back(::accept4(listener.number(), nullptr, nullptr, SOCK_NONBLOCK));
      const int one = 1;
      ::setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
      epoll_event event{};
      event.events = EPOLLIN | EPOLLET;
      event.data.fd = socket.number();
      CHECK_EQ(::epoll_ctl(epoll.number(), EPOLL_CTL_ADD, socket.number(), &event), 0);
    }
    std::vector<char> buffer(4096);
    std::array<epoll_event, 512> events;
    const Duration begin = thread_cpu();
    for (std::size_t open = kConnections; open > 0;) {
      const int ready = ::epoll_wait(epoll.number(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < ready; ++i) {
        const int socket = events[static_cast<std::size_t>(i)].data.fd;
        const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (got <= 0) {
          open -= got == 0 || errno != EAGAIN ? 1 : 0;
          continue;
        }
        iovec part{buffer.data(), static_cast<std::size_t>(got)};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        ::sendmsg(socket, &message, MSG_NOSIGNAL);
      }
    }
    cpu = thread_cpu() - begin;
  });
  const std::uint64_t trips = drive(ntohs(at.sin_port), kSeconds);
  server.join();
  print_echo("echo, bare epoll loop, 128 connections", trips, cpu);
}

void bench_runtime_echo() {
  std::string name = (std::filesystem::temp_directory_path() / "chronik-bench-XXXXXX").string();
  CHECK(::mkdtemp(name.data()) != nullptr);
  {
    Mailboxes mailboxes(1);
    const auto shard = ShardRuntime::open({.data_directory = name + "/data"}, mailboxes).value();
    std::atomic<std::uint64_t> trips{0};
    Duration cpu;
    shard->run(
        [&](Ports& ports, fiber::FiberScope& scope) {
          const auto listener = ports.network.listen(Address::ipv4(127, 0, 0, 1, 0)).value();
          scope.spawn({"acceptor"}, [&] { conformance::serve_echo(*listener, scope); });
          const Duration begin = thread_cpu();
          std::thread driver([&trips, &shard, port = listener->local().port] {
            trips = drive(port, kSeconds);
            shard->stop().ask();
          });
          CHECK_OK(shard->stop().flag().wait(fiber::for_ever()));
          cpu = thread_cpu() - begin;
          driver.join();
          scope.cancel_and_join();  // the acceptor uses the listener
        },
        ShardRuntime::Ending::kJoin);
    print_echo("echo, fibers on the runtime, 128 connections", trips, cpu);
    fmt::print("{:<44}{:>10.1f}\n", "    round trips for each wait of the loop",
               static_cast<double>(trips.load()) / static_cast<double>(shard->loop().waits()));
  }
  std::filesystem::remove_all(name);
}

}  // namespace
}  // namespace chronik::runtime

int main() {
  using namespace chronik::runtime;
  bench_raw_switch();
  bench_fibers();
  bench_waits();
  bench_timers();
  bench_bare_echo();
  bench_runtime_echo();
  return 0;
}
