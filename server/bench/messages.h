// Keys and values of the messages that are sent: each follows from its client and number alone.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/slice.h"
#include "server/bench/options.h"

namespace chronik::bench {

class MessageMaker {
 public:
  // run: a number that differs between runs.
  MessageMaker(const BenchOptions& options, std::uint64_t run, std::uint64_t client);

  // The next message; what it refers to is good until the next call.
  void next();
  ByteSpan key() const { return as_bytes(key_); }
  ByteSpan value() const { return {value_.data(), value_.size()}; }
  // By the key's hash.
  PartitionId partition(std::int32_t partitions) const;
  std::uint64_t size() const { return key_.size() + value_.size(); }

 private:
  const BenchOptions& options_;
  std::uint64_t run_;
  std::uint64_t client_;
  std::uint64_t number_ = 0;
  std::string key_;
  std::vector<std::uint8_t> value_;
};

}  // namespace chronik::bench
