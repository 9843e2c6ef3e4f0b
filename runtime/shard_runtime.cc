#include "runtime/shard_runtime.h"

#include <utility>

#include "core/base/check.h"

namespace chronik::runtime {

namespace {

constexpr const char* kStoreDirectory = "/.store";

// The watchdog sees every resume; a recorder sees everything.
class Watches final : public fiber::SchedulerWatch {
 public:
  Watches(fiber::SchedulerWatch& watchdog, fiber::SchedulerWatch& recorder)
      : watchdog_(watchdog), recorder_(recorder) {}
  void on_turn(MonotonicTime now, std::span<const fiber::Completion> batch) override { recorder_.on_turn(now, batch); }
  void on_resume(const fiber::Fiber& fiber) override {
    watchdog_.on_resume(fiber);
    recorder_.on_resume(fiber);
  }
  void on_operation(OpNumber number) override { recorder_.on_operation(number); }
  void on_expiry(const fiber::Fiber& fiber, const WaitKey& key, Expiry meaning) override {
    recorder_.on_expiry(fiber, key, meaning);
  }

 private:
  fiber::SchedulerWatch& watchdog_;
  fiber::SchedulerWatch& recorder_;
};

}  // namespace

StatusOr<std::unique_ptr<ShardRuntime>> ShardRuntime::open(const ShardOptions& options, Mailboxes& mailboxes) {
  ASSIGN_OR_RETURN(DataDirectory directory, DataDirectory::open(options.data_directory));
  std::unique_ptr<ShardRuntime> shard(new ShardRuntime(options, mailboxes, std::move(directory)));
  ASSIGN_OR_RETURN(shard->store_,
                   RocksdbStore::open(shard->loop_, shard->calls_, options.data_directory + kStoreDirectory));
  shard->ports_.emplace(Ports{.clock = shard->clock_,
                              .random = shard->random_,
                              .network = shard->network_,
                              .disk = *shard->disk_,
                              .store = *shard->store_,
                              .mailbox = shard->mailbox_,
                              .process = shard->process_});
  return shard;
}

ShardRuntime::ShardRuntime(const ShardOptions& options, Mailboxes& mailboxes, DataDirectory directory)
    : options_(options),
      context_{.shard = options.shard, .node = options.node, .log = options.log},
      ambient_{.context = &context_, .name = "loop"},
      calls_(options.calls != nullptr ? *options.calls : own_calls_),
      directory_(std::move(directory)),
      loop_(clock_),
      stop_(loop_),
      watchdog_(options.turn_limit, options.log),
      network_(loop_, calls_),
      mailbox_(mailboxes, options.shard, loop_.inbox()),
      process_(calls_) {
  disk_.emplace(loop_, calls_, directory_);
}

ShardRuntime::~ShardRuntime() {
  const AmbientGuard guard(ambient_);
  store_.reset();
  disk_.reset();
}

void ShardRuntime::be_main(Ports& ports, Main& main, Ending ending, absl::FunctionRef<void()> stop_turning) {
  fiber::FiberScope scope;
  main(ports, scope);
  if (ending == Ending::kJoin) {
    scope.cancel_and_join();
    stop_turning();
    return;
  }
  stop_turning();
  // What is left is unwound from outside (rule S4), this fiber last.
  fiber::Event never;
  static_cast<void>(never.wait({WaitKind::kScope, 0, 0, 0}, fiber::for_ever()));
}

void ShardRuntime::run(Main main, Ending ending) {
  CHECK(!std::exchange(ran_, true));  // numbers of operations would begin anew while old ones are under way
  const AmbientGuard guard(ambient_);
  std::optional<Watches> both;
  fiber::SchedulerWatch* watch = &watchdog_;
  if (options_.record != nullptr) {
    watch = &both.emplace(watchdog_, *options_.record);
    logged_.emplace(*options_.record, &*ports_, options_.record_codec);
  }
  Ports& ports = logged_.has_value() ? logged_->ports() : *ports_;
  fiber::Scheduler scheduler(context_, stacks_, options_.scheduler, nullptr, watch);
  fiber::FiberScope root(scheduler, scheduler.root_cancel());
  stop_.flag().listen(scheduler);
  root.spawn({"main"}, [&] { be_main(ports, main, ending, [this] { loop_.stop(); }); });
  loop_.run(scheduler, &watchdog_);
  if (options_.record != nullptr) {
    options_.record->finish();
  }
  if (scheduler.fibers() > 0) {
    scheduler.kill_all();
  }
}

}  // namespace chronik::runtime
