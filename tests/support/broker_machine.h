// One broker and one machine for its clients in the simulated world: what tests and fuzzers of a whole node start from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/node/config.h"
#include "sim/device_host.h"
#include "sim/disk.h"
#include "sim/machine.h"
#include "sim/store.h"
#include "sim/world.h"

namespace chronik::testing {

constexpr std::uint16_t kBrokerPort = 9092;

inline sim::MachineOptions node_machine_options() {
  sim::MachineOptions options;
  options.name = "node";
  options.address = Address::ipv4(10, 0, 0, 1, 0);
  options.disk = [](sim::World& of, const std::string& name) -> std::unique_ptr<sim::DiskDevice> {
    return std::make_unique<sim::SimulatedDisk>(std::make_unique<sim::WorldDeviceHost>(of, name), sim::DiskKnobs{},
                                                of.draws("disk", name));
  };
  options.store = [](sim::World& of, const std::string& name) -> std::unique_ptr<sim::StoreDevice> {
    return std::make_unique<sim::SimulatedStore>(std::make_unique<sim::WorldDeviceHost>(of, name), sim::StoreKnobs{},
                                                 of.draws("store", name));
  };
  return options;
}

inline sim::MachineOptions client_machine_options() {
  sim::MachineOptions options;
  options.name = "client";
  options.address = Address::ipv4(10, 0, 0, 2, 0);
  return options;
}

// Small files, so that a broker costs little memory and its log goes round soon.
inline node::NodeConfig small_node() {
  node::NodeConfig config;
  config.bind = Address::ipv4(0, 0, 0, 0, kBrokerPort);
  config.advertised_host = "node";
  config.log_directory = "/data/logs";
  wal::WalOptions& wal = config.logs.wal;
  wal.rotation_bytes = 256 * 1024;
  wal.files_max = 8;
  wal.record_bytes_max = 64 * 1024;
  wal.batch_bytes_max = 64 * 1024;
  wal.queue_bytes_max = 256 * 1024;
  wal.control_reserve_bytes = 16 * 1024;
  wal.free_disk_reserve_bytes = 0;
  wal.fill_step_bytes = 32 * 1024;
  wal.fill_after_bytes = 4 * 1024;
  wal.read_chunk_bytes = 16 * 1024;
  config.logs.tail_bytes_max = 16 * 1024;
  return config;
}

}  // namespace chronik::testing
