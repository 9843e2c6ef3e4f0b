// One shard in the real world: its ports, its loop, its scheduler, put together.
//
// The same main fiber runs in the simulator on simulated ports; nothing that it is given tells which of the two it is.
// Lifetime: open(), run() once, destroy. Destroying waits for operations that helpers have begun; Process::fatal does
// not.
#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>

#include <memory>
#include <optional>
#include <string>

#include "core/base/ambient.h"
#include "core/fiber/scope.h"
#include "core/ports/ports.h"
#include "runtime/event_loop.h"
#include "runtime/logged_ports.h"
#include "runtime/mailboxes.h"
#include "runtime/mapped_stacks.h"
#include "runtime/posix_disk.h"
#include "runtime/rocksdb_store.h"
#include "runtime/stop_request.h"
#include "runtime/system_calls.h"
#include "runtime/system_clock.h"
#include "runtime/system_process.h"
#include "runtime/system_random.h"
#include "runtime/tcp_network.h"
#include "runtime/watchdog.h"

namespace chronik::runtime {

struct ShardOptions {
  std::string data_directory;
  ShardId shard = ShardId(0);
  NodeId node = NodeId::none();
  LogSink* log = nullptr;  // safe from every thread; null: no log
  fiber::SchedulerOptions scheduler = {};
  LogSession* record = nullptr;                       // recording: turns and port calls go to its log
  const MessageCodec* record_codec = nullptr;         // for the log, where mail is received
  Duration turn_limit = Duration::milliseconds(100);  // beyond it the watchdog reports a turn
  SystemCalls* calls = nullptr;                       // null: the system's own
};

class ShardRuntime {
 public:
  using Main = absl::AnyInvocable<void(Ports& ports, fiber::FiberScope& scope)>;

  enum class Ending : std::uint8_t {
    kJoin,     // after the main fiber, what it left in its scope is cancelled and joined
    kAbandon,  // nothing runs after the main fiber's body: as if the process were killed
  };

  // kFailedPrecondition: the data directory is in use. Otherwise as the disk and the store say.
  static StatusOr<std::unique_ptr<ShardRuntime>> open(const ShardOptions& options, Mailboxes& mailboxes);
  ~ShardRuntime();
  ShardRuntime(const ShardRuntime&) = delete;
  ShardRuntime& operator=(const ShardRuntime&) = delete;

  // What a main fiber is, here and in a replay: main(ports, scope), then the end of what it left.
  static void be_main(Ports& ports, Main& main, Ending ending, absl::FunctionRef<void()> stop_turning);
  // Runs main(ports, scope) as the main fiber, to its end or to halt(). Once.
  void run(Main main, Ending ending);
  // From a fiber: nothing runs after this turn.
  void halt() { loop_.stop(); }

  StopRequest& stop() { return stop_; }
  EventLoop& loop() { return loop_; }
  const EventLoop& loop() const { return loop_; }
  const Watchdog& watchdog() const { return watchdog_; }
  ShardContext& context() { return context_; }

 private:
  ShardRuntime(const ShardOptions& options, Mailboxes& mailboxes, DataDirectory directory);

  ShardOptions options_;
  ShardContext context_;
  Ambient ambient_;
  SystemCalls own_calls_;
  SystemCalls& calls_;
  SystemClock clock_;
  SystemRandom random_;
  MappedStacks stacks_;
  DataDirectory directory_;
  EventLoop loop_;
  StopRequest stop_;
  Watchdog watchdog_;
  TcpNetwork network_;
  // Both are destroyed in ~ShardRuntime, while the shard is still the current one: jobs hold its buffers.
  std::optional<PosixDisk> disk_;
  std::unique_ptr<RocksdbStore> store_;
  ShardMailbox mailbox_;
  SystemProcess process_;
  std::optional<Ports> ports_;
  std::optional<LoggedPorts> logged_;
  bool ran_ = false;
};

}  // namespace chronik::runtime
