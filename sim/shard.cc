#include "sim/shard.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/mix.h"
#include "core/base/observer.h"
#include "sim/checkers.h"
#include "sim/last_events.h"
#include "sim/machine.h"
#include "sim/mailbox.h"
#include "sim/network_port.h"
#include "sim/points.h"
#include "sim/shard_ports.h"
#include "sim/strategy.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {
constexpr std::size_t kMailboxCapacity = 10'000;
// Fibers that ran without the shard coming to rest once: more is a loop that makes no progress (NO-SPIN).
constexpr std::uint64_t kResumesWithoutRestMax = 2'000'000;
}  // namespace

struct Shard::PortSet {
  explicit PortSet(Shard& shard)
      : clock(shard),
        random(shard.draws("random port")),
        process(shard),
        network(shard),
        disk(shard.machine().disk()->attach(shard)),
        store(shard.machine().store()->attach(shard)) {}
  ClockPort clock;
  RandomPort random;
  ProcessPort process;
  NetworkPort network;
  std::unique_ptr<Attached<chronik::Disk>> disk;
  std::unique_ptr<Attached<chronik::KeyValueStore>> store;
};

Shard::Shard(Machine& machine, std::uint64_t incarnation, std::uint32_t index)
    : machine_(machine),
      incarnation_(incarnation),
      index_(index),
      lineage_(mix(mix_text(machine.name()), incarnation, index)),
      ambient_name_(fmt::format("{}#{}.{}", machine.name(), incarnation, index)),
      turn_draws_(machine.world().decisions().draws("turns", lineage_)) {
  World& world = machine.world();
  context_.shard = world.next_shard_id();
  context_.node = machine.options().node;
  context_.log = world.options().log;
  context_.replay_line = world.options().replay_line;
  context_.points = world.points();
  const WorldOptions& options = world.options();
  if (options.schedule != ScheduleKind::kFifo || options.replay != nullptr) {
    strategy_ = std::make_unique<ShardStrategy>(options, lineage_, draws("schedule"));
  }
  const TurnKnobs& knobs = machine.options().turns;
  scheduler_ = std::make_unique<fiber::Scheduler>(
      context_, world.stacks(),
      fiber::SchedulerOptions{.timer_granularity = knobs.timer_granularity, .resumes_per_turn = knobs.resumes_per_turn},
      strategy_.get(), static_cast<fiber::SchedulerWatch*>(this));
  scope_.emplace(*scheduler_, scheduler_->root_cancel());
  mailbox_ = std::make_unique<ShardMailbox>(*this, kMailboxCapacity);
  Ambient ambient{.context = &context_, .name = ambient_name_};
  const AmbientGuard guard(ambient);
  port_set_ = std::make_unique<PortSet>(*this);
  ports_ = std::make_unique<Ports>(Ports{port_set_->clock, port_set_->random, port_set_->network, *port_set_->disk,
                                         *port_set_->store, *mailbox_, port_set_->process});
  context_.observer = world.checkers().observe(*this);
  world.enlist(*this);
}

Shard::~Shard() { CHECK(detached_); }

World& Shard::world() { return machine_.world(); }

Draws Shard::draws(std::string_view stream) { return world().decisions().draws(stream, lineage_); }

// ---- turns ----

void Shard::start(absl::AnyInvocable<void()> body) {
  auto run = [this, main = std::move(body)]() mutable {
    main();
    main_ended_ = true;
  };
  scope_->spawn({"main", index_}, std::move(run));
  wake();
}

void Shard::complete(OpNumber number, std::int64_t result) {
  if (!detached_) {
    pending_.push_back({number, result});
    wake();
  }
}

void Shard::wake() {
  if (!paused_ && !detached_ && !running_turn_) {
    schedule_turn(std::max(world().now(), busy_until_));
  }
}

void Shard::unpause() {
  paused_ = false;
  wake();
}

void Shard::schedule_turn(VirtualTime at) {
  if (turn_at_ <= at) {
    return;
  }
  world().cancel(turn_event_);
  turn_at_ = at;
  turn_event_ = world().at(at, [this] { run_turn(); });
}

MonotonicTime Shard::clock_now() { return std::max(scheduler_->now(), machine_.clock().monotonic(world().now())); }

void Shard::run_turn() {
  turn_at_ = VirtualTime::never();
  turn_event_ = {};
  if (paused_) {
    return;
  }
  const MonotonicTime now = machine_.clock().monotonic(world().now());
  wall_ = machine_.clock().wall(world().now());
  batch_.clear();
  batch_.swap(pending_);
  resumes_in_turn_ = 0;
  running_turn_ = true;
  bool more = false;
  try {
    more = scheduler_->run_turn(now, batch_);
  } catch (const fiber::FiberKilled&) {
    CHECK(wish_.has_value());  // die() from outside a fiber: a completion, an observer
  }
  running_turn_ = false;
  if (world().last_events() != nullptr) [[unlikely]] {
    world().last_events()->on_turn_end(*this);
  }
  if (wish_.has_value() || (main_ended_ && machine_.all_mains_ended())) {
    machine_.settle();  // may destroy this shard
    return;
  }
  plan_next_turn(more);
}

void Shard::plan_next_turn(bool more) {
  const TurnKnobs& knobs = machine_.options().turns;
  const Duration cost = turn_draws_.heavy_tailed(knobs.turn_cost, knobs.turn_cost_most) +
                        knobs.resume_cost * static_cast<std::int64_t>(resumes_in_turn_);
  busy_until_ = world().now() + cost;
  resumes_without_rest_ = more ? resumes_without_rest_ + resumes_in_turn_ : 0;
  if (resumes_without_rest_ > kResumesWithoutRestMax) {
    world().fail("NO-SPIN", fmt::format("{} ran {} fibers without coming to rest once\n{}", ambient_name_,
                                        resumes_without_rest_, world().describe_waits()));
    return;
  }
  if (more || !pending_.empty()) {
    schedule_turn(busy_until_);
  } else if (scheduler_->next_timer() != MonotonicTime::never()) {
    schedule_turn(std::max(busy_until_, machine_.clock().when(scheduler_->next_timer())));
  }
}

// ---- the end ----

void Shard::die(Death how) {
  wish_ = how;
  // The kernel closes the sockets of a process that ends; nothing of it is said afterwards.
  context_.observer = nullptr;
  scheduler_->halt();
}

void Shard::detach(Death how) {
  CHECK(!detached_);
  CHECK(!running_turn_);
  Ambient ambient{.context = &context_, .name = ambient_name_};
  const AmbientGuard guard(ambient);
  detached_ = true;
  context_.observer = nullptr;
  context_.points = nullptr;
  world().dismiss(*this);
  world().cancel(turn_event_);
  pending_.clear();
  port_set_->network.detach(how);
  port_set_->disk->detach(how);
  port_set_->store->detach(how);
  mailbox_->detach();
}

void Shard::unwind() {
  CHECK(detached_);
  scheduler_->kill_all();
  CHECK_EQ(scheduler_->fibers(), std::size_t{0});
}

void Shard::destroy_ports() {
  Ambient ambient{.context = &context_, .name = ambient_name_};
  const AmbientGuard guard(ambient);
  CHECK_EQ(port_set_->network.handles(), std::size_t{0});
  CHECK_EQ(port_set_->disk->handles(), std::size_t{0});
  CHECK_EQ(port_set_->store->handles(), std::size_t{0});
  ports_.reset();
  port_set_.reset();
  mailbox_.reset();
  scope_.reset();
  // What a shard made is gone with it: no bytes of it live (rule S4).
  CHECK_EQ(context_.live_buffers, std::int64_t{0});
}

// ---- what the scheduler reports ----

void Shard::on_turn(MonotonicTime now, std::span<const fiber::Completion> batch) {
  const std::uint64_t id = static_cast<std::uint64_t>(context_.shard.value());
  Trace& trace = world().trace();
  trace.record(Record::kTurn, id, static_cast<std::uint64_t>(now.nanoseconds()), world().decisions().drawn());
  for (const fiber::Completion& completion : batch) {
    trace.record(Record::kCompletion, id, static_cast<std::uint64_t>(completion.number.value()),
                 static_cast<std::uint64_t>(completion.result));
  }
}

void Shard::on_resume(const fiber::Fiber& fiber) {
  ++resumes_in_turn_;
  world().trace().record(Record::kResume, static_cast<std::uint64_t>(context_.shard.value()), fiber.lineage(),
                         fiber.resumes());
  if (LastEvents* last = world().last_events(); last != nullptr) [[unlikely]] {
    last->on_resume(*this, fiber);
  }
}

void Shard::on_choice(fiber::ChoicePoint point, std::uint64_t who, std::size_t ways, std::size_t chosen) {
  world().trace().record(Record::kChoice, static_cast<std::uint64_t>(point), who, ways << 32 | chosen);
}

void Shard::on_operation(OpNumber number) {
  world().trace().record(Record::kOperation, static_cast<std::uint64_t>(context_.shard.value()),
                         static_cast<std::uint64_t>(number.value()));
}

void Shard::on_entering(const fiber::Fiber& fiber, const WaitKey& turnstile, const char* name) {
  world().turnstile_orders().note(id(), Shard::name(), fiber, turnstile, name);
  if (LastEvents* last = world().last_events(); last != nullptr) [[unlikely]] {
    last->on_entering(*this, fiber, turnstile, name);
  }
}

void Shard::on_expiry(const fiber::Fiber& fiber, const WaitKey& key, Expiry meaning) {
  if (LastEvents* last = world().last_events(); last != nullptr) [[unlikely]] {
    last->on_expiry(*this, fiber, key);
  }
  world().judge_expiry(*this, fiber, key, meaning);
}

}  // namespace chronik::sim
