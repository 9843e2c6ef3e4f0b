// The fingerprint of a run: a rolling hash over turns, choices, operations with their content's CRC, and draws (rule
// S14).
//
// Two runs of a seed must agree in it. Where they do not, the checkpoints, one every thousand records, say in which
// thousand they part, and a second pass that writes that thousand as text shows the first record that differs.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mix.h"
#include "sim/virtual_time.h"

namespace chronik::sim {

enum class Record : std::uint8_t {
  kEvent,       // the world's loop took an event
  kTurn,        // shard, its time
  kCompletion,  // shard, operation number, result
  kResume,      // shard, fiber lineage, resume number
  kChoice,      // shard, point and who, way chosen
  kOperation,   // shard, operation number
  kBytesIn,     // stream, count, crc
  kBytesOut,
  kDisk,  // device, what, crc
  kStore,
  kLife,    // machine, what happened to it
  kFault,   // kind, target
  kClient,  // workload: operation id, outcome
  kDraws,   // draws so far
};
const char* record_name(Record record);

class Trace {
 public:
  static constexpr std::uint64_t kCheckpointEvery = 1000;

  void record(Record what, std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0) {
    // Multiply-rotate: about a nanosecond, and every bit of every word counts.
    std::uint64_t h = hash_ ^ (static_cast<std::uint64_t>(what) + 1) * 0x9e3779b97f4a7c15;
    h = step(h, a);
    h = step(h, b);
    hash_ = step(h, c);
    if (++records_ % kCheckpointEvery == 0) {
      checkpoints_.push_back(hash_);
    }
    if (text_ != nullptr && records_ > text_from_ && records_ <= text_to_) [[unlikely]] {
      write(what, a, b, c);
    }
  }
  // A line for people; not part of the hash. Costs nothing where nobody reads.
  bool wants_text() const { return text_ != nullptr && records_ >= text_from_ && records_ < text_to_; }
  void note(std::string_view line);

  // Writes records (from, to] and notes as text lines to `file`, which outlives the trace.
  void write_text_to(std::FILE* file, std::uint64_t from, std::uint64_t to, const VirtualTime* now) {
    text_ = file;
    text_from_ = from;
    text_to_ = to;
    now_ = now;
  }

  std::uint64_t hash() const { return hash_; }
  std::uint64_t records() const { return records_; }
  const std::vector<std::uint64_t>& checkpoints() const { return checkpoints_; }

 private:
  static constexpr std::uint64_t step(std::uint64_t h, std::uint64_t word) {
    h = (h ^ word) * 0xff51afd7ed558ccd;
    return (h << 29 | h >> 35) + 0x165667b19e3779f9;
  }
  void write(Record what, std::uint64_t a, std::uint64_t b, std::uint64_t c);

  std::uint64_t hash_ = 0x6368726f6e696b31;
  std::uint64_t records_ = 0;
  std::vector<std::uint64_t> checkpoints_;
  std::FILE* text_ = nullptr;
  std::uint64_t text_from_ = 0;
  std::uint64_t text_to_ = 0;
  const VirtualTime* now_ = nullptr;
};

}  // namespace chronik::sim
