// What clients of the node-kill scenario did and saw, and the judgement over it.
//
// Values are numbered and each is sent at most once, so a value that is there twice, or at another offset than the
// acknowledged one, is the broker's doing. Plain code; outlives every program.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"

namespace chronik::sim {

class World;

// A connection of a producer.
struct ProducerSessionId {
  std::uint64_t client = 0;  // hash of its name
  std::uint64_t number = 0;  // of its connections
};

class NodeKillHistory {
 public:
  NodeKillHistory(World& world, std::size_t partitions) : world_(world), seen_(partitions), acknowledged_(partitions) {}

  std::size_t partitions() const { return seen_.size(); }
  // The bytes of a value: its number and what follows from it.
  static std::string bytes_of(std::uint64_t value, std::size_t size);

  // Before it is sent, in the order of sending.
  void send(std::uint64_t value, std::size_t size, std::size_t partition, const ProducerSessionId& session);
  void acknowledge(std::uint64_t value, std::int64_t offset);
  // A reader met these bytes. False where that was a finding.
  bool see(std::size_t partition, std::int64_t offset, ByteSpan bytes);
  // A reader has read a partition to its end, after all clients were done.
  void end_at(std::size_t partition, std::int64_t offset);

  std::uint64_t acknowledged() const { return acknowledged_count_; }
  std::uint64_t sent() const { return sent_.size(); }
  // At the end, everything read: says World::fail() where something is missing or out of order.
  void judge();

 private:
  struct Sent {
    std::size_t size = 0;
    std::size_t partition = 0;
    ProducerSessionId session;
    std::uint64_t order = 0;         // of sending
    std::int64_t behind = -1;        // the highest offset acknowledged in the partition when it was sent
    std::int64_t acknowledged = -1;  // offset
    std::int64_t found = -1;         // offset
  };
  bool judge_value(std::uint64_t value, const Sent& sent);
  void judge_order(std::size_t partition);

  World& world_;
  absl::btree_map<std::uint64_t, Sent> sent_;
  std::vector<std::vector<std::uint64_t>> seen_;  // values by partition and offset
  std::vector<std::int64_t> acknowledged_;        // the highest offset, by partition
  std::uint64_t acknowledged_count_ = 0;
};

}  // namespace chronik::sim
