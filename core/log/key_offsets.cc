#include "core/log/key_offsets.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/mix.h"

namespace chronik::log {

namespace {
// Three of four slots are used at most: beyond that a search walks over more and more of them.
constexpr std::uint64_t kUsedOf = 3;
constexpr std::uint64_t kOf = 4;
}  // namespace

KeyOffsets::KeyOffsets(std::uint64_t bytes_max, std::uint64_t keys_max, const HashKey& hash_key)
    : hash_key_(hash_key),
      slots_(std::max(std::min(bytes_max / sizeof(Slot), keys_max + keys_max / kUsedOf + 1), std::uint64_t{1})),
      most_(slots_ * kUsedOf / kOf),
      blocks_((slots_ + kBlockSlots - 1) / kBlockSlots) {}

std::uint64_t KeyOffsets::first_slot(const Hash128& hash) const { return below(hash.first, slots_); }

void KeyOffsets::put(ByteSpan key, Offset offset) {
  const Hash128 hash = keyed_hash(hash_key_, key);
  for (std::uint64_t at = first_slot(hash);; at = at + 1 == slots_ ? 0 : at + 1) {
    Block& block = blocks_[at / kBlockSlots];
    if (!block) {
      block = std::make_unique<Slot[]>(kBlockSlots);
    }
    Slot& slot = block[at % kBlockSlots];
    if (slot.offset == Offset::none()) {
      CHECK(has_room(1));
      slot = {.hash = hash, .offset = offset};
      ++size_;
      return;
    }
    if (slot.hash == hash) {
      slot.offset = std::max(slot.offset, offset);
      return;
    }
  }
}

Offset KeyOffsets::find(ByteSpan key) const {
  const Hash128 hash = keyed_hash(hash_key_, key);
  for (std::uint64_t at = first_slot(hash);; at = at + 1 == slots_ ? 0 : at + 1) {
    const Block& block = blocks_[at / kBlockSlots];
    if (!block || block[at % kBlockSlots].offset == Offset::none()) {
      return Offset::none();
    }
    if (block[at % kBlockSlots].hash == hash) {
      return block[at % kBlockSlots].offset;
    }
  }
}

}  // namespace chronik::log
