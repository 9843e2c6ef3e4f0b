// What clients of one topic did and saw, and the judgement over it: checkers ACK-DURABLE, OFFSET-UNIQUE, REFUSED,
// ORDER, IDEMPOTENT and LOG-START.
//
// Values are numbered. One without a producer id is sent at most once, and one with an id only ever again under the
// same sequence number; so a value that is there twice, or at another offset than the acknowledged one, is the broker's
// doing. Plain code; outlives every program.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"

namespace chronik::sim {

class World;

// A connection of a producer.
struct ProducerSessionId {
  std::uint64_t client = 0;  // hash of its name
  std::uint64_t number = 0;  // of its connections
};

// What a record's batch says of its producer. By default: of none.
struct ProducedAs {
  std::int64_t id = -1;
  std::int32_t epoch = -1;
  std::int32_t sequence = -1;  // of this record
  bool idempotent() const { return id >= 0; }
  friend bool operator==(const ProducedAs&, const ProducedAs&) = default;
};

class Ledger {
 public:
  Ledger(World& world, std::size_t partitions)
      : world_(world),
        seen_(partitions),
        acknowledged_(partitions),
        acknowledged_values_(partitions),
        watermarks_(partitions),
        refused_(partitions),
        log_start_(partitions),
        confirmed_start_(partitions),
        asked_start_(partitions) {}

  std::size_t partitions() const { return seen_.size(); }
  // The bytes of a value: its number and what follows from it.
  static std::string bytes_of(std::uint64_t value, std::size_t size);

  // Before it is sent for the first time, in the order of sending. era: whatever the scenario counts (settled_era()).
  void send(std::uint64_t value, std::size_t size, std::size_t partition, const ProducerSessionId& session,
            std::uint64_t era = 0, const ProducedAs& as = {});
  // Each attempt of an idempotent producer may be acknowledged: all of them must name one offset.
  void acknowledge(std::uint64_t value, std::int64_t offset);
  // The broker has answered that it did not take it: it must not be there.
  void refuse_value(std::uint64_t value);
  // A reader met these bytes. False where that was a finding. Gaps are for who says first that they were refused.
  bool see(std::size_t partition, std::int64_t offset, ByteSpan bytes, const ProducedAs& as = {});
  // A reader was answered an error instead of what is at this offset: damaged, and the broker says so.
  void refuse(std::size_t partition, std::int64_t offset);
  // A broker has told a client that everything below is there to be read.
  void see_watermark(std::size_t partition, std::int64_t high_watermark) {
    watermarks_[partition] = std::max(watermarks_[partition], high_watermark);
  }
  // Behind the last offset that was acknowledged, read by anybody, or said to be there to be read.
  std::int64_t known_end(std::size_t partition) const;
  // Behind the last offset that a reader has met.
  std::int64_t seen_end(std::size_t partition) const { return static_cast<std::int64_t>(seen_[partition].size()); }
  // Somebody is about to ask for the deletion of what is below `offset`: no log that nothing else deletes from begins
  // later.
  void ask_start(std::size_t partition, std::int64_t offset) {
    asked_start_[partition] = std::max(asked_start_[partition], offset);
  }
  std::int64_t asked_start(std::size_t partition) const { return asked_start_[partition]; }
  // That deletion was acknowledged: the log never begins earlier again.
  void confirm_start(std::size_t partition, std::int64_t offset) {
    log_start_[partition] = std::max(log_start_[partition], offset);
    confirmed_start_[partition] = std::max(confirmed_start_[partition], offset);
  }
  // The broker says that the log begins here; what was before has been deleted. known: log_start() before the reader
  // asked; retained: the broker may also have deleted by itself. False where that was a finding.
  bool begin_at(std::size_t partition, std::int64_t offset, std::int64_t known, bool retained);
  std::int64_t log_start(std::size_t partition) const { return log_start_[partition]; }
  // What was acknowledged to be deleted. A start that a leader tells of may be taken back by a fail-over until then.
  std::int64_t confirmed_start(std::size_t partition) const { return confirmed_start_[partition]; }
  // A reader was given what is at `offset`. known: as above. False where that was a finding.
  bool read_at(std::size_t partition, std::int64_t offset, std::int64_t known);
  // A reader has read a partition to its end. known: known_end() before it asked for the end.
  void end_at(std::size_t partition, std::int64_t offset, std::int64_t known);

  std::uint64_t acknowledged() const { return acknowledged_count_; }
  std::uint64_t sent() const { return sent_.size(); }
  // The latest era of whose values one was acknowledged.
  std::uint64_t settled_era() const { return settled_era_; }
  // At the end, everything read: says World::fail() where something is missing or out of order.
  void judge();

 private:
  struct Sent {
    std::size_t size = 0;
    std::size_t partition = 0;
    ProducerSessionId session;
    std::uint64_t era = 0;
    std::uint64_t order = 0;         // of sending
    std::int64_t behind = -1;        // the highest offset acknowledged in the partition when it was sent
    std::int64_t acknowledged = -1;  // offset
    std::int64_t found = -1;         // offset
    bool refused = false;
    ProducedAs as = {};
  };
  template <typename Say>
  void tell(std::uint64_t value, std::int64_t offset, Say say);  // to the story of the run
  bool place(std::size_t partition, std::int64_t offset, std::uint64_t value, Sent& sent);
  bool judge_value(std::uint64_t value, const Sent& sent);
  void judge_order(std::size_t partition);
  void judge_sequences(std::size_t partition);

  World& world_;
  absl::btree_map<std::uint64_t, Sent> sent_;
  std::vector<std::vector<std::uint64_t>> seen_;  // values by partition and offset; 0: refused
  std::vector<std::int64_t> acknowledged_;        // behind the highest offset, by partition
  std::vector<absl::btree_map<std::int64_t, std::uint64_t>> acknowledged_values_;  // by offset
  std::vector<std::int64_t> watermarks_;                                           // the highest, by partition
  std::vector<absl::btree_set<std::int64_t>> refused_;
  std::vector<std::int64_t> log_start_;        // the highest that a reader was told, or that was acknowledged
  std::vector<std::int64_t> confirmed_start_;  // the highest that was acknowledged
  std::vector<std::int64_t> asked_start_;      // the highest that anybody asked for
  std::uint64_t acknowledged_count_ = 0;
  std::uint64_t settled_era_ = 0;
};

}  // namespace chronik::sim
