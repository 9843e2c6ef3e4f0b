#include "tests/runtime/real_world.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "core/base/check.h"
#include "runtime/socket_address.h"

namespace chronik::runtime {

namespace {

using conformance::Death;
using conformance::RunEnd;

constexpr int kReturned = 99;  // of a child whose body came back from what should have ended it

Descriptor loopback_socket() {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  CHECK(socket.open());
  return socket;
}

Address bind_somewhere(const Descriptor& socket) {
  const SocketAddress any = to_socket_address(Address::ipv4(127, 0, 0, 1, 0));
  CHECK_EQ(::bind(socket.number(), any.get(), any.size), 0);
  return local_address(socket.number());
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "chronik-test-XXXXXX").string();
  CHECK(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

RealWorld::RealWorld() : bound_(loopback_socket()), nobody_(bind_somewhere(bound_)) {
  // A listener that accepts nobody: when its backlog is full, the kernel answers no more.
  full_.push_back(loopback_socket());
  hole_ = bind_somewhere(full_.front());
  CHECK_EQ(::listen(full_.front().number(), 0), 0);
  const SocketAddress to = to_socket_address(hole_);
  for (int i = 0; i < 4; ++i) {
    full_.push_back(loopback_socket());
    ::connect(full_.back().number(), to.get(), to.size);
  }
}

bool RealWorld::can(conformance::Ability ability) const {
  switch (ability) {
    case conformance::Ability::kPowerLoss: return false;
  }
  UNREACHABLE("an ability");
}

RunEnd RealWorld::run(Body body, Death death, Duration limit) {
  CHECK(death != Death::kPowerLoss);
  Mailboxes mailboxes(64);
  auto opened = ShardRuntime::open({.data_directory = directory_.path() + "/data", .calls = &calls_}, mailboxes);
  if (!opened.ok()) {
    ADD_FAILURE() << opened.status();
    return {};
  }
  ShardRuntime& shard = **opened;
  RunEnd end;
  std::optional<fiber::FiberScope> children;  // outlives a main fiber that is killed
  shard.run(
      [&](Ports& ports, fiber::FiberScope& scope) {
        scope.spawn({"limit"}, [&] {
          if (fiber::sleep(limit).ok()) {
            shard.halt();
          }
        });
        children.emplace();
        body(ports, *children);
        end.finished = true;
        if (death == Death::kExit) {
          children->cancel_and_join();
        }
      },
      death == Death::kExit ? ShardRuntime::Ending::kJoin : ShardRuntime::Ending::kAbandon);
  if (death == Death::kKill) {
    calls_.drop_hung();
  } else {
    calls_.release_hung();
  }
  return end;
}

RunEnd RealWorld::run_to_fatal(Body body) {
  const pid_t child = ::fork();
  CHECK_GE(child, 0);
  if (child == 0) {
    run(std::move(body));
    ::_exit(kReturned);
  }
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  RunEnd end;
  if (WIFEXITED(status) && WEXITSTATUS(status) != kReturned) {
    end.fatal = static_cast<ExitStatus>(WEXITSTATUS(status));
  }
  return end;
}

}  // namespace chronik::runtime
