#include "sim/disk_inode.h"

#include <algorithm>
#include <array>

namespace chronik::sim {
namespace {

constexpr std::size_t kVersionsMax = 4;  // of one block or size, unless syncs under way need more

// What is left of the patches when [offset, offset + size) was overwritten.
void cut_patches(std::vector<Overlay::Patch>& patches, std::uint32_t offset, std::uint32_t size) {
  const std::uint32_t end = offset + size;
  std::vector<Overlay::Patch> left;
  for (const Overlay::Patch& patch : patches) {
    const std::uint32_t patch_end = patch.offset + patch.size;
    if (patch.offset < offset) {
      left.push_back({patch.offset, std::min(patch_end, offset) - patch.offset, patch.mask});
    }
    if (patch_end > end) {
      const std::uint32_t from = std::max(patch.offset, end);
      left.push_back({from, patch_end - from, patch.mask});
    }
  }
  patches = std::move(left);
}

void read_damaged(const Content& content, const Overlay& overlay, std::uint32_t offset, MutableByteSpan into) {
  (overlay.replaced ? *overlay.replaced : content).read(offset, into);
  const std::uint32_t end = offset + static_cast<std::uint32_t>(into.size());
  for (const Overlay::Patch& patch : overlay.patches) {
    const std::uint32_t to = std::min(end, patch.offset + patch.size);
    for (std::uint32_t i = std::max(offset, patch.offset); i < to; ++i) {
      into[i - offset] ^= patch.mask;
    }
  }
}

}  // namespace

// ---- blocks and versions ----

const DiskInode::Block* DiskInode::find(std::uint64_t index) const {
  const std::uint64_t extent = index / kExtentBlocks;
  if (extent >= extents_.size() || !extents_[extent]) {
    return nullptr;
  }
  return &extents_[extent]->blocks[index % kExtentBlocks];
}

DiskInode::Block& DiskInode::own_block(std::uint64_t index) {
  const std::uint64_t extent = index / kExtentBlocks;
  if (extent >= extents_.size()) {
    extents_.resize(extent + 1);
  }
  if (!extents_[extent]) {
    extents_[extent] = Shared(new Extent());
  }
  return extents_[extent].own().blocks[index % kExtentBlocks];
}

bool DiskInode::a_sync_began_between(WriteSeq older, WriteSeq newer) const {
  return std::any_of(syncs_.begin(), syncs_.end(), [=](WriteSeq before) { return older < before && newer >= before; });
}

// A copy of the newest version, to be changed, or the newest itself where the same write made it.
DiskInode::Version& DiskInode::new_version(std::uint64_t index, Block& block, WriteSeq seq) {
  if (!block.pending) {
    block.pending = std::make_unique<Pending>();
    dirty_.push_back(index);
    block.pending->push_back(block.durable);
  } else if (Version& newest = block.pending->back(); newest.lost) {
    newest.lost = false;  // the whole page is written again with what never reached the disk
  } else if (newest.seq != seq) {
    Pending& pending = *block.pending;
    // The versions in the middle are the ones that nobody would miss, but for a sync that must find the last before it.
    for (std::size_t i = 0; pending.size() >= kVersionsMax && i + 1 < pending.size(); ++i) {
      if (!a_sync_began_between(pending[i].seq, pending[i + 1].seq)) {
        pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
        break;
      }
    }
    pending.push_back(Version(pending.back()));
  }
  Version& version = block.pending->back();
  version.seq = seq;
  return version;
}

void DiskInode::set_size(std::uint64_t size, WriteSeq seq) {
  if (size == this->size()) {
    return;
  }
  if (!sizes_.empty() && (sizes_.back().lost || sizes_.back().seq == seq)) {
    sizes_.pop_back();
  }
  for (std::size_t i = 0; sizes_.size() >= kVersionsMax && i + 1 < sizes_.size(); ++i) {
    if (!a_sync_began_between(sizes_[i].seq, sizes_[i + 1].seq)) {
      sizes_.erase(sizes_.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
  }
  sizes_.push_back({size, seq, false});
}

// ---- reading ----

template <typename Take>
Status DiskInode::for_each_part(std::uint64_t offset, MutableByteSpan into, Take&& take) const {
  while (!into.empty()) {
    const std::uint32_t within = static_cast<std::uint32_t>(offset % kBlockBytes);
    const std::size_t size = std::min<std::size_t>(into.size(), kBlockBytes - within);
    const Block* block = find(offset / kBlockBytes);
    if (block == nullptr) {
      std::fill_n(into.begin(), size, std::uint8_t{0});
    } else {
      RETURN_IF_ERROR(take(*block, within, into.first(size)));
    }
    into = into.subspan(size);
    offset += size;
  }
  return ok();
}

Status DiskInode::read(std::uint64_t offset, MutableByteSpan into) const {
  CHECK_LE(offset + into.size(), size());
  return for_each_part(offset, into, [](const Block& block, std::uint32_t within, MutableByteSpan part) {
    const Version& version = block.newest();
    if (!version.overlay) [[likely]] {
      version.content.read(within, part);
      return ok();
    }
    if (version.overlay->unreadable) {
      return absl::InternalError("the disk cannot read this block");
    }
    read_damaged(version.content, *version.overlay, within, part);
    return ok();
  });
}

void DiskInode::read_pristine(std::uint64_t offset, MutableByteSpan into) const {
  CHECK_LE(offset + into.size(), size());
  CHECK_OK(for_each_part(offset, into, [](const Block& block, std::uint32_t within, MutableByteSpan part) {
    block.newest().content.read(within, part);
    return ok();
  }));
}

void DiskInode::read_durable(std::uint64_t offset, MutableByteSpan into) const {
  CHECK_LE(offset + into.size(), durable_size_);
  CHECK_OK(for_each_part(offset, into, [](const Block& block, std::uint32_t within, MutableByteSpan part) {
    block.durable.content.read(within, part);
    return ok();
  }));
}

// ---- writing ----

std::uint32_t DiskInode::cost_of(std::uint64_t block) const {
  const Block* found = find(block);
  return found == nullptr || found->newest().hole ? kBlockBytes : 0;
}

template <typename Change>
Status DiskInode::change_block(std::uint64_t offset, std::uint32_t size, WriteSeq seq, Change&& change) {
  const std::uint64_t index = offset / kBlockBytes;
  const std::uint32_t within = static_cast<std::uint32_t>(offset % kBlockBytes);
  CHECK_LE(size, kBlockBytes - within);
  Block& block = own_block(index);
  if (const Overlay* overlay = block.newest().overlay.get();
      overlay != nullptr && overlay->unreadable && size < kBlockBytes) {
    return absl::InternalError("the disk cannot read the block that is written in part");
  }
  Version& version = new_version(index, block, seq);
  used_blocks_ += version.hole ? 1u : 0u;
  version.hole = false;
  change(version.content, within);
  if (size == kBlockBytes) {
    version.overlay = Shared<Overlay>();  // `= {}` leaks here: clang 14 forgets a destructor in templates
  } else if (version.overlay) {
    // The kernel read the damaged block to fill the page around the new bytes.
    Overlay& overlay = version.overlay.own();
    cut_patches(overlay.patches, within, size);
    if (overlay.replaced) {
      change(*overlay.replaced, within);
    }
  }
  set_size(std::max(this->size(), offset + size), seq);
  return ok();
}

Status DiskInode::write(std::uint64_t offset, ByteSpan bytes, WriteSeq seq) {
  return change_block(offset, static_cast<std::uint32_t>(bytes.size()), seq,
                      [bytes](Content& content, std::uint32_t within) { content.write(within, bytes); });
}

Status DiskInode::write_zeros(std::uint64_t offset, std::uint32_t size, WriteSeq seq) {
  return change_block(offset, size, seq,
                      [size](Content& content, std::uint32_t within) { content.fill(within, size, 0); });
}

void DiskInode::truncate(std::uint64_t size, WriteSeq seq) {
  const std::uint64_t old_size = this->size();
  set_size(size, seq);
  if (size >= old_size) {
    return;
  }
  const std::uint64_t last = (old_size + kBlockBytes - 1) / kBlockBytes;
  for (std::uint64_t index = size / kBlockBytes; index < last; ++index) {
    if (find(index) == nullptr) {
      index |= kExtentBlocks - 1;  // nothing in this extent
      continue;
    }
    const std::uint32_t kept = index == size / kBlockBytes ? static_cast<std::uint32_t>(size % kBlockBytes) : 0;
    Block& block = own_block(index);
    if (block.newest().hole) {
      continue;
    }
    Version& version = new_version(index, block, seq);
    version.content.fill(kept, kBlockBytes - kept, 0);
    if (kept == 0) {
      version.hole = true;
      version.overlay = Shared<Overlay>();
      --used_blocks_;
    }
  }
}

void DiskInode::fill_extent(std::uint64_t extent, WriteSeq seq) {
  constexpr std::uint64_t kExtentBytes = std::uint64_t{kExtentBlocks} * kBlockBytes;
  if (!zeros_) {
    zeros_ = Shared(new Extent());
    for (Block& block : zeros_.own().blocks) {
      block.durable.hole = false;
    }
  }
  if (extent >= extents_.size()) {
    extents_.resize(extent + 1);
  }
  const std::uint64_t first = extent * kExtentBlocks;
  for (std::uint64_t index = first; index < first + kExtentBlocks; ++index) {
    used_blocks_ += cost_of(index) != 0 ? 1u : 0u;
  }
  std::erase_if(dirty_, [first](std::uint64_t index) { return index >= first && index < first + kExtentBlocks; });
  extents_[extent] = zeros_;
  const std::uint64_t end = (extent + 1) * kExtentBytes;
  if (size() < end) {
    set_size(end, seq);
    make_durable({.before = 0, .own_from = seq, .own_to = seq});
  }
}

}  // namespace chronik::sim
