#include "sim/compaction_judge.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "core/protocol/record_batch_compress.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_walk.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kPlainBytesMax = 1 << 24;
constexpr std::int32_t kRoomBytes = 1 << 16;  // for any batch of a scenario, and what compaction has left before it
constexpr int kWithoutRecordsMax = 3;         // a disk that is slow ends an answer early

std::optional<std::int64_t> number_in(ByteSpan text) {
  std::int64_t number = 0;
  const std::string_view digits = as_text(text);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// By the header; a value must begin with the same number.
std::optional<CompactionJudge::Write> write_of(const protocol::RecordView& record) {
  protocol::RecordHeaderIterator headers(record);
  protocol::RecordHeaderView header;
  if (!headers.next(header) || as_text(header.key) != kCompactedHeader || !header.value.has_value()) {
    return std::nullopt;
  }
  const std::optional<std::int64_t> number = number_in(*header.value);
  if (!number.has_value() || (record.has_value && as_text(record.value_bytes) != compacted_value(*number))) {
    return std::nullopt;
  }
  return CompactionJudge::Write{.number = *number, .tombstone = !record.has_value};
}

}  // namespace

std::string compacted_value(std::int64_t number) {
  return fmt::format("{:08}", number) + std::string(static_cast<std::size_t>(number % 7) * 10, 'v');
}

bool CompactionJudge::fail(const std::string& what) {
  world_.fail("COMPACTED", what);
  return false;
}

void CompactionJudge::sends(const std::string& key, const Write& write) { sent_[key][write.number] = write.tombstone; }

bool CompactionJudge::was_sent(const std::string& key, const Write& write) const {
  const auto of_key = sent_.find(key);
  if (of_key == sent_.end()) {
    return false;
  }
  const auto found = of_key->second.find(write.number);
  return found != of_key->second.end() && found->second == write.tombstone;
}

void CompactionJudge::acknowledged(const std::string& key, const Write& write, int partition, std::int64_t offset) {
  Acknowledged& last = acknowledged_[key];
  if (last.write.number == 0 || last.offset < offset) {
    last = {.partition = partition, .offset = offset, .write = write};
  }
  const auto [known, first] = records_.try_emplace({partition, offset}, key, write);
  if (!first && known->second != std::pair(key, write)) {
    fail(fmt::format("partition {} offset {}: write {} of {} is acknowledged there, and write {} of {} was read there",
                     partition, offset, write.number, key, known->second.second.number, known->second.first));
  }
}

CompactionJudge::Pass CompactionJudge::begin(int partition) const {
  Pass pass{
      .partition = partition, .began = world_.now(), .known = {}, .position = 0, .last = {}, .without_records = 0};
  for (const auto& [key, last] : acknowledged_) {
    if (last.partition == partition) {
      pass.known[key] = last.offset;
    }
  }
  return pass;
}

bool CompactionJudge::read_record(Pass& pass, std::int64_t offset, const std::string& key, const Write& write) {
  if (!was_sent(key, write)) {
    return fail(fmt::format("partition {} offset {}: write {} of {} was never sent", pass.partition, offset,
                            write.number, key));
  }
  const auto [known, first] = records_.try_emplace({pass.partition, offset}, key, write);
  if (!first && known->second != std::pair(key, write)) {
    return fail(fmt::format("partition {} offset {} was write {} of {}, and is write {} of {}", pass.partition, offset,
                            known->second.second.number, known->second.first, write.number, key));
  }
  pass.last[key] = {offset, write};
  return true;
}

bool CompactionJudge::read(Pass& pass, const Slice& records, std::int32_t bytes_asked) {
  protocol::Codecs codecs;
  protocol::BatchWalk walk(records.bytes(), protocol::BatchWalk::Checksums::kCheck);
  protocol::RecordBatchView batch;
  Offset next(pass.position);
  bool first = true;
  bool empty = true;
  for (std::size_t at = 0; walk.next(batch); at = walk.position()) {
    const bool joins = first ? batch.base_offset() <= next && batch.last_offset() >= next : batch.base_offset() == next;
    if (!joins) {
      return fail(fmt::format("partition {}: a batch of offsets {} to {} where {} comes next", pass.partition,
                              batch.base_offset(), batch.last_offset(), next));
    }
    first = false;
    empty = empty && batch.record_count() == 0;
    next = batch.next_offset();
    const auto plain = protocol::decompressed_records(records.sub(at, batch.size_bytes()), kPlainBytesMax, codecs);
    if (!plain.ok()) {
      return fail(fmt::format("partition {}: the batch at {} cannot be decompressed: {}", pass.partition,
                              batch.base_offset(), plain.status().ToString()));
    }
    protocol::RecordIterator iterator(plain->bytes(), batch.record_count());
    protocol::RecordView record;
    Offset before = batch.base_offset() - 1;
    while (iterator.next(record)) {
      const Offset offset = record.offset(batch);
      const std::optional<Write> write = write_of(record);
      if (!write.has_value() || offset <= before || offset > batch.last_offset()) {
        return fail(fmt::format("partition {}: the record at offset {} is none that was sent, or out of order",
                                pass.partition, offset));
      }
      before = offset;
      if (offset.value() >= pass.position &&
          !read_record(pass, offset.value(), std::string(as_text(record.key_bytes)), *write)) {
        return false;
      }
    }
    if (iterator.defect() != protocol::BatchDefect::kNone) {
      return fail(
          fmt::format("partition {}: the records of the batch at {} are broken", pass.partition, batch.base_offset()));
    }
  }
  pass.position = next.value();
  pass.without_records = empty && bytes_asked >= kRoomBytes ? pass.without_records + 1 : 0;
  return pass.without_records <= kWithoutRecordsMax ||
         fail(fmt::format("partition {}: {} answers in a row, the last up to offset {}, had no record", pass.partition,
                          pass.without_records, pass.position));
}

bool CompactionJudge::end(const Pass& pass) {
  ++passes_;
  const bool quick = world_.now() - pass.began < tombstones_last_ / 2;
  for (const auto& [key, offset] : pass.known) {
    const auto seen = pass.last.find(key);
    const auto known = records_.find({pass.partition, offset});
    const Write& write = known->second.second;
    if (seen != pass.last.end() && seen->second.first >= offset) {
      continue;
    }
    // A tombstone may be gone with all that it hid: this one, or a later one, whether that was acknowledged or not. Who
    // was slow has seen what was there before.
    const auto& sent = sent_.at(key);
    const bool deleted =
        std::any_of(sent.lower_bound(write.number), sent.end(), [](const auto& written) { return written.second; });
    if (deleted && (seen == pass.last.end() || !quick)) {
      continue;
    }
    return fail(
        fmt::format("partition {}: of {}, write {} was acknowledged at offset {}; a reader from the beginning "
                    "to {} has {} as the last",
                    pass.partition, key, write.number, offset, pass.position,
                    seen == pass.last.end()
                        ? std::string("nothing")
                        : fmt::format("write {} at offset {}", seen->second.second.number, seen->second.first)));
  }
  return true;
}

}  // namespace chronik::sim
