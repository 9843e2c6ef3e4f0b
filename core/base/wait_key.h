// A name for what a wait waits for, and for what somebody provides (rule S9). Fibers only compare keys; whoever made
// the key knows what it means, and the same key on two nodes joins their wait-for graphs.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace chronik {

enum class WaitKind : std::uint16_t {
  kNone = 0,
  kWork,           // nobody wants anything of this fiber: no wait that anybody has to end
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
  kBudget,         // a: number of the budget, b: bytes or slots wanted
  kWalRoom,        // a: 0
  kFormation,      // a: 0; of the group of nodes
  kFetchSession,   // a: follower, b: number of the fetch
  kFetchAnswer,    // a: leader, b: number of the fetch
};

constexpr std::uint16_t kWaitKinds = static_cast<std::uint16_t>(WaitKind::kFetchAnswer) + 1;

// In place of a key's `a` where somebody provides whatever has the same kind.
constexpr std::uint64_t kAnyNumber = ~std::uint64_t{0};

struct WaitKey {
  WaitKind kind = WaitKind::kNone;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  friend constexpr auto operator<=>(const WaitKey&, const WaitKey&) = default;
};

const char* wait_kind_name(WaitKind kind);

// More of a wait than its key says, for people: which file, which turnstile. Asked while somebody waits.
class WaitDetail {
 public:
  virtual ~WaitDetail() = default;
  virtual std::string describe_wait() const = 0;
};

}  // namespace chronik
