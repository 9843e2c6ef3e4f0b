#include "sim/checkers.h"

#include "sim/machine.h"
#include "sim/shard.h"
#include "sim/story_observer.h"
#include "sim/world.h"

namespace chronik::sim {

// Passes each notification on, to every listener in the order in which the checkers were added.
class Checkers::Fan final : public Observer {
 public:
  explicit Fan(std::vector<Observer*> listeners) : listeners_(std::move(listeners)) {}

  void on_partition_opened(const PartitionRef& p, Offset start, Offset end, Offset durable) override {
    each([&](Observer& o) { o.on_partition_opened(p, start, end, durable); });
  }
  void on_partition_deleted(const PartitionRef& p) override {
    each([&](Observer& o) { o.on_partition_deleted(p); });
  }
  void on_batch_appended(const PartitionRef& p, const BatchAppended& batch) override {
    each([&](Observer& o) { o.on_batch_appended(p, batch); });
  }
  void on_truncated(const PartitionRef& p, LeaderEpoch epoch, Offset new_end) override {
    each([&](Observer& o) { o.on_truncated(p, epoch, new_end); });
  }
  void on_log_start(const PartitionRef& p, Offset start) override {
    each([&](Observer& o) { o.on_log_start(p, start); });
  }
  void on_durable_end(const PartitionRef& p, Offset end) override {
    each([&](Observer& o) { o.on_durable_end(p, end); });
  }
  void on_segment_rolled(const PartitionRef& p, Offset base) override {
    each([&](Observer& o) { o.on_segment_rolled(p, base); });
  }
  void on_damage(const PartitionRef& p, Offset from, Offset to) override {
    each([&](Observer& o) { o.on_damage(p, from, to); });
  }
  void on_role(const PartitionRef& p, LeaderEpoch epoch, bool leader) override {
    each([&](Observer& o) { o.on_role(p, epoch, leader); });
  }
  void on_isr(const PartitionRef& p, LeaderEpoch epoch, std::span<const NodeId> isr) override {
    each([&](Observer& o) { o.on_isr(p, epoch, isr); });
  }
  void on_high_watermark(const PartitionRef& p, LeaderEpoch epoch, Offset high_watermark) override {
    each([&](Observer& o) { o.on_high_watermark(p, epoch, high_watermark); });
  }
  void on_wal_flush(FlushNumber flush, Lsn first, Lsn last, FlushOutcome outcome) override {
    each([&](Observer& o) { o.on_wal_flush(flush, first, last, outcome); });
  }
  void on_wal_file(Generation generation, std::string_view path, bool recycled) override {
    each([&](Observer& o) { o.on_wal_file(generation, path, recycled); });
  }
  void on_wal_recovered(Lsn last, bool written_anew) override {
    each([&](Observer& o) { o.on_wal_recovered(last, written_anew); });
  }
  void on_disk_failure(std::string_view path, std::string_view what) override {
    each([&](Observer& o) { o.on_disk_failure(path, what); });
  }
  void on_metadata_applied(LogIndex index) override {
    each([&](Observer& o) { o.on_metadata_applied(index); });
  }

 private:
  template <typename Tell>
  void each(Tell&& tell) {
    for (Observer* listener : listeners_) {
      tell(*listener);
    }
  }
  std::vector<Observer*> listeners_;
};

Checkers::Checkers(World& world) : world_(world) {
  if (world.story() != nullptr) {
    teller_ = std::make_unique<StoryObserver>(*world.story());
  }
}
Checkers::~Checkers() = default;

Observer* Checkers::observe(Shard& shard) {
  std::vector<Observer*> listeners;
  if (teller_ != nullptr) {
    listeners.push_back(teller_.get());
  }
  for (const std::unique_ptr<Checker>& checker : checkers_) {
    if (Observer* listener = checker->observe(shard); listener != nullptr) {
      listeners.push_back(listener);
    }
  }
  if (listeners.empty()) {
    return nullptr;
  }
  fans_.emplace_back(&shard.machine(), std::make_unique<Fan>(std::move(listeners)));
  return fans_.back().second.get();
}

void Checkers::on_fault(std::string_view kind, std::uint64_t target) {
  for (const std::unique_ptr<Checker>& checker : checkers_) {
    checker->on_fault(kind, target);
  }
}

void Checkers::on_exit(Machine& machine, const Exit& exit) {
  std::erase_if(fans_, [&machine](const auto& fan) { return fan.first == &machine; });
  for (const std::unique_ptr<Checker>& checker : checkers_) {
    checker->on_exit(machine, exit);
  }
}

void Checkers::at_end() {
  for (const std::unique_ptr<Checker>& checker : checkers_) {
    if (world_.findings().empty()) {
      checker->at_end(world_);
    }
  }
}

}  // namespace chronik::sim
