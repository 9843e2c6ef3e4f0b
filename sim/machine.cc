#include "sim/machine.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/base/mix.h"
#include "sim/checkers.h"
#include "sim/network.h"
#include "sim/shard_ports.h"
#include "sim/story.h"
#include "sim/world.h"

namespace chronik::sim {

Machine::Machine(World& world, MachineOptions options, std::size_t index)
    : world_(world), options_(std::move(options)), index_(index), clock_(options_.clock) {
  disk_ = options_.disk ? options_.disk(world_, options_.name) : no_disk();
  store_ = options_.store ? options_.store(world_, options_.name) : no_store();
}

Machine::~Machine() { CHECK(!running()); }

void Machine::replace_disk() {
  CHECK(!running());
  world_.trace().record(Record::kLife, mix_text(options_.name), incarnation_, 9);
  replaced_.emplace_back(std::move(disk_), std::move(store_));
  disk_ = options_.disk ? options_.disk(world_, options_.name) : no_disk();
  store_ = options_.store ? options_.store(world_, options_.name) : no_store();
  tell("gets a new, empty disk");
}

void Machine::tell(std::string_view what) {
  if (world_.story() != nullptr) [[unlikely]] {
    world_.story()->tell_of(*this, StoryKind::kLife, std::string(what));
  }
}

Draws Machine::draws(std::string_view stream) { return world_.draws(stream, options_.name); }

void Machine::start() {
  CHECK(!running());
  CHECK(program_ != nullptr);
  ++incarnation_;
  powered_ = true;
  suspended_ = false;
  coming_.reset();
  world_.trace().record(Record::kLife, mix_text(options_.name), incarnation_, 1);
  if (world_.trace().wants_text()) {
    world_.trace().note(fmt::format("{} starts, incarnation {}", options_.name, incarnation_));
  }
  if (world_.story() != nullptr) [[unlikely]] {
    tell(fmt::format("starts, incarnation {}", incarnation_));
  }
  for (std::uint32_t index = 0; index < options_.shards; ++index) {
    shards_.push_back(std::make_unique<Shard>(*this, incarnation_, index));
    shard_ids_.push_back(shards_.back()->id());
  }
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->start([this, program = program_, at = shard.get()] {
      fiber::FiberScope& scope = fiber::Fiber::current().scope();
      ProcessContext context{at->ports(), scope, *this, incarnation_, at->index(), shard_ids_};
      program(context);
    });
  }
}

bool Machine::all_mains_ended() const {
  return std::all_of(shards_.begin(), shards_.end(), [](const auto& shard) { return shard->main_ended(); });
}

void Machine::settle() {
  for (const std::unique_ptr<Shard>& shard : shards_) {
    if (shard->wish().has_value()) {
      kill(*shard->wish());
      return;
    }
  }
  CHECK(all_mains_ended());
  kill(Death::kExit);
}

void Machine::note_fatal(ExitStatus status, std::string_view reason) {
  coming_ = Exit{Death::kFatal, status, std::string(reason)};
}

void Machine::kill(Death how) {
  CHECK(fiber::Fiber::current_or_null() == nullptr);
  if (!running()) {
    return;
  }
  world_.trace().record(Record::kLife, mix_text(options_.name), incarnation_, 2 + static_cast<std::uint64_t>(how));
  Exit exit{how, std::nullopt, {}};
  if (how == Death::kFatal && coming_.has_value()) {
    exit = *coming_;
  } else if (how == Death::kExit) {
    exit.status = ExitStatus::kOk;
  }
  if (world_.trace().wants_text()) {
    world_.trace().note(fmt::format("{} ends ({}) {}", options_.name, death_name(how), exit.reason));
  }
  if (world_.story() != nullptr) [[unlikely]] {
    tell(fmt::format("ends ({}){}{}", death_name(how), exit.reason.empty() ? "" : ": ", exit.reason));
  }
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->detach(how);
  }
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->unwind();
  }
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->destroy_ports();
  }
  shards_.clear();
  shard_ids_.clear();
  powered_ = how != Death::kPowerLoss;
  suspended_ = false;
  disk_->on_death(how);
  store_->on_death(how);
  last_exit_ = exit;
  world_.checkers().on_exit(*this, exit);
  if (on_exit_) {
    on_exit_(exit);
  }
}

void Machine::suspend() {
  suspended_ = true;
  tell("stops: suspended");
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->pause();
  }
}

void Machine::resume() {
  if (suspended_) {
    tell("goes on");
  }
  suspended_ = false;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    shard->unpause();
  }
}

}  // namespace chronik::sim
