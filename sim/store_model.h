// The simulated key-value store's memory and platter in one: every value with the number of the batch that wrote it.
//
// A batch is a number; what is visible, what a snapshot sees and what is durable are prefixes of the sequence of
// batches, so a loss of power is the choice of a prefix, and atomicity needs no further care. Versions that no prefix
// in use can see are dropped as later batches arrive. Invariants: durable() <= head(); a loss of power leaves a head
// between them; held snapshots do not change.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/key_value_store.h"
#include "sim/decision.h"

namespace chronik::sim {

using BatchNumber = std::uint64_t;  // from 1; 0: before all

class StoreModel {
 public:
  BatchNumber head() const { return head_; }
  BatchNumber durable() const { return durable_; }

  BatchNumber commit(const StoreBatch& batch);
  // Every batch up to this one is on the platter.
  void make_durable(BatchNumber upto);

  // As of batch `at`, which is the head, the durable end or held.
  std::optional<std::string> get(std::string_view key, BatchNumber at) const;
  std::vector<StoreEntry> scan(std::string_view from, std::string_view to, std::size_t limit, BatchNumber at) const;
  void hold(BatchNumber at) { ++held_[at]; }
  void release(BatchNumber at);

  // Ends every snapshot.
  void process_kill();
  // Keeps a prefix that is drawn: all that was written, the durable part, or anything between.
  void power_loss(Draws draws);

  std::uint64_t fingerprint() const;
  std::size_t versions() const;

 private:
  struct Version {
    BatchNumber batch;
    std::optional<std::string> value;  // none: erased
  };
  using Versions = absl::InlinedVector<Version, 1>;  // oldest first

  static const Version* find(const Versions& versions, BatchNumber at);
  void set(const std::string& key, std::optional<std::string> value);
  bool in_use(BatchNumber from, BatchNumber to) const;
  void prune(Versions& versions) const;

  absl::btree_map<std::string, Versions, std::less<>> entries_;
  absl::btree_map<BatchNumber, std::uint32_t> held_;
  BatchNumber head_ = 0;
  BatchNumber durable_ = 0;
};

}  // namespace chronik::sim
