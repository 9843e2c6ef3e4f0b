// One simulated disk with its file system: no fibers, no time, no world. What a process reads, what is pending and what
// is durable are three views of one state, and damage is an overlay that checkers can look below (rule S12).
//
// A sync is two calls, since what it covers is fixed when it is submitted. Deaths take draws: the same draws and the
// same state give the same bytes. clone() costs the names and a pointer per extent of 64 blocks, so a test can crash a
// copy at every operation while the original goes on. Invariants: 1. reads see every write at once; 2. after
// power_loss() the three views are one; 3. what a sync that was kDone covers is there after every power_loss(), damage
// aside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/ports/disk.h"
#include "sim/decision.h"
#include "sim/disk_inode.h"
#include "sim/disk_names.h"

namespace chronik::sim {

enum class DamageKind : std::uint8_t {
  kBitRot,       // bytes that changed at rest
  kUnreadable,   // a read of the block returns an error
  kMisplaced,    // a write that went elsewhere: the block holds what it held before
  kOverwritten,  // the block where such a write went
  kFailedSync,   // a sync returned an error; some of what it covered never becomes durable
  kLyingSync,    // a sync returned ok and nothing became durable
  kOlderCopy,    // all of it is as it was before
};
const char* damage_kind_name(DamageKind kind);

// What was done to a disk on purpose. kFailedSync and kLyingSync concern a file as a whole, or all (no path), and
// kOlderCopy all.
struct Damage {
  DamageKind kind;
  std::string path;  // at the time
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// A sync under way, and what it covers.
struct SyncTicket {
  enum class Of : std::uint8_t { kFile, kDirectory, kEverything };
  Of of = Of::kFile;
  InodeId id = DiskNames::kNone;
  SyncCover cover;
};

struct BlockPlace {
  InodeId file;
  std::uint64_t block = 0;
};

class DiskModel {
 public:
  explicit DiskModel(std::uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}
  DiskModel clone() const { return *this; }
  DiskModel(DiskModel&&) = default;
  DiskModel& operator=(DiskModel&&) = default;

  // ---- the file system's calls; errors as in core/ports/disk.h ----
  StatusOr<InodeId> open(std::string_view path, OpenMode mode);
  void close(InodeId file);
  std::uint64_t size(InodeId file) const { return names_.file(file).size(); }
  std::uint64_t durable_size(InodeId file) const { return names_.file(file).durable_size(); }
  // What there is of [offset, offset + into.size()); returns its length.
  StatusOr<std::size_t> read(InodeId file, std::uint64_t offset, MutableByteSpan into) const;
  // Where the disk is full, the beginning is written all the same.
  Status write(InodeId file, const FileWrite& write);
  Status write(InodeId file, std::uint64_t offset, std::string_view bytes);
  Status truncate(InodeId file, std::uint64_t size);
  // Writes zeros. With kDone they are durable at once, and whole extents cost no memory.
  Status fill(InodeId file, std::uint64_t offset, std::uint64_t size, SyncOutcome outcome);
  Status create_directory(std::string_view path);
  StatusOr<std::vector<std::string>> list_directory(std::string_view path) const;
  Status rename(std::string_view from, std::string_view to);
  Status unlink(std::string_view path);
  Status remove_directory(std::string_view path);
  std::uint64_t free_bytes() const;

  // ---- syncs ----
  SyncTicket begin_sync(InodeId file);
  StatusOr<SyncTicket> begin_sync_directory(std::string_view path);
  SyncTicket begin_sync_all();
  // Everything written between the two calls belongs to the sync's own batch.
  void begin_own_writes(SyncTicket& ticket) const { ticket.cover.own_from = next_seq_; }
  void end_own_writes(SyncTicket& ticket) const { ticket.cover.own_to = next_seq_ - 1; }
  void end_sync(const SyncTicket& ticket, SyncOutcome outcome, Draws draws);
  // It will not come to an end after all.
  void abandon_sync(const SyncTicket& ticket);
  WriteSeq next_seq() const { return next_seq_; }

  // ---- deaths ----
  // A write under way when its process was killed: any subset of its blocks, often the first ones.
  void write_some(InodeId file, const FileWrite& write, Draws draws);
  void process_kill();
  void power_loss(Draws draws, const Survival& survival);
  // The kernel forgets clean pages: after a failed sync, reads see what the platter holds.
  void evict_clean_pages();

  // ---- faults ----
  void set_capacity(std::uint64_t bytes) { capacity_bytes_ = bytes; }
  void set_free(std::uint64_t bytes) { capacity_bytes_ = names_.used_bytes() + bytes; }
  std::uint64_t capacity() const { return capacity_bytes_; }
  // Some block that is durable and no hole, of a file whose path contains `within`; none where there is none.
  std::optional<BlockPlace> pick_durable_block(Draws draws, std::string_view within = {}) const;
  Content durable_content(const BlockPlace& at) const { return names_.file(at.file).durable_content(at.block); }
  // `size` bytes from `offset` within the block, which is durable, change at rest. mask: not 0.
  void rot(const BlockPlace& at, std::uint32_t offset, std::uint32_t size, std::uint8_t mask);
  void make_unreadable(const BlockPlace& at);
  // What was last made durable at `at` went to `victim` instead; `before`: what `at` held.
  void misplace(const BlockPlace& at, const Content& before, const BlockPlace& victim);
  const std::vector<Damage>& damage() const { return damage_; }
  void note_older_copy() { damage_.push_back({.kind = DamageKind::kOlderCopy, .path = {}}); }

  // ---- for checkers; they look below the damage ----
  // What a loss of power now would leave of the range at least: bytes of the durable file of this name, fewer where it
  // ends. kNotFound: no durable name.
  StatusOr<std::string> durable_bytes(std::string_view path, std::uint64_t offset, std::uint64_t size) const;
  // What the process wrote, whatever reads say.
  StatusOr<std::string> written_bytes(std::string_view path, std::uint64_t offset, std::uint64_t size) const;
  // After every loss of power now, the range reads as it was written: name, length, bytes.
  bool would_survive(std::string_view path, std::uint64_t offset, std::uint64_t size) const;
  // The same of all that the file holds.
  bool would_survive(std::string_view path) const;
  // The same of what was written to it from `first` on.
  bool would_survive_since(std::string_view path, WriteSeq first) const;
  // Reads of the range return other bytes than written, or an error.
  bool damaged(std::string_view path, std::uint64_t offset, std::uint64_t size) const;
  std::size_t pending_name_changes() const { return names_.pending_changes(); }
  // Equal for equal disks, whatever the process; differs, in all likelihood, for others.
  std::uint64_t fingerprint() const { return mix(names_.fingerprint(), next_seq_, damage_.size()); }
  std::uint64_t memory_bytes() const { return names_.memory_bytes(); }

 private:
  DiskModel(const DiskModel&) = default;

  StatusOr<InodeId> file_at(std::string_view path) const;
  template <typename Put>
  Status put_blocks(InodeId file, std::uint64_t offset, std::uint64_t size, Put&& put);
  Status put_zeros(InodeId file, std::uint64_t offset, std::uint64_t size, WriteSeq seq, bool durable);
  void damage_block(DamageKind kind, const BlockPlace& at, const Overlay& overlay, std::uint32_t offset,
                    std::uint32_t size);

  DiskNames names_;
  std::uint64_t capacity_bytes_;
  WriteSeq next_seq_ = 1;
  std::vector<Damage> damage_;
};

}  // namespace chronik::sim
