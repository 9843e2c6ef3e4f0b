// chronik-server: one broker on this machine.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/node/node.h"
#include "runtime/shard_runtime.h"
#include "runtime/stderr_log.h"

namespace chronik::server {
namespace {

struct Flags {
  std::string data_dir = "./data";
  std::string bind = "127.0.0.1:9092";
};

StatusOr<Address> parse_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const std::string host = text.substr(0, colon);
  const int port = colon == std::string::npos ? 9092 : std::atoi(text.c_str() + colon + 1);
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (std::sscanf(host.c_str(), "%u.%u.%u.%u", &a, &b, &c, &d) != 4 || (a | b | c | d) > 255 || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError("--bind: '" + text + "' is not HOST:PORT with an IPv4 address");
  }
  return Address::ipv4(static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b), static_cast<std::uint8_t>(c),
                       static_cast<std::uint8_t>(d), static_cast<std::uint16_t>(port));
}

int serve(const Flags& flags) {
  const StatusOr<Address> bind = parse_address(flags.bind);
  if (!bind.ok()) {
    std::fprintf(stderr, "chronik-server: %s\n", std::string(bind.status().message()).c_str());
    return static_cast<int>(ExitStatus::kUsage);
  }
  runtime::StderrLog log;
  runtime::Mailboxes mailboxes(1024);
  runtime::ShardOptions options{.data_directory = flags.data_dir, .node = NodeId(1), .log = &log};
  StatusOr<std::unique_ptr<runtime::ShardRuntime>> shard = runtime::ShardRuntime::open(options, mailboxes);
  if (!shard.ok()) {
    std::fprintf(stderr, "chronik-server: %s\n", std::string(shard.status().message()).c_str());
    return static_cast<int>(ExitStatus::kDataDirectory);
  }
  const runtime::StopSignals signals((*shard)->stop());
  node::NodeConfig config;
  config.bind = *bind;
  config.advertised_host = bind->host();
  config.log_directory = (std::filesystem::absolute(flags.data_dir) / "logs").lexically_normal().string();
  ExitStatus status = ExitStatus::kOk;
  (*shard)->run(
      [&](Ports& ports, fiber::FiberScope&) {
        node::Node node(ports, config);
        const Status started = node.start();
        if (!started.ok()) {
          log_error("cannot start", field("why", std::string(started.message())));
          status = ExitStatus::kDataDirectory;
        } else {
          log_info("serving", field("address", node.address().to_string()), field("logs", node.recovery().logs),
                   field("recovered_bytes", node.recovery().bytes_replayed),
                   field("recovery_ms", node.recovery().took.milliseconds()));
          const Status stopped = (*shard)->stop().flag().wait(fiber::for_ever());
          log_info("stopping", field("why", stopped.ok() ? "signal" : "cancelled"));
        }
        const Status ended = node.stop();
        if (!ended.ok()) {
          log_error("the stop was not clean; the next start recovers", field("why", std::string(ended.message())));
        }
      },
      runtime::ShardRuntime::Ending::kJoin);
  return static_cast<int>(status);
}

}  // namespace
}  // namespace chronik::server

int main(int argc, char** argv) {
  chronik::server::Flags flags;
  CLI::App app("Chronik: a replicated log that speaks the Kafka protocol");
  CLI::App* start = app.add_subcommand("start", "Start a broker");
  start->add_option("-d,--data-dir", flags.data_dir, "Where everything is kept")->capture_default_str();
  start->add_option("--bind", flags.bind, "HOST:PORT to listen on")->capture_default_str();
  app.require_subcommand(1);
  CLI11_PARSE(app, argc, argv);
  return chronik::server::serve(flags);
}
