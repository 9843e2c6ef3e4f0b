// A name for what a wait waits for, and for what somebody provides (rule S9). Fibers only compare keys; whoever made
// the key knows what it means, and the same key on two nodes joins their wait-for graphs.
#pragma once

#include <compare>
#include <cstdint>

namespace chronik {

enum class WaitKind : std::uint16_t {
  kNone = 0,
  kSleep,          // a: 0
  kTurnstile,      // a: number of the turnstile
  kEvent,          // a: number of the event
  kChannel,        // a: number of the channel
  kScope,          // a: number of the scope that is joined
  kDisk,           // a: operation number
  kNetworkRead,    // a: local endpoint, b: remote endpoint
  kNetworkWrite,   // a: local endpoint, b: remote endpoint
  kConnect,        // b: remote endpoint
  kAccept,         // a: local endpoint
  kStore,          // a: operation number
  kMailbox,        // a: target shard
  kRequest,        // a: client endpoint, b: server endpoint, c: correlation id
  kWalFlush,       // a: the log's shard within its node
  kHighWatermark,  // a: hash of topic id, b: partition, c: offset that must be passed
  kLogAppend,      // a: hash of topic id, b: partition, c: offset that must be exceeded
  kMetadataIndex,  // a: log index that must be applied
  kBudget,         // a: bytes or slots wanted
};

struct WaitKey {
  WaitKind kind = WaitKind::kNone;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  friend constexpr auto operator<=>(const WaitKey&, const WaitKey&) = default;
};

const char* wait_kind_name(WaitKind kind);

}  // namespace chronik
