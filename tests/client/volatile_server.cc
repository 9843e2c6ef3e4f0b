// A broker on the real runtime whose disk forgets at a kill what was not synced. Takes the flags that the tests give
// chronik-server. CHRONIK_FORGET_SYNCS=1: nothing is synced after a file's first time; a test that does not fail then
// proves nothing.
#include <fmt/core.h>

#include <cstdlib>
#include <map>
#include <string>

#include "core/node/node.h"
#include "runtime/shard_runtime.h"
#include "runtime/stderr_log.h"
#include "tests/client/volatile_disk.h"

namespace chronik::testing {
namespace {

int serve(const std::string& data_directory, std::uint16_t port, bool forget_syncs) {
  runtime::StderrLog log;
  runtime::Mailboxes mailboxes(1024);
  const runtime::ShardOptions options{.data_directory = data_directory, .node = NodeId(1), .log = &log};
  auto shard = runtime::ShardRuntime::open(options, mailboxes);
  if (!shard.ok()) {
    fmt::print(stderr, "{}\n", std::string(shard.status().message()));
    return static_cast<int>(ExitStatus::kDataDirectory);
  }
  const runtime::StopSignals signals((*shard)->stop());
  node::NodeConfig config;
  config.bind = Address::ipv4(127, 0, 0, 1, port);
  config.advertised_host = "127.0.0.1";
  ExitStatus status = ExitStatus::kOk;
  (*shard)->run(
      [&](Ports& real, fiber::FiberScope&) {
        VolatileDisk disk(real.disk, forget_syncs);
        Ports ports{real.clock, real.random, real.network, disk, real.store, real.mailbox, real.process};
        node::Node node(ports, config);
        const Status started = node.start();
        if (!started.ok()) {
          fmt::print(stderr, "{}\n", std::string(started.message()));
          status = ExitStatus::kDataDirectory;
        } else {
          static_cast<void>((*shard)->stop().flag().wait(fiber::for_ever()));
        }
        static_cast<void>(node.stop());
      },
      runtime::ShardRuntime::Ending::kJoin);
  return static_cast<int>(status);
}

}  // namespace
}  // namespace chronik::testing

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 2; i + 1 < argc; i += 2) {
    flags[argv[i]] = argv[i + 1];
  }
  const std::string bind = flags["--bind"];
  const auto port = static_cast<std::uint16_t>(std::stoi(bind.substr(bind.find(':') + 1)));
  return chronik::testing::serve(flags["--data-dir"], port, std::getenv("CHRONIK_FORGET_SYNCS") != nullptr);
}
