// What readers of compacted topics may see, as the history of their writers shows it: checker COMPACTED.
//
// Each record carries its key and the number of its write. What a reader sees was sent, is the same at its offset each
// time, and comes in the order of offsets, over batches that lie end to end. Who has read from the beginning to the end
// knows of each key a record at or behind the one that was acknowledged last before it began; or nothing, where that
// was a tombstone whose time may be over. Answers without a record do not follow each other where there was room for
// one: librdkafka gives up at the tenth.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/slice.h"
#include "core/base/time.h"
#include "sim/world.h"

namespace chronik::sim {

class CompactionJudge {
 public:
  // tombstones_last: delete.retention.ms.
  CompactionJudge(World& world, Duration tombstones_last) : world_(world), tombstones_last_(tombstones_last) {}

  struct Write {
    std::int64_t number = 0;  // of the key's writes
    bool tombstone = false;
    friend bool operator==(const Write&, const Write&) = default;
  };
  // About to be sent. Each write of a key has a larger number than the one before.
  void sends(const std::string& key, const Write& write);
  void acknowledged(const std::string& key, const Write& write, int partition, std::int64_t offset);

  // One reader's way from the beginning of a partition to its end.
  struct Pass {
    int partition = 0;
    VirtualTime began;
    std::map<std::string, std::int64_t> known;  // by key: where what was acknowledged last before it began is
    std::int64_t position = 0;                  // what it asks for next
    std::map<std::string, std::pair<std::int64_t, Write>> last;  // by key: what was seen last, and where
    int without_records = 0;                                     // answers in a row, though there was room
  };
  Pass begin(int partition) const;
  // What the answer to a request for so many bytes at pass.position holds, not nothing. False: a finding.
  bool read(Pass& pass, const Slice& records, std::int32_t bytes_asked);
  // The pass has come to the end of what was committed when it was asked.
  bool end(const Pass& pass);

  std::uint64_t seen() const { return records_.size(); }
  std::uint64_t gone() const { return gone_; }
  std::uint64_t passes() const { return passes_; }

 private:
  struct Acknowledged {
    int partition = 0;
    std::int64_t offset = 0;
    Write write;
  };
  bool fail(const std::string& what);
  bool read_record(Pass& pass, std::int64_t offset, const std::string& key, const Write& write);
  // A write of so many before was sent, and as a tombstone or not.
  bool was_sent(const std::string& key, const Write& write) const;

  World& world_;
  Duration tombstones_last_;
  std::map<std::string, std::map<std::int64_t, bool>> sent_;  // by key and number: whether it is a tombstone
  std::map<std::string, Acknowledged> acknowledged_;          // by key: the last
  std::map<std::pair<int, std::int64_t>, std::pair<std::string, Write>> records_;  // by partition and offset
  std::uint64_t gone_ = 0;  // offsets that a pass did not see and that had a record
  std::uint64_t passes_ = 0;
};

// The value of such a write; nothing: a tombstone. What a tombstone's number is stands in a header.
std::string compacted_value(std::int64_t number);
inline constexpr std::string_view kCompactedHeader = "n";

}  // namespace chronik::sim
