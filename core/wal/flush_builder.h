// Puts the bytes of one flush together: small payloads are copied behind their headers into one staging buffer, large
// ones are referred to where they are.
//
// The staging buffer is kept for the next flush: one flush is under way at a time, and start() is called only when the
// write of the one before has completed. The size of what will be staged is announced first, since parts of the write
// point into the buffer while it fills.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/slice.h"
#include "core/wal/file_header.h"
#include "core/wal/record.h"

namespace chronik::wal {

class FlushBuilder {
 public:
  explicit FlushBuilder(std::uint64_t gather_below_bytes) : gather_below_(gather_below_bytes) {}

  // Staging bytes that such a record takes.
  std::size_t staging_bytes(std::size_t payload_bytes) const {
    return payload_bytes < gather_below_ ? record_bytes(payload_bytes) : record_bytes(payload_bytes) - payload_bytes;
  }
  // Staging bytes of a checkpoint's two copies, and the file bytes of one.
  std::size_t checkpoint_staging_bytes(const std::vector<Slice>& parts) const;
  static std::uint64_t checkpoint_bytes(const std::vector<Slice>& parts);

  // `position`: in the file, where the bytes will begin. `staging_bytes`: of everything that will be added, without the
  // padding that finish() adds.
  void start(Generation generation, std::uint32_t use, FlushNumber flush, std::uint64_t position,
             std::size_t staging_bytes);
  void add_file_header(const FileHeader& header);                                  // both copies
  void add_checkpoint(Lsn lsn, const std::vector<Slice>& parts, bool ends_flush);  // both copies, each padded
  void add_record(RecordType type, const LogKey& key, Lsn lsn, std::uint8_t flags, const Slice& payload);
  // Hands out the parts; bytes() is their size. `pad`: to a whole block, as where the flush ends here.
  std::vector<Slice> finish(bool pad);
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::uint8_t* stage(std::size_t size);
  void pad_to_block();
  void end_run();

  std::uint64_t gather_below_;
  Slice staging_;
  std::size_t announced_ = 0;  // bytes of staging_ that may be used
  std::size_t staged_ = 0;
  std::size_t run_ = 0;  // staged bytes from here on are in no part yet
  std::uint64_t position_ = 0;
  std::uint64_t bytes_ = 0;
  std::vector<Slice> parts_;
  Generation generation_;
  std::uint32_t use_ = 0;
  FlushNumber flush_;
};

}  // namespace chronik::wal
