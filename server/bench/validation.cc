#include "server/bench/validation.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/base/crc32c.h"
#include "core/protocol/record_batch_compress.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::bench {

namespace {

constexpr std::size_t kRecordsBytesMax = 512 << 20;  // of one batch, decompressed

Status damaged(Offset at, std::string_view why) {
  return absl::DataLossError(fmt::format("at offset {}: {}", at.value(), why));
}

}  // namespace

StatusOr<Offset> read_records(const protocol::FetchPartitionResponse& fetched, Offset from, protocol::Codecs& codecs,
                              const OnRecord& on_record) {
  const Slice bytes = fetched.records.value_or(Slice());
  protocol::BatchWalk walk(bytes.bytes(), protocol::BatchWalk::Checksums::kCheck);
  protocol::RecordBatchView batch;
  std::size_t begin = 0;
  while (walk.next(batch)) {
    const Slice whole = bytes.sub(begin, batch.size_bytes());
    begin += batch.size_bytes();
    if (batch.base_offset() > from || batch.next_offset() <= from) {
      return damaged(from, fmt::format("the batch that comes next has offsets {} to {}", batch.base_offset().value(),
                                       batch.last_offset().value()));
    }
    ASSIGN_OR_RETURN(const Slice records, protocol::decompressed_records(whole, kRecordsBytesMax, codecs));
    protocol::RecordIterator iterator(records.bytes(), batch.record_count());
    protocol::RecordView record;
    while (iterator.next(record)) {
      const Offset offset = record.offset(batch);
      if (offset < from) {
        continue;  // of a batch that began before what was asked for
      }
      if (offset != from) {
        return damaged(from, fmt::format("the record that comes next has offset {}", offset.value()));
      }
      on_record(offset, record);
      from = offset.next();
    }
    if (iterator.defect() != protocol::BatchDefect::kNone || from != batch.next_offset()) {
      return damaged(from, "a record is malformed or missing");
    }
  }
  if (walk.stop() != protocol::BatchDefect::kNone && walk.stop() != protocol::BatchDefect::kTruncated) {
    return damaged(from, protocol::batch_defect_text(walk.stop()));
  }
  return from;
}

void Acknowledged::add(PartitionId partition, Offset offset, ByteSpan value) {
  messages_[partition].push_back({offset, crc32c(value)});
  ++count_;
}

StatusOr<std::vector<std::string>> Acknowledged::verify(RunContext& run) {
  std::vector<std::string> found;
  for (auto& [partition, messages] : messages_) {
    RETURN_IF_ERROR(verify_partition(run, partition, messages, found));
  }
  return found;
}

Status Acknowledged::verify_partition(RunContext& run, PartitionId partition, std::vector<Message>& messages,
                                      std::vector<std::string>& found) {
  const auto note = [&](Offset at, std::string_view what) {
    if (found.size() < kFindingsMax) {
      found.push_back(fmt::format("{}-{} at offset {}: {}", run.options.topic, partition.value(), at.value(), what));
    }
  };
  std::sort(messages.begin(), messages.end(), [](const Message& a, const Message& b) { return a.offset < b.offset; });
  Lane lane(run.cluster);
  auto expected = messages.begin();
  while (expected != messages.end()) {
    const Offset from = expected->offset;
    const Deadline deadline = fiber::within(run.options.request_timeout, Expiry::kPeer);
    ASSIGN_OR_RETURN(const std::shared_ptr<client::Client> client, lane.to_leader(partition, deadline));
    ASSIGN_OR_RETURN(
        const protocol::FetchPartitionResponse fetched,
        client->fetch_waiting(run.options.topic, partition, from, kFetchBytes, Duration::seconds(1), deadline));
    if (fetched.error_code != protocol::ErrorCode::kNone) {
      note(from, fmt::format("acknowledged, and now {}", protocol::error_name(fetched.error_code)));
      return ok();
    }
    const StatusOr<Offset> next =
        read_records(fetched, from, run.codecs, [&](Offset offset, const protocol::RecordView& record) {
          for (int times = 0; expected != messages.end() && expected->offset == offset; ++expected) {
            if (++times > 1) {
              note(offset, "acknowledged for two messages");
            }
            if (crc32c(record.value_bytes) != expected->checksum) {
              note(offset, "holds other bytes than were sent");
            }
          }
        });
    if (!next.ok()) {
      note(from, next.status().ToString());
      return ok();
    }
    if (*next == from) {
      note(from, fmt::format("acknowledged, and not there; the high watermark is {}", fetched.high_watermark.value()));
      return ok();
    }
  }
  return ok();
}

}  // namespace chronik::bench
