// Logs of keys and values that are compacted, and what must be true of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/protocol/record_batch_compress.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_walk.h"
#include "tests/core/log/log_harness.h"
#include "tests/core/log/log_reading.h"

namespace chronik::log::testing {

struct Keyed {
  std::string key;
  std::optional<std::string> value;  // nothing: a tombstone
  friend bool operator==(const Keyed&, const Keyed&) = default;
};
using KeyedLog = std::map<std::int64_t, Keyed>;  // by offset

inline constexpr std::uint64_t kCleanedDiskBytes = 64 << 20;

inline Status stop_orderly(LogNode& n) { return n.logs->stop(fiber::within(Duration::seconds(30), Expiry::kPeer)); }

inline StoredLogsOptions cleaning_options() {
  StoredLogsOptions options = small_options();
  options.cleaner.backoff = Duration::milliseconds(20);
  options.tail_age_max = Duration::milliseconds(50);
  return options;
}

inline LogConfig compacted() {
  LogConfig config = small_segments();
  config.segment_bytes = 1'500;
  config.deletes = false;
  config.compacts = true;
  config.dirty_ratio_min = 0.1;
  config.tombstones_last = Duration::seconds(3600);
  return config;
}

inline Appended append_keyed(LogNode& n, int partition, const std::vector<Keyed>& records,
                             protocol::Codec codec = protocol::Codec::kNone, std::int64_t producer = -1,
                             std::int32_t sequence = 0, Duration ahead = Duration::zero()) {
  protocol::Codecs codecs;
  protocol::RecordBatchBuilder builder;
  const WallTime now = WallTime::from_milliseconds(n.clock.wall().milliseconds() + ahead.milliseconds());
  for (const Keyed& keyed : records) {
    protocol::RecordInput record;
    record.timestamp = now;
    record.key = as_bytes(keyed.key);
    record.value = keyed.value.has_value() ? std::optional(as_bytes(*keyed.value)) : std::nullopt;
    builder.append(record);
  }
  const auto count = static_cast<int>(records.size());
  BatchSummary summary = summary_of(count, now.milliseconds());
  summary.max_timestamp = now;
  protocol::BatchFields fields;
  if (producer >= 0) {
    fields.producer_id = ProducerId(producer);
    fields.producer_epoch = ProducerEpoch(0);
    fields.base_sequence = sequence;
    summary.producer = {.id = ProducerId(producer),
                        .epoch = ProducerEpoch(0),
                        .first_sequence = sequence,
                        .last_sequence = sequence + count - 1};
  }
  Slice batch = builder.build(fields, codec, codecs);
  PartitionLog& to = n.log(partition);
  while (!n.logs->make_room(batch.size(), n.soon()).ok()) {
    CHECK_OK(fiber::sleep(Duration::milliseconds(1)));
  }
  return to.append(std::move(batch), summary, LeaderEpoch(n.epoch));
}

// Makes all that was appended durable and committed.
inline void commit(LogNode& n, int partition) {
  ASSERT_TRUE(n.logs->wait_durable(n.soon()).ok());
  n.log(partition).note_high_watermark(n.log(partition).durable_end());
}

// What a reader sees from `from` on. Checks that batches lie end to end from the log start to the end.
inline KeyedLog read_keyed(LogNode& n, int partition, Offset from, std::vector<std::string>* wrong = nullptr) {
  KeyedLog seen;
  protocol::Codecs codecs;
  PartitionLog& log = n.log(partition);
  const auto note = [&](const std::string& what) {
    if (wrong != nullptr) {
      wrong->push_back(what);
    } else {
      ADD_FAILURE() << what;
    }
  };
  for (Offset at = from; at < log.durable_end();) {
    const StatusOr<ReadResult> read = log.read(at, {.max_bytes = 600, .below = log.durable_end()}, n.soon());
    if (absl::IsAborted(read.status())) {
      continue;
    }
    if (!read.ok() || read->end <= at) {
      note(read.status().ToString() + " at offset " + std::to_string(at.value()));
      return seen;
    }
    bool first = true;
    Offset next;
    for (const Slice& part : read->parts) {
      protocol::BatchWalk walk(part.bytes(), protocol::BatchWalk::Checksums::kCheck);
      protocol::RecordBatchView batch;
      for (std::size_t position = 0; walk.next(batch); position = walk.position()) {
        if (first ? batch.base_offset() > at || batch.last_offset() < at : batch.base_offset() != next) {
          note("batches do not lie end to end at " + std::to_string(batch.base_offset().value()));
        }
        first = false;
        next = batch.next_offset();
        const auto plain = protocol::decompressed_records(part.sub(position, batch.size_bytes()), 1 << 20, codecs);
        CHECK_OK(plain.status());
        protocol::RecordIterator records(plain->bytes(), batch.record_count());
        protocol::RecordView record;
        while (records.next(record)) {
          if (record.offset(batch) >= at) {
            seen[record.offset(batch).value()] = {
                std::string(as_text(record.key_bytes)),
                record.has_value ? std::optional(std::string(as_text(record.value_bytes))) : std::nullopt};
          }
        }
      }
    }
    at = read->end;
  }
  return seen;
}

// By key, the last record.
inline std::map<std::string, std::pair<std::int64_t, std::optional<std::string>>> final_of(const KeyedLog& log) {
  std::map<std::string, std::pair<std::int64_t, std::optional<std::string>>> last;
  for (const auto& [offset, record] : log) {
    last[record.key] = {offset, record.value};
  }
  return last;
}

// Until the cleaner has nothing more to do.
inline void let_it_clean(LogNode& n, Duration longest = Duration::seconds(20)) {
  std::uint64_t before = 0;
  for (Duration waited = Duration::zero(); waited < longest; waited = waited + Duration::seconds(2)) {
    CHECK_OK(fiber::sleep(Duration::seconds(2)));
    const std::uint64_t now = n.logs->cleaner_metrics().passes.value();
    if (now == before && now > 0) {
      return;
    }
    before = now;
  }
}

}  // namespace chronik::log::testing
