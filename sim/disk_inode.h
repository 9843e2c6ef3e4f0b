// The bytes of one simulated file: what the process reads, what was written and not synced, and what the platter holds.
//
// Each block has a durable version and the versions written since, oldest first; the last one is what reads see. A sync
// makes durable the last version that it covers. A version may carry an overlay of damage: reads apply it, the content
// below stays as it was written, so that a checker can compare (rule S12).
// Used by DiskModel alone. Copying an inode copies pointers; blocks are copied when written to.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/status.h"
#include "core/base/strong_id.h"
#include "sim/decision.h"
#include "sim/disk_content.h"

namespace chronik::sim {

using InodeId = StrongOrdinal<struct InodeIdTag, std::int64_t>;  // 0: none
using WriteSeq = std::uint64_t;                                  // of one change to the disk, in the order of changes

// Damage of one block, applied by reads. Immutable once shared.
struct Overlay : Counted {
  struct Patch {
    std::uint32_t offset;  // within the block
    std::uint32_t size;
    std::uint8_t mask;  // exclusive-ored; never 0
  };
  std::optional<Content> replaced;  // other bytes than those written: a write went to the wrong place
  std::vector<Patch> patches;
  bool unreadable = false;
};

// What of the unsynced survives a loss of power, in parts of their sum.
struct Survival {
  std::uint32_t kept = 1;
  std::uint32_t dropped = 1;
  std::uint32_t torn = 1;  // within a block; names are never torn
};
inline constexpr Survival kEverythingSurvives{1, 0, 0};
inline constexpr Survival kNothingSurvives{0, 1, 0};

// How a sync ends.
enum class SyncOutcome : std::uint8_t {
  kDone,
  kFailed,  // returns an error; some of what it covers is durable, the rest is clean in memory and never will be (R2)
  kLied,    // returns ok and did nothing: the device keeps it in a cache of its own
};

// Which changes a sync covers: those before it was submitted, and those of its own batch.
struct SyncCover {
  WriteSeq before = 0;
  WriteSeq own_from = 1;
  WriteSeq own_to = 0;
  bool covers(WriteSeq seq) const { return seq < before || (seq >= own_from && seq <= own_to); }
};

class DiskInode : public Counted {
 public:
  static constexpr std::uint32_t kExtentBlocks = 64;

  DiskInode() = default;
  explicit DiskInode(std::uint64_t name) : name_(name) {}

  // A number made of the path it was created at: the entity of draws about it.
  std::uint64_t name() const { return name_; }
  std::uint64_t size() const { return sizes_.empty() ? durable_size_ : sizes_.back().size; }
  std::uint64_t durable_size() const { return durable_size_; }
  // Logical bytes of the blocks that are not holes.
  std::uint64_t used_bytes() const { return used_blocks_ * kBlockBytes; }
  bool syncing() const { return !syncs_.empty(); }
  bool dirty() const { return !dirty_.empty() || !sizes_.empty(); }

  // ---- what the process does ----
  // The range must lie within size(). kInternal: an unreadable block.
  Status read(std::uint64_t offset, MutableByteSpan into) const;
  // How much more of the disk's space a write of this block takes: 0 or kBlockBytes.
  std::uint32_t cost_of(std::uint64_t block) const;
  // Writes within one block and grows the file to its end. kInternal: part of an unreadable block.
  Status write(std::uint64_t offset, ByteSpan bytes, WriteSeq seq);
  // The same with `size` zeros.
  Status write_zeros(std::uint64_t offset, std::uint32_t size, WriteSeq seq);
  void truncate(std::uint64_t size, WriteSeq seq);
  // Zeros, written and durable at once, over a whole extent, which costs no memory, and the size that goes with them.
  void fill_extent(std::uint64_t extent, WriteSeq seq);

  // ---- syncs ----
  void begin_sync(const SyncCover& cover) { syncs_.push_back(cover.before); }
  void end_sync(const SyncCover& cover, SyncOutcome outcome, Draws draws);
  void forget_sync(const SyncCover& cover);

  // ---- damage at rest: seen by reads once the durable version is what they read ----
  void damage(std::uint64_t block, const Overlay& more);
  const Overlay* damage_of(std::uint64_t block) const;  // of what reads see; null: none

  // ---- deaths ----
  void forget_syncs() { syncs_.clear(); }
  void power_loss(Draws draws, const Survival& survival);
  // The kernel drops clean pages: what never became durable reads as it is on the platter.
  void evict();

  // ---- for checkers ----
  // What is durable, without damage; zeros where nothing is. The range must lie within durable_size().
  void read_durable(std::uint64_t offset, MutableByteSpan into) const;
  // What reads return, without damage.
  void read_pristine(std::uint64_t offset, MutableByteSpan into) const;
  // Every outcome of a loss of power leaves these bytes as reads see them now, damage aside.
  bool survives(std::uint64_t offset, std::uint64_t size) const;
  // The same of all blocks, and of the length, that were changed last at `first` or later.
  bool survives_since(WriteSeq first) const;
  // Blocks within the durable size that are no holes, and the n-th of them.
  std::uint64_t durable_blocks() const;
  std::uint64_t durable_block(std::uint64_t n) const;
  Content durable_content(std::uint64_t block) const;
  std::uint64_t fingerprint() const;
  std::uint64_t memory_bytes() const;  // shared pages count each time

 private:
  struct Version {
    Content content;
    Shared<Overlay> overlay;
    WriteSeq seq = 0;
    bool hole = true;   // takes no space
    bool lost = false;  // clean in memory after a failed sync: never durable
  };
  using Pending = std::vector<Version>;
  struct Block {
    Version durable;
    std::unique_ptr<Pending> pending;

    Block() = default;
    Block(const Block& other)
        : durable(other.durable), pending(other.pending ? std::make_unique<Pending>(*other.pending) : nullptr) {}
    Block& operator=(const Block&) = delete;
    const Version& newest() const { return pending ? pending->back() : durable; }
    bool clean() const { return pending == nullptr; }
    // Of bytes within it, as DiskInode::survives().
    bool survives(std::uint32_t within, std::uint32_t size) const;
  };
  struct Extent : Counted {
    Block blocks[kExtentBlocks];
  };
  struct SizeVersion {
    std::uint64_t size;
    WriteSeq seq;
    bool lost;
  };

  const Block* find(std::uint64_t index) const;
  Block& own_block(std::uint64_t index);
  template <typename Change>
  Status change_block(std::uint64_t offset, std::uint32_t size, WriteSeq seq, Change&& change);
  Version& new_version(std::uint64_t index, Block& block, WriteSeq seq);
  void set_size(std::uint64_t size, WriteSeq seq);
  bool a_sync_began_between(WriteSeq older, WriteSeq newer) const;
  void make_durable(const SyncCover& cover);
  void fail(const SyncCover& cover, Draws draws);
  void settle_block(std::uint64_t index, Draws draws, const Survival& survival);
  void settle_size(Draws draws, const Survival& survival);
  void drop_blocks_behind(std::uint64_t size);
  template <typename Take>
  Status for_each_part(std::uint64_t offset, MutableByteSpan into, Take&& take) const;

  std::uint64_t name_ = 0;
  std::vector<Shared<Extent>> extents_;  // none: holes
  std::uint64_t durable_size_ = 0;
  absl::InlinedVector<SizeVersion, 2> sizes_;  // written since, oldest first
  std::vector<std::uint64_t> dirty_;           // blocks with pending versions, in the order of getting so
  absl::InlinedVector<WriteSeq, 2> syncs_;     // where those under way began
  Shared<Extent> zeros_;                       // what fill_extent() shares
  std::uint64_t used_blocks_ = 0;
};

}  // namespace chronik::sim
