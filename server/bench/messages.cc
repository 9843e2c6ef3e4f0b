#include "server/bench/messages.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/base/crc32c.h"
#include "core/base/mix.h"

namespace chronik::bench {

namespace {

constexpr std::string_view kWords =
    "the quick brown fox jumps over the lazy dog while a slow green turtle walks under an eager cat and nobody "
    "hurries ";

void fill_random(MutableByteSpan bytes, std::uint64_t seed) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(seed)) {
    seed = mix(seed);
    std::memcpy(bytes.data() + at, &seed, std::min(sizeof(seed), bytes.size() - at));
  }
}

void fill_text(MutableByteSpan bytes, std::uint64_t seed) {
  const std::size_t shift = below(seed, kWords.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(kWords[(i + shift) % kWords.size()]);
  }
}

}  // namespace

MessageMaker::MessageMaker(const BenchOptions& options, std::uint64_t run, std::uint64_t client)
    : options_(options), run_(run), client_(client), value_(options.message_size) {}

void MessageMaker::next() {
  const std::uint64_t seed = mix(run_, client_, ++number_);
  switch (options_.key_pattern) {
    case KeyPattern::kRandom: key_ = fmt::format("{:016x}", seed); break;
    case KeyPattern::kSequential: key_ = fmt::format("{}", number_ * options_.concurrency + client_); break;
    case KeyPattern::kFixed: key_ = "key"; break;
  }
  switch (options_.payload_pattern) {
    case PayloadPattern::kRandom: fill_random(value_, seed); break;
    case PayloadPattern::kZeros: break;
    case PayloadPattern::kText: fill_text(value_, seed); break;
  }
}

PartitionId MessageMaker::partition(std::int32_t partitions) const {
  return PartitionId(static_cast<std::int32_t>(below(mix(crc32c(key())), static_cast<std::uint64_t>(partitions))));
}

}  // namespace chronik::bench
