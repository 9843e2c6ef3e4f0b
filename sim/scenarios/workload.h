// What the scenarios with a ledger share: the operations of producers, and what a reader makes of an answer.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "sim/decision.h"
#include "sim/plan.h"
#include "sim/scenarios/ledger.h"
#include "sim/world.h"

namespace chronik::sim {

// What a producer is given to do. One in `acks_one_in` of its batches asks for the leader's disk alone (acks=1), one in
// `unanswered_in` for no answer (acks=0; 0: none does), the others for all replicas that must be in sync.
struct ProduceDraws {
  std::int64_t operations_most = 0;
  std::int64_t bytes_most = 0;  // of a value
  std::uint64_t acks_one_in = 2;
  std::uint64_t unanswered_in = 0;
};
// Adds `machine`'s operations of the verb "produce", spread over plan.lasts.
void draw_produces(Plan& plan, const std::string& machine, const ProduceDraws& with, Draws& draws);

std::uint64_t value_of(const PlanOperation& operation, std::int64_t record);
PartitionId partition_id(std::size_t partition);

// What a fetch from `position` on has brought goes to the ledger; moves `position` behind it. Behind an offset that was
// refused (`may_begin_within`), and at a start that somebody asked for, an answer may begin within a batch. Not ok:
// that was a finding (OFFSET-CONTIG, WAL, or one of the ledger's).
Status take_records(World& world, Ledger& ledger, std::size_t partition, const Slice& records, bool may_begin_within,
                    std::int64_t& position);

}  // namespace chronik::sim
