// Reads one file of the log, record by record, and tells a torn end from damage (rule R3).
//
// Memory: one chunk, or one record where that is larger. A block that the disk refuses to read counts as a bad one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/ports/disk.h"
#include "core/wal/client.h"
#include "core/wal/file_header.h"
#include "core/wal/record.h"

namespace chronik::wal {

class FileReader {
 public:
  enum class Step : std::uint8_t { kRecord, kDamage, kEnd };

  // `limit`: the cut of the file that came after; everything up to it was synced, and nothing behind it counts. None:
  // this is the newest file. The file must outlive the reader.
  FileReader(File& file, std::uint64_t file_bytes, const FileHeader& header, std::optional<Lsn> limit,
             std::size_t chunk_bytes);

  // The parts of the checkpoint, from the first copy that is whole; nothing where neither is.
  StatusOr<std::optional<std::vector<Slice>>> read_checkpoint(const Deadline& deadline);
  int damaged_copies() const { return damaged_copies_; }  // that read_checkpoint() came across

  // The next record, or the next range of damaged ones, or the end. From the first record on, whatever was read before.
  StatusOr<Step> next(const Deadline& deadline);
  const RecordHeader& header() const { return record_; }
  const Slice& payload() const { return payload_; }
  const DamagedRange& damage() const { return damage_; }

  // Whether a record of a flush after the first is anywhere in the file: then the first was synced.
  StatusOr<bool> holds_later_flush(const Deadline& deadline);

  // The flush of the last record, or of the checkpoint.
  FlushNumber flush() const { return flush_; }
  Lsn expected() const { return expected_; }
  // After kEnd: bytes were found at the end that look like the beginning of a flush that did not get through.
  bool torn() const { return torn_; }

 private:
  struct Found {
    RecordHeader header;
    std::uint64_t position = 0;
  };
  StatusOr<ByteSpan> bytes_at(std::uint64_t position, std::size_t size, const Deadline& deadline);
  Status load(std::uint64_t position, std::size_t size, const Deadline& deadline);
  StatusOr<std::optional<RecordHeader>> whole_record_at(std::uint64_t position, const Deadline& deadline);
  StatusOr<std::optional<std::vector<Slice>>> read_copy(int copy, const Deadline& deadline);
  StatusOr<std::optional<Found>> scan(std::uint64_t from, std::uint64_t to, FlushNumber flush_min,
                                      const Deadline& deadline);
  StatusOr<Step> judge_bad_record(const Deadline& deadline);
  Step report_damage(Lsn last, std::uint64_t resume_at, Lsn resume_lsn, FlushNumber resume_flush);
  void accept(const RecordHeader& header, std::uint64_t position);
  bool may_begin_record(const std::uint8_t* at) const;
  StatusOr<bool> holds_earlier_record(std::uint64_t position, Lsn lsn, const Deadline& deadline);
  FlushNumber flush_here() const { return flush_ended_ ? flush_.next() : flush_; }

  File& file_;
  std::uint64_t file_bytes_;
  FileHeader file_header_;
  std::optional<Lsn> limit_;
  std::size_t chunk_bytes_;

  Slice chunk_;
  std::uint64_t chunk_at_ = 0;

  std::uint64_t position_;     // of the next record
  std::uint64_t flush_begin_;  // of the flush that the next record belongs to
  Lsn expected_;
  FlushNumber flush_;
  bool flush_ended_;
  bool torn_ = false;
  int damaged_copies_ = 0;
  RecordHeader record_;
  Slice payload_;
  DamagedRange damage_;
};

}  // namespace chronik::wal
