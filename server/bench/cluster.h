// The broker that is measured: how to reach it, its topic, and who leads which partition.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/client/client.h"
#include "core/ports/network.h"
#include "server/bench/options.h"

namespace chronik::bench {

class Cluster {
 public:
  // Both outlive it.
  Cluster(Network& network, const BenchOptions& options) : network_(network), options_(options) {}

  // Makes the topic, where that is asked for, and waits until each of its partitions has a leader. Errors say what to
  // do about them.
  Status prepare();
  // Asks anew who leads what.
  Status refresh(const Deadline& deadline);
  Status delete_topic(const Deadline& deadline);

  std::int32_t partitions() const { return static_cast<std::int32_t>(leaders_.size()); }
  const Address& leader(PartitionId partition) const {
    return leaders_.at(static_cast<std::size_t>(partition.value()));
  }
  // A connection to the first of the given servers that takes one.
  StatusOr<std::unique_ptr<client::Client>> connect_to_any(const Deadline& deadline);
  StatusOr<std::unique_ptr<client::Client>> connect(const Address& to, const Deadline& deadline);

 private:
  Status create_topic(client::Client& client, const Deadline& deadline);
  Status ask(client::Client& client, const Deadline& deadline);

  Network& network_;
  const BenchOptions& options_;
  std::vector<Address> leaders_;  // by partition
};

// The connections of one client of the benchmark, made when they are first needed, and again when they have broken.
class Lane {
 public:
  explicit Lane(Cluster& cluster) : cluster_(cluster) {}
  StatusOr<std::shared_ptr<client::Client>> to_leader(PartitionId partition, const Deadline& deadline);
  // Where nothing is answered: waits until the brokers have taken all that was sent. False: not all of them have.
  bool finish(const Deadline& deadline);

 private:
  Cluster& cluster_;
  std::map<Address, std::shared_ptr<client::Client>> connections_;
};

}  // namespace chronik::bench
