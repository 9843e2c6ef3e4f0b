// What is in a node's logs and files, for tests that compare it with what should be there.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "core/log/segment.h"
#include "core/protocol/record_batch_records.h"
#include "core/protocol/record_batch_walk.h"
#include "tests/core/log/log_harness.h"

namespace chronik::log::testing {

// What a reader sees from `from` on: offset → value. Checks that offsets are dense and that every checksum is right.
inline std::map<std::int64_t, std::string> read_all(LogNode& node, int partition, Offset from,
                                                    Status* status = nullptr) {
  std::map<std::int64_t, std::string> seen;
  PartitionLog& log = node.log(partition);
  for (Offset at = from; at < log.durable_end();) {
    const StatusOr<ReadResult> read = log.read(at, {.max_bytes = 600, .below = log.durable_end()}, node.soon());
    if (!read.ok()) {
      if (status != nullptr) {
        *status = read.status();
      } else {
        ADD_FAILURE() << read.status().ToString() << " at offset " << at.value();
      }
      return seen;
    }
    EXPECT_GT(read->end, at);
    if (read->end <= at) {
      return seen;
    }
    for (const Slice& part : read->parts) {
      protocol::BatchWalk walk(part.bytes(), protocol::BatchWalk::Checksums::kCheck);
      protocol::RecordBatchView batch;
      while (walk.next(batch)) {
        protocol::RecordIterator records(batch);
        protocol::RecordView record;
        while (records.next(record)) {
          seen[record.offset(batch).value()] = std::string(as_text(*record.value()));
        }
      }
      EXPECT_EQ(walk.stop(), protocol::BatchDefect::kNone);
    }
    at = read->end;
  }
  return seen;
}

inline std::string segment_path(int partition, Offset base, std::string_view ending = ".log") {
  return "logs/" + key_of(partition).to_string() + "/" + segment_file_name(base, ending);
}

inline Slice read_file(LogNode& n, const std::string& path) {
  auto file = n.disk.open(path, OpenMode::kReadWrite, DiskLane::kBulk, n.soon());
  CHECK_OK(file.status());
  const auto size = (*file)->size(n.soon());
  CHECK_OK(size.status());
  auto bytes = (*file)->read(0, *size, n.soon());
  CHECK_OK(bytes.status());
  return *bytes;
}

inline void overwrite(LogNode& n, const std::string& path, std::uint64_t at, Slice bytes) {
  auto file = n.disk.open(path, OpenMode::kReadWrite, DiskLane::kBulk, n.soon());
  CHECK_OK(file.status());
  FileBatch write;
  write.writes.push_back({.offset = at, .parts = {std::move(bytes)}});
  CHECK_OK((*file)->run(std::move(write), n.soon()));
}

// Bases and sizes of a log's segment files.
inline std::map<std::int64_t, std::uint64_t> segment_sizes(LogNode& n, int partition) {
  std::map<std::int64_t, std::uint64_t> sizes;
  const auto names = n.disk.list_directory("logs/" + key_of(partition).to_string(), n.soon());
  CHECK_OK(names.status());
  for (const std::string& name : *names) {
    if (const Offset base = segment_base_of(name); base != Offset::none()) {
      sizes[base.value()] = read_file(n, segment_path(partition, base)).size();
    }
  }
  return sizes;
}

}  // namespace chronik::log::testing
