#include "sim/scenarios/workload.h"

#include <fmt/core.h>

#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::sim {

namespace {

constexpr std::int64_t kRecordsMost = 5;  // of a batch

ProducedAs produced_as(const protocol::RecordBatchView& batch, Offset offset) {
  if (!batch.has_producer()) {
    return {};
  }
  return {.id = batch.producer_id().value(),
          .epoch = batch.producer_epoch().value(),
          .sequence = batch.base_sequence() + static_cast<std::int32_t>(offset - batch.base_offset())};
}

}  // namespace

void draw_produces(Plan& plan, const std::string& machine, const ProduceDraws& with, Draws& draws) {
  const std::int64_t operations = draws.magnitude(5, with.operations_most);
  const std::int64_t bytes_most = draws.magnitude(16, with.bytes_most);
  const std::int64_t pause_most = 2 * plan.lasts.nanoseconds() / operations;
  for (std::int64_t k = 0; k < operations; ++k) {
    PlanOperation& operation = plan.operations.emplace_back();
    operation.id = plan.operations.size();
    operation.machine = machine;
    operation.verb = "produce";
    operation.numbers["partition"] = draws.between(0, 2);
    operation.numbers["bytes"] = draws.between(8, bytes_most);
    operation.numbers["records"] = draws.magnitude(1, kRecordsMost);
    operation.numbers["acks"] = draws.below(with.acks_one_in) == 0 ? 1 : -1;
    operation.numbers["pause_ns"] = draws.between(0, pause_most);
    if (with.unanswered_in != 0 && draws.below(with.unanswered_in) == 0) {
      operation.numbers["acks"] = 0;
    }
  }
}

std::uint64_t value_of(const PlanOperation& operation, std::int64_t record) {
  return operation.id * 16 + static_cast<std::uint64_t>(record);
}

PartitionId partition_id(std::size_t partition) { return PartitionId(static_cast<std::int32_t>(partition)); }

Status take_records(World& world, Ledger& ledger, std::size_t partition, const Slice& records, bool may_begin_within,
                    std::int64_t& position) {
  protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
  protocol::RecordBatchView batch;
  const auto wrong = [&](const char* checker, const std::string& what) {
    world.fail(checker, fmt::format("partition {} at {}: {}", partition, position, what));
    return absl::DataLossError(what);
  };
  while (walk.next(batch)) {
    const bool within =
        (may_begin_within || position <= ledger.asked_start(partition)) && batch.base_offset().value() < position;
    if (batch.base_offset().value() != position && !within) {
      return wrong("OFFSET-CONTIG", fmt::format("a batch at offset {}", batch.base_offset().value()));
    }
    protocol::RecordIterator iterator(batch);
    protocol::RecordView record;
    std::int64_t expected = batch.base_offset().value();
    while (iterator.next(record)) {
      if (record.offset(batch).value() != expected++) {
        return wrong("OFFSET-CONTIG", "records that are not one behind the other");
      }
      if (expected <= position) {
        continue;
      }
      if (!ledger.see(partition, position, record.value_bytes, produced_as(batch, record.offset(batch)))) {
        return absl::DataLossError("record");
      }
      ++position;
    }
    if (iterator.defect() != protocol::BatchDefect::kNone || position != batch.next_offset().value()) {
      return wrong("WAL", "a damaged batch was served");
    }
  }
  return walk.stop() == protocol::BatchDefect::kNone || walk.stop() == protocol::BatchDefect::kTruncated
             ? ok()
             : wrong("WAL", "damaged bytes were served");
}

}  // namespace chronik::sim
