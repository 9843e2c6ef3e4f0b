#include "core/base/keyed_hash.h"

#include <bit>

#include "core/base/endian.h"

namespace chronik {

namespace {

struct SipState {
  std::uint64_t v0;
  std::uint64_t v1;
  std::uint64_t v2;
  std::uint64_t v3;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  std::uint64_t value() {
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

Hash128 keyed_hash(const HashKey& key, ByteSpan bytes) {
  SipState state{.v0 = key.first ^ 0x736f6d6570736575,
                 .v1 = key.second ^ 0x646f72616e646f6d ^ 0xee,
                 .v2 = key.first ^ 0x6c7967656e657261,
                 .v3 = key.second ^ 0x7465646279746573};
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    state.take(load_little<std::uint64_t>(bytes.data()));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    last |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  }
  state.take(last);
  state.v2 ^= 0xee;
  Hash128 hash;
  hash.first = state.value();
  state.v1 ^= 0xdd;
  hash.second = state.value();
  return hash;
}

}  // namespace chronik
