#include "server/bench/run.h"

#include <fmt/core.h>
#include <stdlib.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/shard_runtime.h"
#include "runtime/stderr_log.h"
#include "server/bench/clients.h"
#include "server/http_server.h"
#include "server/snapshot.h"

namespace chronik::bench {

namespace {

constexpr ShardId kShard{0};
constexpr Duration kAskTimeout = Duration::seconds(2);

// A shard wants a directory; nothing of a benchmark is kept in it.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "chronik-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) {
      path_ = name;
    }
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool write_file(const std::string& path, const char* mode, const std::string& header, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), mode);
  if (file == nullptr) {
    fmt::print(stderr, "chronik-bench: '{}': must be a file that can be written\n", path);
    return false;
  }
  // Appending to what is there: the header stands there already.
  const bool empty = std::fseek(file, 0, SEEK_END) == 0 && std::ftell(file) == 0;
  const std::string all = (empty ? header : "") + text;
  const bool written = std::fwrite(all.data(), 1, all.size(), file) == all.size();
  return std::fclose(file) == 0 && written;
}

class Bench {
 public:
  explicit Bench(const BenchOptions& options) : options_(options), mailboxes_(64) {
    log_.set_level(options.verbose ? LogLevel::kDebug : LogLevel::kWarn);
  }
  BenchExit run();

 private:
  Status start_http();

  // ---- in the main fiber ----
  BenchExit be_main(Ports& ports, runtime::StopFlag& stop);
  void run_clients(RunContext& run, runtime::StopFlag& stop);
  Status verify(RunContext& run);
  server::ShardSnapshot take_snapshot() const;
  BenchExit conclude(const Result& result);

  const BenchOptions& options_;
  runtime::StderrLog log_;
  runtime::Mailboxes mailboxes_;
  std::unique_ptr<server::HttpServer> http_;
  const Meter* meter_ = nullptr;  // while there is one; of the shard's thread
  Acknowledged acknowledged_;
  std::vector<std::string> findings_;
  std::uint64_t seed_ = 0;
};

BenchExit Bench::run() {
  const ScratchDirectory scratch;
  StatusOr<std::unique_ptr<runtime::ShardRuntime>> shard =
      runtime::ShardRuntime::open({.data_directory = scratch.path(), .shard = kShard, .log = &log_}, mailboxes_);
  if (!shard.ok()) {
    fmt::print(stderr, "chronik-bench: {}\n", server::message_of(shard.status()));
    return BenchExit::kUnreachable;
  }
  const runtime::StopSignals signals((*shard)->stop());
  if (options_.prometheus_port != 0) {
    const Status started = start_http();
    if (!started.ok()) {
      fmt::print(stderr, "chronik-bench: --prometheus-port: {}\n", server::message_of(started));
      return BenchExit::kUnreachable;
    }
  }
  BenchExit status = BenchExit::kOk;
  (*shard)->run([&](Ports& ports, fiber::FiberScope&) { status = be_main(ports, (*shard)->stop().flag()); },
                runtime::ShardRuntime::Ending::kJoin);
  http_.reset();
  return status;
}

Status Bench::start_http() {
  const auto metrics = [this] {
    const std::optional<server::ShardSnapshot> snapshot =
        server::ask_shard(mailboxes_, kShard, server::Wanted::kMetrics, kAskTimeout);
    return snapshot.has_value() ? server::HttpPage{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                                                   .body = server::prometheus_text(snapshot->metrics)}
                                : server::HttpPage{.status = 503, .body = "busy\n"};
  };
  const server::HttpServer::Pages pages{.get = {{"/metrics", metrics}}};
  ASSIGN_OR_RETURN(http_, server::HttpServer::start({.host = "127.0.0.1", .port = options_.prometheus_port}, pages));
  return ok();
}

server::ShardSnapshot Bench::take_snapshot() const {
  server::ShardSnapshot snapshot{.serving = meter_ != nullptr, .state = "running"};
  if (meter_ != nullptr) {
    const Tally& tally = meter_->tally();
    MetricsRegistry registry;
    registry.add("bench_messages_total", "Messages that succeeded since the warm-up", tally.messages);
    registry.add("bench_failed_messages_total", "Messages that failed since the warm-up", tally.failed);
    registry.add("bench_bytes_total", "Bytes of keys and values", tally.bytes);
    registry.add("bench_latency", "Of a message", tally.latency, MetricsRegistry::Unit::kSeconds);
    snapshot.metrics = server::sample_metrics(registry);
  }
  return snapshot;
}

// ---- the main fiber ----

BenchExit Bench::be_main(Ports& ports, runtime::StopFlag& stop) {
  const server::SnapshotService snapshots(ports.mailbox, [this](server::Wanted) { return take_snapshot(); });
  seed_ = ports.random.next();
  Cluster cluster(ports.network, options_);
  const Status prepared = cluster.prepare();
  if (!prepared.ok()) {
    fmt::print(stderr, "chronik-bench: {}\n", server::message_of(prepared));
    return BenchExit::kUnreachable;
  }
  protocol::Codecs codecs;
  Meter meter(options_, runtime::SystemClock::read_monotonic());
  meter_ = &meter;
  RunContext context{options_, ports, cluster, meter, codecs};
  run_clients(context, stop);
  const Result result = meter.result();
  const Status verified = options_.validate ? verify(context) : ok();
  BenchExit status = conclude(result);
  if (!verified.ok()) {
    fmt::print(stderr, "chronik-bench: --validate: cannot read back: {}\n", server::message_of(verified));
    status = BenchExit::kBelow;
  }
  if (options_.delete_topic_after) {
    const Status deleted = cluster.delete_topic(fiber::within(options_.request_timeout, Expiry::kPeer));
    if (!deleted.ok()) {
      fmt::print(stderr, "chronik-bench: {}\n", server::message_of(deleted));
      status = status == BenchExit::kOk ? BenchExit::kUnreachable : status;
    }
  }
  meter_ = nullptr;
  return status;
}

void Bench::run_clients(RunContext& run, runtime::StopFlag& stop) {
  fiber::FiberScope helpers;
  fiber::FiberScope clients;
  LoneSender alone(run);
  GatheringSender gathering(run, clients);
  Sender& sender = options_.linger > Duration::zero() ? static_cast<Sender&>(gathering) : alone;
  ClientContext context{
      .run = run, .sender = sender, .acknowledged = acknowledged_, .findings = findings_, .seed = seed_};
  for (std::uint64_t nth = 0; nth < options_.concurrency; ++nth) {
    clients.spawn({"client", nth}, [&context, nth] { be_client(context, nth); });
  }
  helpers.spawn({"stop-watch", 0}, [&run, &stop] {
    if (stop.wait(fiber::for_ever()).ok()) {
      run.meter.stop();
    }
  });
  helpers.spawn({"progress", 0}, [this, &run] {
    const MonotonicTime begin = runtime::SystemClock::read_monotonic();
    MonotonicTime last = begin;
    while (fiber::sleep(options_.report_interval).ok()) {
      const MonotonicTime now = runtime::SystemClock::read_monotonic();
      fmt::print("{}", progress(run.meter.take_interval(), now - last, now - begin, run.meter.warming_up()));
      std::fflush(stdout);
      last = now;
    }
  });
  static_cast<void>(clients.join(fiber::for_ever()));
  if (options_.acks == 0 && !sender.finish(fiber::within(options_.request_timeout, Expiry::kPeer))) {
    ++context.unfinished;
  }
  if (context.unfinished > 0) {
    fmt::print(
        stderr,
        "chronik-bench: {} clients ended before the broker had read all of theirs: it took longer than {:.0f} s\n",
        context.unfinished, options_.request_timeout.seconds());
  }
  helpers.cancel_and_join();
}

Status Bench::verify(RunContext& run) {
  if (options_.mode != Mode::kProduce) {
    return ok();  // looked at on the way
  }
  ASSIGN_OR_RETURN(std::vector<std::string> found, acknowledged_.verify(run));
  findings_.insert(findings_.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  return ok();
}

BenchExit Bench::conclude(const Result& result) {
  fmt::print("\n{}", table(options_, result));
  BenchExit status = BenchExit::kOk;
  if (result.tally.messages.value() == 0) {
    fmt::print(stderr, "chronik-bench: no message succeeded\n");
    status = BenchExit::kBelow;
  }
  if (options_.validate) {
    const std::string what =
        options_.mode == Mode::kProduce ? fmt::format(": {} read back", acknowledged_.count()) : "";
    fmt::print("validation  {}{}\n", findings_.empty() ? "passed" : "FAILED", what);
    for (const std::string& finding : findings_) {
      fmt::print("  {}\n", finding);
    }
    status = findings_.empty() ? status : BenchExit::kBelow;
  }
  if (result.messages_per_second() < options_.min_throughput) {
    fmt::print(stderr, "chronik-bench: {:.0f} msg/s, below --min-throughput {:.0f}\n", result.messages_per_second(),
               options_.min_throughput);
    status = BenchExit::kBelow;
  }
  const bool csv_written = options_.csv_file.empty() || write_file(options_.csv_file, "a", csv_header(),
                                                                   csv_line(options_, result, std::time(nullptr)));
  const bool json_written =
      options_.json_file.empty() || write_file(options_.json_file, "w", "", json(options_, result));
  return csv_written && json_written ? status : BenchExit::kUnreachable;
}

}  // namespace

BenchExit run_bench(const BenchOptions& options) { return Bench(options).run(); }

}  // namespace chronik::bench
