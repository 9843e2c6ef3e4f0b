#include "sim/replica_checker.h"

#include <fmt/core.h>

namespace chronik::sim {

void ReplicaChecker::on_batch_appended(const PartitionRef& p, const BatchAppended& batch) {
  if (batch.cleaned) {
    return;  // each replica compacts for itself, and who copies another's log copies what that has left
  }
  const Content content{.last = batch.last, .crc = batch.crc};
  const auto [known, first] = batches_.emplace(std::tuple(p, batch.epoch, batch.base), content);
  if (!first && known->second != content) {
    world_.fail("REPLICA-MATCH",
                fmt::format("{}-{}: in epoch {} there are two batches at offset {}, one up to {}, one up to {}",
                            p.topic.to_string(), p.partition, batch.epoch, batch.base, known->second.last, batch.last));
  }
}

}  // namespace chronik::sim
