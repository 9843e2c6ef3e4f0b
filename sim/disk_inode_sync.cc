// What becomes of written bytes: syncs, deaths, damage, and what checkers may ask.
#include <algorithm>
#include <array>

#include "core/base/mix.h"
#include "sim/disk_inode.h"

namespace chronik::sim {
namespace {

using BlockBytes = std::array<std::uint8_t, kBlockBytes>;

// The last of `versions` that a sync with this cover writes; size() where there is none.
template <typename Versions>
std::size_t last_covered(const Versions& versions, const SyncCover& cover) {
  for (std::size_t i = versions.size(); i-- > 0;) {
    if (cover.covers(versions[i].seq) && !versions[i].lost) {
      return i;
    }
  }
  return versions.size();
}

template <typename Versions>
void erase_up_to(Versions& versions, std::size_t last) {
  versions.erase(versions.begin(), versions.begin() + static_cast<std::ptrdiff_t>(last) + 1);
}

// A block of which the device wrote a part: each byte is the older or the newer one.
Content tear(const Content& older, const Content& newer, Draws& draws) {
  BlockBytes bytes;
  BlockBytes written;
  older.read(0, bytes);
  newer.read(0, written);
  std::uint32_t from = 0;
  std::uint32_t to = kBlockBytes;
  for (; from < to && bytes[from] == written[from]; ++from) {
  }
  for (; to > from && bytes[to - 1] == written[to - 1]; --to) {
  }
  if (to - from < 2) {
    return newer;  // they differ by one byte or not at all: nothing to tear
  }
  const std::uint64_t kind = draws.below(3);
  const std::uint64_t drawn = draws.next();
  if (kind == 2) {
    for (std::uint32_t sector = 0; sector < kBlockBytes / kSectorBytes; ++sector) {
      if ((drawn >> sector & 1) != 0) {
        std::copy_n(written.begin() + sector * kSectorBytes, kSectorBytes, bytes.begin() + sector * kSectorBytes);
      }
    }
  } else {
    const std::uint32_t cut = from + 1 + static_cast<std::uint32_t>(below(drawn, to - from - 1));
    const std::uint32_t first = kind == 0 ? from : cut;
    const std::uint32_t last = kind == 0 ? cut : to;
    std::copy(written.begin() + first, written.begin() + last, bytes.begin() + first);
  }
  Content torn;
  torn.write(0, bytes);
  return torn;
}

}  // namespace

// ---- syncs ----

void DiskInode::forget_sync(const SyncCover& cover) {
  const auto begun = std::find(syncs_.begin(), syncs_.end(), cover.before);
  if (begun != syncs_.end()) {
    syncs_.erase(begun);
  }
}

void DiskInode::end_sync(const SyncCover& cover, SyncOutcome outcome, Draws draws) {
  forget_sync(cover);
  switch (outcome) {
    case SyncOutcome::kDone: make_durable(cover); break;
    case SyncOutcome::kFailed: fail(cover, draws); break;
    case SyncOutcome::kLied: break;
  }
}

void DiskInode::make_durable(const SyncCover& cover) {
  std::uint64_t end = 0;  // of what becomes durable
  std::size_t left = 0;
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    const std::uint64_t index = dirty_[i];
    Block& block = own_block(index);
    Pending& pending = *block.pending;
    const std::size_t last = last_covered(pending, cover);
    if (last + 1 == pending.size()) {
      block.durable = std::move(pending[last]);
      block.pending.reset();
      end = std::max(end, (index + 1) * kBlockBytes);
      continue;
    }
    if (last < pending.size()) {
      block.durable = std::move(pending[last]);
      erase_up_to(pending, last);
      end = std::max(end, (index + 1) * kBlockBytes);
    }
    dirty_[left++] = index;
  }
  dirty_.resize(left);
  if (!sizes_.empty() && sizes_.back().lost) {
    // A length that a failed sync has lost comes back as far as blocks are written anew: they can be read again.
    durable_size_ = std::max(durable_size_, std::min(end, sizes_.back().size));
    if (durable_size_ == sizes_.back().size) {
      sizes_.clear();
    }
    return;
  }
  if (const std::size_t last = last_covered(sizes_, cover); last < sizes_.size()) {
    const bool shrinks = sizes_[last].size < durable_size_;
    durable_size_ = sizes_[last].size;
    erase_up_to(sizes_, last);
    if (shrinks && sizes_.empty() && dirty_.empty()) {
      drop_blocks_behind(durable_size_);
    }
  }
}

void DiskInode::fail(const SyncCover& cover, Draws draws) {
  std::size_t left = 0;
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    const std::uint64_t index = dirty_[i];
    Block& block = own_block(index);
    Pending& pending = *block.pending;
    const std::size_t last = last_covered(pending, cover);
    if (last < pending.size()) {
      const bool newest = last + 1 == pending.size();
      if (draws.child("failed sync", index).below(2) == 0) {
        block.durable = std::move(pending[last]);
        erase_up_to(pending, last);
      } else if (newest) {
        pending.erase(pending.begin(), pending.end() - 1);
        pending.back().lost = true;
      } else {
        erase_up_to(pending, last);
      }
      if (pending.empty()) {
        block.pending.reset();
        continue;
      }
    }
    dirty_[left++] = index;
  }
  dirty_.resize(left);
  if (const std::size_t last = last_covered(sizes_, cover); last < sizes_.size()) {
    if (draws.child("failed sync of the size", name_).below(2) == 0) {
      durable_size_ = sizes_[last].size;
      erase_up_to(sizes_, last);
    } else if (last + 1 == sizes_.size()) {
      sizes_.erase(sizes_.begin(), sizes_.end() - 1);
      sizes_.back().lost = true;
    } else {
      erase_up_to(sizes_, last);
    }
  }
}

// ---- damage ----

void DiskInode::damage(std::uint64_t index, const Overlay& more) {
  Version& version = own_block(index).durable;
  if (!version.overlay) {
    version.overlay = Shared(new Overlay());
  }
  Overlay& overlay = version.overlay.own();
  overlay.patches.insert(overlay.patches.end(), more.patches.begin(), more.patches.end());
  overlay.unreadable |= more.unreadable;
  if (more.replaced) {
    overlay.replaced = more.replaced;
  }
}

const Overlay* DiskInode::damage_of(std::uint64_t block) const {
  const Block* found = find(block);
  return found == nullptr ? nullptr : found->newest().overlay.get();
}

// ---- deaths ----

void DiskInode::settle_block(std::uint64_t index, Draws draws, const Survival& survival) {
  Block& block = own_block(index);
  const std::unique_ptr<Pending> pending = std::move(block.pending);
  used_blocks_ -= pending->back().hole ? 0u : 1u;
  const std::size_t versions = pending->back().lost ? 0 : pending->size();
  const std::array<std::uint32_t, 3> weights{survival.kept, survival.dropped, survival.torn};
  const std::size_t fate = versions == 0 ? 1 : draws.pick(weights);
  if (fate == 0) {
    block.durable = std::move(pending->back());
  } else if (fate == 2) {
    // The kernel may have written any version in the background, and the device a part of the next.
    const std::size_t newer = draws.below(versions);
    const std::size_t older = draws.below(newer + 1);  // 0: the durable one
    const Version& before = older == 0 ? block.durable : (*pending)[older - 1];
    Version torn = (*pending)[newer];
    const bool whole = newer + 1 < versions && draws.below(2) == 0;
    if (!whole) {
      torn.content = tear(before.content, torn.content, draws);
      torn.hole = torn.hole && before.hole;
    }
    block.durable = std::move(torn);
  }
  used_blocks_ += block.durable.hole ? 0u : 1u;
}

void DiskInode::settle_size(Draws draws, const Survival& survival) {
  if (!sizes_.empty() && sizes_.back().lost) {
    sizes_.clear();
  }
  if (!sizes_.empty()) {
    const std::array<std::uint32_t, 3> weights{survival.kept, survival.dropped, survival.torn};
    const std::size_t fate = draws.pick(weights);
    if (fate == 0) {
      durable_size_ = sizes_.back().size;
    } else if (fate == 2) {
      const std::size_t chosen = draws.below(sizes_.size());
      const std::uint64_t before = chosen == 0 ? durable_size_ : sizes_[chosen - 1].size;
      durable_size_ = sizes_[chosen].size;
      const std::uint64_t first = before / kBlockBytes + 1;
      const std::uint64_t last = durable_size_ / kBlockBytes;
      if (durable_size_ > before && last >= first && draws.below(2) == 0) {
        durable_size_ = (first + draws.below(last - first + 1)) * kBlockBytes;  // a long write, recorded half-way
      }
    }
    sizes_.clear();
  }
  drop_blocks_behind(durable_size_);
}

void DiskInode::power_loss(Draws draws, const Survival& survival) {
  syncs_.clear();
  if (!dirty()) {
    return;
  }
  for (const std::uint64_t index : dirty_) {
    settle_block(index, draws.child("block", index), survival);
  }
  dirty_.clear();
  settle_size(draws.child("size", name_), survival);
}

void DiskInode::drop_blocks_behind(std::uint64_t size) {
  const std::uint64_t blocks = (size + kBlockBytes - 1) / kBlockBytes;
  const std::uint64_t end = extents_.size() * kExtentBlocks;
  for (std::uint64_t index = blocks; index < end; ++index) {
    if (find(index) == nullptr) {
      index |= kExtentBlocks - 1;
      continue;
    }
    if (!find(index)->durable.hole) {
      CHECK(find(index)->clean());
      own_block(index).durable = Version();
      --used_blocks_;
    }
  }
  const std::uint64_t extents = (blocks + kExtentBlocks - 1) / kExtentBlocks;
  if (extents < extents_.size()) {
    extents_.resize(extents);
  }
  const std::uint32_t tail = static_cast<std::uint32_t>(size % kBlockBytes);
  if (tail != 0 && find(blocks - 1) != nullptr) {
    Block& block = own_block(blocks - 1);
    CHECK(block.clean());
    block.durable.content.fill(tail, kBlockBytes - tail, 0);
  }
}

void DiskInode::evict() {
  std::erase_if(dirty_, [this](std::uint64_t index) {
    Block& block = own_block(index);
    if (!block.pending->back().lost) {
      return false;
    }
    used_blocks_ -= block.pending->back().hole ? 0u : 1u;
    used_blocks_ += block.durable.hole ? 0u : 1u;
    block.pending.reset();
    return true;
  });
}

// ---- for checkers ----

bool DiskInode::Block::survives(std::uint32_t within, std::uint32_t size) const {
  const Content& seen = newest().content;
  return durable.content.equal(seen, within, size) &&
         (clean() || std::all_of(pending->begin(), pending->end(),
                                 [&](const Version& version) { return version.content.equal(seen, within, size); }));
}

bool DiskInode::survives(std::uint64_t offset, std::uint64_t size) const {
  const std::uint64_t end = offset + size;
  if (end > this->size() || end > durable_size_ ||
      std::any_of(sizes_.begin(), sizes_.end(), [end](const SizeVersion& version) { return version.size < end; })) {
    return false;
  }
  for (const std::uint64_t index : dirty_) {
    const std::uint64_t from = std::max(offset, index * kBlockBytes);
    const std::uint64_t to = std::min(end, (index + 1) * kBlockBytes);
    if (from >= to) {
      continue;
    }
    const std::uint32_t within = static_cast<std::uint32_t>(from % kBlockBytes);
    if (!find(index)->survives(within, static_cast<std::uint32_t>(to - from))) {
      return false;
    }
  }
  return true;
}

bool DiskInode::survives_since(WriteSeq first) const {
  if (!sizes_.empty() && sizes_.back().seq >= first) {
    return false;
  }
  return std::none_of(dirty_.begin(), dirty_.end(), [&](std::uint64_t index) {
    const Block& block = *find(index);
    return block.newest().seq >= first && !block.survives(0, kBlockBytes);
  });
}

std::uint64_t DiskInode::durable_blocks() const {
  std::uint64_t count = 0;
  for (std::uint64_t index = 0; index * kBlockBytes < durable_size_; ++index) {
    const Block* block = find(index);
    count += block != nullptr && !block->durable.hole ? 1u : 0u;
  }
  return count;
}

std::uint64_t DiskInode::durable_block(std::uint64_t n) const {
  for (std::uint64_t index = 0; index * kBlockBytes < durable_size_; ++index) {
    const Block* block = find(index);
    if (block != nullptr && !block->durable.hole && n-- == 0) {
      return index;
    }
  }
  UNREACHABLE("a file with fewer durable blocks");
}

Content DiskInode::durable_content(std::uint64_t block) const {
  const Block* found = find(block);
  return found == nullptr ? Content() : found->durable.content;
}

std::uint64_t DiskInode::fingerprint() const {
  std::uint64_t print = mix(name_, size(), durable_size_);
  const std::uint64_t blocks = (std::max(size(), durable_size_) + kBlockBytes - 1) / kBlockBytes;
  for (std::uint64_t index = 0; index < blocks; ++index) {
    if (const Block* block = find(index); block != nullptr) {
      print = mix(print, block->durable.content.crc(), block->newest().content.crc());
      print = mix(print, index, block->pending ? block->pending->size() : 0);
    }
  }
  return print;
}

std::uint64_t DiskInode::memory_bytes() const {
  std::uint64_t bytes = sizeof(DiskInode) + extents_.size() * sizeof(extents_[0]);
  for (const Shared<Extent>& extent : extents_) {
    if (!extent || extent == zeros_) {
      continue;
    }
    bytes += sizeof(Extent);
    for (const Block& block : extent->blocks) {
      bytes += block.durable.content.memory_bytes();
      for (std::size_t i = 0; block.pending && i < block.pending->size(); ++i) {
        bytes += sizeof(Version) + (*block.pending)[i].content.memory_bytes();
      }
    }
  }
  return bytes;
}

}  // namespace chronik::sim
