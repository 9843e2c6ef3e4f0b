// What the devices of a machine need of their world, given by a World.
#pragma once

#include <string>

#include "sim/disk_lane.h"

namespace chronik::sim {

class World;

class WorldDeviceHost final : public DeviceHost {
 public:
  // The machine need not exist yet: it is looked up when something befalls it.
  WorldDeviceHost(World& world, std::string machine) : world_(world), machine_(std::move(machine)) {}

  EventId after(Duration delay, EventQueue::Callback callback) override;
  void cancel(EventId event) override;
  void complete(ShardId shard, OpNumber number, std::int64_t result) override;
  void kill(Death how) override;
  void fault_fired(std::string_view kind) override;
  void record(Record what, std::uint64_t a, std::uint64_t b, std::uint64_t c) override;
  void fail(std::string_view checker, std::string_view message) override;
  Story* story() const override;

 private:
  World& world_;
  std::string machine_;
};

}  // namespace chronik::sim
