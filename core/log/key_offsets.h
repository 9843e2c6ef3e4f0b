// The latest offset of each key, as compaction needs it: in memory that is bounded, whatever the keys.
//
// A key is known by its hash of 128 bits under a key drawn for this table. Memory is taken in blocks when they are
// first touched, so that neither making the table nor letting it grow takes a shard's time at once.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/ids.h"
#include "core/base/keyed_hash.h"
#include "core/base/slice.h"

namespace chronik::log {

class KeyOffsets {
 public:
  // At most bytes_max of memory; less where there will be no more than keys_max keys.
  KeyOffsets(std::uint64_t bytes_max, std::uint64_t keys_max, const HashKey& hash_key);

  // Whether so many more keys can be put.
  bool has_room(std::uint64_t keys) const { return keys <= most_ - size_; }
  // There is room. The largest offset of a key counts.
  void put(ByteSpan key, Offset offset);
  // none(): the key was not put.
  Offset find(ByteSpan key) const;
  std::uint64_t size() const { return size_; }

 private:
  struct Slot {
    Hash128 hash;
    Offset offset = Offset::none();  // none: free
  };
  static constexpr std::uint64_t kBlockSlots = 1024;
  using Block = std::unique_ptr<Slot[]>;

  std::uint64_t first_slot(const Hash128& hash) const;

  HashKey hash_key_;
  std::uint64_t slots_;
  std::uint64_t most_;
  std::uint64_t size_ = 0;
  std::vector<Block> blocks_;
};

}  // namespace chronik::log
