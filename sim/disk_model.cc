#include "sim/disk_model.h"

#include <algorithm>

namespace chronik::sim {
namespace {

constexpr std::uint64_t kExtentBytes = std::uint64_t{DiskInode::kExtentBlocks} * kBlockBytes;

std::uint64_t bytes_of(const FileWrite& write) {
  std::uint64_t bytes = 0;
  for (const Slice& part : write.parts) {
    bytes += part.size();
  }
  return bytes;
}

Status no_space() { return absl::ResourceExhaustedError("no space left on the disk"); }

}  // namespace

const char* damage_kind_name(DamageKind kind) {
  switch (kind) {
    case DamageKind::kBitRot: return "bit rot";
    case DamageKind::kUnreadable: return "unreadable block";
    case DamageKind::kMisplaced: return "misplaced write";
    case DamageKind::kOverwritten: return "overwritten by a misplaced write";
    case DamageKind::kFailedSync: return "failed sync";
    case DamageKind::kLyingSync: return "lying sync";
    case DamageKind::kOlderCopy: return "older copy";
  }
  UNREACHABLE("a kind of damage");
}

// ---- names ----

StatusOr<InodeId> DiskModel::open(std::string_view path, OpenMode mode) {
  ASSIGN_OR_RETURN(const DiskNames::Place place, names_.locate(path));
  InodeId file = place.target;
  if (mode == OpenMode::kCreate) {
    if (file != DiskNames::kNone) {
      return absl::AlreadyExistsError("a file of this name exists");
    }
    file = names_.create_file(place, path, next_seq_++);
  } else if (file == DiskNames::kNone) {
    return absl::NotFoundError("no such file");
  } else if (names_.is_directory(file)) {
    return absl::FailedPreconditionError("a directory");
  }
  names_.open(file);
  return file;
}

void DiskModel::close(InodeId file) { names_.close(file); }

Status DiskModel::create_directory(std::string_view path) {
  ASSIGN_OR_RETURN(const DiskNames::Place place, names_.locate(path));
  if (place.target == DiskNames::kNone) {
    names_.create_directory(place, path, next_seq_++);
    return ok();
  }
  return names_.is_directory(place.target) ? ok() : absl::AlreadyExistsError("a file of this name exists");
}

StatusOr<std::vector<std::string>> DiskModel::list_directory(std::string_view path) const {
  ASSIGN_OR_RETURN(const DiskNames::Place place, names_.locate(path));
  if (place.target == DiskNames::kNone) {
    return absl::NotFoundError("no such directory");
  }
  if (!names_.is_directory(place.target)) {
    return absl::FailedPreconditionError("a file");
  }
  return names_.list(place.target);
}

Status DiskModel::rename(std::string_view from, std::string_view to) {
  ASSIGN_OR_RETURN(const DiskNames::Place source, names_.locate(from));
  ASSIGN_OR_RETURN(const DiskNames::Place target, names_.locate(to));
  if (source.target == DiskNames::kNone) {
    return absl::NotFoundError("no such file");
  }
  if (source.target == target.target) {
    return ok();
  }
  if (source.target == DiskNames::kRoot || target.target == DiskNames::kRoot ||
      (to.size() > from.size() && to.starts_with(from) && to[from.size()] == '/')) {
    return absl::InternalError("a directory does not go into itself");
  }
  if (target.target != DiskNames::kNone && (names_.is_directory(target.target) != names_.is_directory(source.target) ||
                                            (names_.is_directory(target.target) && !names_.empty(target.target)))) {
    return absl::FailedPreconditionError("only a file replaces a file, and a directory an empty one");
  }
  names_.rename(source, target, next_seq_++);
  return ok();
}

Status DiskModel::unlink(std::string_view path) {
  ASSIGN_OR_RETURN(const DiskNames::Place place, names_.locate(path));
  if (place.target == DiskNames::kNone) {
    return absl::NotFoundError("no such file");
  }
  if (names_.is_directory(place.target)) {
    return absl::FailedPreconditionError("a directory");
  }
  names_.remove(place, next_seq_++);
  return ok();
}

Status DiskModel::remove_directory(std::string_view path) {
  ASSIGN_OR_RETURN(const DiskNames::Place place, names_.locate(path));
  if (place.target == DiskNames::kNone) {
    return absl::NotFoundError("no such directory");
  }
  if (!names_.is_directory(place.target) || place.target == DiskNames::kRoot || !names_.empty(place.target)) {
    return absl::FailedPreconditionError("not an empty directory");
  }
  names_.remove(place, next_seq_++);
  return ok();
}

StatusOr<InodeId> DiskModel::file_at(std::string_view path) const {
  ASSIGN_OR_RETURN(const DiskNames::Place place, names_.locate(path));
  if (place.target == DiskNames::kNone || names_.is_directory(place.target)) {
    return absl::NotFoundError("no such file");
  }
  return place.target;
}

// ---- bytes ----

std::uint64_t DiskModel::free_bytes() const {
  const std::uint64_t used = names_.used_bytes();
  return used >= capacity_bytes_ ? 0 : capacity_bytes_ - used;
}

StatusOr<std::size_t> DiskModel::read(InodeId file, std::uint64_t offset, MutableByteSpan into) const {
  const DiskInode& inode = names_.file(file);
  if (offset >= inode.size()) {
    return std::size_t{0};
  }
  const std::size_t length = std::min<std::uint64_t>(into.size(), inode.size() - offset);
  RETURN_IF_ERROR(inode.read(offset, into.first(length)));
  return length;
}

// put(inode, offset, size) for the part of the range in each block, until the disk is full.
template <typename Put>
Status DiskModel::put_blocks(InodeId file, std::uint64_t offset, std::uint64_t size, Put&& put) {
  std::uint64_t room = free_bytes();
  return names_.change_file(file, [&](DiskInode& inode) {
    while (size != 0) {
      const std::uint64_t cost = inode.cost_of(offset / kBlockBytes);
      if (cost > room) {
        return no_space();
      }
      room -= cost;
      const std::uint64_t part = std::min(size, kBlockBytes - offset % kBlockBytes);
      RETURN_IF_ERROR(put(inode, offset, static_cast<std::uint32_t>(part)));
      offset += part;
      size -= part;
    }
    return ok();
  });
}

Status DiskModel::write(InodeId file, const FileWrite& write) {
  if (write.parts.size() == 1) {
    return this->write(file, write.offset, write.parts.front().text());
  }
  // As a kernel does it: a block that several parts cover between them is written as a whole, and need not be read.
  std::string bytes;
  for (const Slice& part : write.parts) {
    bytes += part.text();
  }
  return this->write(file, write.offset, bytes);
}

Status DiskModel::write(InodeId file, std::uint64_t offset, std::string_view bytes) {
  const WriteSeq seq = next_seq_++;
  ByteSpan left = as_bytes(bytes);
  return put_blocks(file, offset, left.size(), [&](DiskInode& inode, std::uint64_t at, std::uint32_t size) {
    const ByteSpan part = left.first(size);
    left = left.subspan(size);
    return inode.write(at, part, seq);
  });
}

void DiskModel::write_some(InodeId file, const FileWrite& write, Draws draws) {
  const std::uint64_t bytes = bytes_of(write);
  const std::uint64_t first = write.offset / kBlockBytes;
  const std::uint64_t blocks = bytes == 0 ? 0 : (write.offset + bytes - 1) / kBlockBytes - first + 1;
  const bool prefix = draws.below(2) == 0;  // what an interrupted write call leaves
  const std::uint64_t cut = draws.below(blocks + 1);
  const WriteSeq seq = next_seq_++;
  std::uint64_t offset = write.offset;
  for (const Slice& slice : write.parts) {
    ByteSpan left = slice.bytes();
    const Status written =
        put_blocks(file, offset, left.size(), [&](DiskInode& inode, std::uint64_t at, std::uint32_t size) {
          const ByteSpan part = left.first(size);
          left = left.subspan(size);
          const std::uint64_t block = at / kBlockBytes - first;
          const bool kept = prefix ? block < cut : draws.child("block", block).below(2) == 0;
          return kept ? inode.write(at, part, seq) : ok();
        });
    if (!written.ok()) {
      return;  // full, or an unreadable block: the process that would hear of it is dead
    }
    offset += slice.size();
  }
}

Status DiskModel::truncate(InodeId file, std::uint64_t size) {
  const WriteSeq seq = next_seq_++;
  return names_.change_file(file, [=](DiskInode& inode) {
    inode.truncate(size, seq);
    return ok();
  });
}

Status DiskModel::fill(InodeId file, std::uint64_t offset, std::uint64_t size, SyncOutcome outcome) {
  const WriteSeq seq = next_seq_++;
  const Status filled = put_zeros(file, offset, size, seq, outcome == SyncOutcome::kDone);
  if (outcome == SyncOutcome::kDone) {
    names_.change_file(file, [seq](DiskInode& inode) {
      inode.end_sync({.before = 0, .own_from = seq, .own_to = seq}, SyncOutcome::kDone, Draws(0, "nothing", 0));
      return 0;
    });
  }
  return filled;
}

Status DiskModel::put_zeros(InodeId file, std::uint64_t offset, std::uint64_t size, WriteSeq seq, bool durable) {
  const auto zeros = [seq](DiskInode& inode, std::uint64_t at, std::uint32_t part) {
    return inode.write_zeros(at, part, seq);
  };
  const std::uint64_t end = offset + size;
  while (offset < end) {
    const bool whole = offset % kExtentBytes == 0 && end - offset >= kExtentBytes;
    if (durable && whole && free_bytes() >= kExtentBytes) {
      RETURN_IF_ERROR(names_.change_file(file, [=](DiskInode& inode) {
        inode.fill_extent(offset / kExtentBytes, seq);
        return ok();
      }));
      offset += kExtentBytes;
      continue;
    }
    const std::uint64_t part = std::min(end - offset, kExtentBytes - offset % kExtentBytes);
    RETURN_IF_ERROR(put_blocks(file, offset, part, zeros));
    offset += part;
  }
  return ok();
}

// ---- syncs ----

SyncTicket DiskModel::begin_sync(InodeId file) {
  SyncTicket ticket{.of = SyncTicket::Of::kFile, .id = file, .cover = {.before = next_seq_}};
  names_.change_file(file, [&ticket](DiskInode& inode) {
    inode.begin_sync(ticket.cover);
    return 0;
  });
  return ticket;
}

StatusOr<SyncTicket> DiskModel::begin_sync_directory(std::string_view path) {
  ASSIGN_OR_RETURN(const DiskNames::Place place, names_.locate(path));
  if (place.target == DiskNames::kNone) {
    return absl::NotFoundError("no such directory");
  }
  if (!names_.is_directory(place.target)) {
    return absl::FailedPreconditionError("a file");
  }
  return SyncTicket{.of = SyncTicket::Of::kDirectory, .id = place.target, .cover = {.before = next_seq_}};
}

SyncTicket DiskModel::begin_sync_all() {
  const SyncTicket ticket{.of = SyncTicket::Of::kEverything, .id = DiskNames::kNone, .cover = {.before = next_seq_}};
  names_.change_files([](const DiskInode& inode) { return inode.dirty(); },
                      [&ticket](DiskInode& inode) { inode.begin_sync(ticket.cover); });
  return ticket;
}

void DiskModel::end_sync(const SyncTicket& ticket, SyncOutcome outcome, Draws draws) {
  const auto end_of = [&](DiskInode& inode) {
    inode.end_sync(ticket.cover, outcome, draws.child("file", inode.name()));
    return 0;
  };
  switch (ticket.of) {
    case SyncTicket::Of::kFile:
      if (names_.exists(ticket.id)) {
        names_.change_file(ticket.id, end_of);
      }
      break;
    case SyncTicket::Of::kDirectory: names_.end_sync(ticket.id, ticket.cover.before, outcome, draws); break;
    case SyncTicket::Of::kEverything:
      names_.change_files([](const DiskInode& inode) { return inode.dirty() || inode.syncing(); }, end_of);
      names_.end_sync(DiskNames::kNone, ticket.cover.before, outcome, draws);
      break;
  }
  if (outcome != SyncOutcome::kDone) {
    const DamageKind kind = outcome == SyncOutcome::kFailed ? DamageKind::kFailedSync : DamageKind::kLyingSync;
    damage_.push_back({.kind = kind, .path = names_.path_of(ticket.id), .offset = 0, .size = 0});
  }
}

void DiskModel::abandon_sync(const SyncTicket& ticket) {
  if (ticket.of == SyncTicket::Of::kFile && names_.exists(ticket.id) && names_.file(ticket.id).syncing()) {
    names_.change_file(ticket.id, [&ticket](DiskInode& inode) {
      inode.forget_sync(ticket.cover);
      return 0;
    });
  }
}

// ---- deaths ----

void DiskModel::process_kill() {
  names_.process_kill();
  names_.change_files([](const DiskInode& inode) { return inode.syncing(); },
                      [](DiskInode& inode) { inode.forget_syncs(); });
}

void DiskModel::power_loss(Draws draws, const Survival& survival) {
  names_.power_loss(draws.child("names", 0), survival);
  names_.change_files([](const DiskInode& inode) { return inode.dirty() || inode.syncing(); },
                      [&](DiskInode& inode) { inode.power_loss(draws.child("file", inode.name()), survival); });
}

void DiskModel::evict_clean_pages() {
  names_.change_files([](const DiskInode& inode) { return inode.dirty(); }, [](DiskInode& inode) { inode.evict(); });
}

// ---- faults ----

std::optional<BlockPlace> DiskModel::pick_durable_block(Draws draws, std::string_view within) const {
  std::uint64_t blocks = 0;
  const auto blocks_of = [&](const std::string& path, InodeId file) {
    return path.find(within) == std::string::npos ? 0 : names_.file(file).durable_blocks();
  };
  names_.for_each_durable_file([&](const std::string& path, InodeId file) { blocks += blocks_of(path, file); });
  if (blocks == 0) {
    return std::nullopt;
  }
  std::uint64_t chosen = draws.below(blocks);
  std::optional<BlockPlace> found;
  names_.for_each_durable_file([&](const std::string& path, InodeId file) {
    const DiskInode& inode = names_.file(file);
    const std::uint64_t here = found ? 0 : blocks_of(path, file);
    if (chosen < here) {
      found = BlockPlace{file, inode.durable_block(chosen)};
    }
    chosen -= std::min(chosen, here);
  });
  return found;
}

void DiskModel::damage_block(DamageKind kind, const BlockPlace& at, const Overlay& overlay, std::uint32_t offset,
                             std::uint32_t size) {
  names_.change_file(at.file, [&](DiskInode& inode) {
    inode.damage(at.block, overlay);
    return 0;
  });
  damage_.push_back(
      {.kind = kind, .path = names_.path_of(at.file), .offset = at.block * kBlockBytes + offset, .size = size});
}

void DiskModel::rot(const BlockPlace& at, std::uint32_t offset, std::uint32_t size, std::uint8_t mask) {
  CHECK_NE(mask, 0);
  CHECK_LE(offset + size, kBlockBytes);
  Overlay overlay;
  overlay.patches.push_back({offset, size, mask});
  damage_block(DamageKind::kBitRot, at, overlay, offset, size);
}

void DiskModel::make_unreadable(const BlockPlace& at) {
  Overlay overlay;
  overlay.unreadable = true;
  damage_block(DamageKind::kUnreadable, at, overlay, 0, kBlockBytes);
}

void DiskModel::misplace(const BlockPlace& at, const Content& before, const BlockPlace& victim) {
  Overlay stale;
  stale.replaced = before;
  Overlay foreign;
  foreign.replaced = names_.file(at.file).durable_content(at.block);
  damage_block(DamageKind::kMisplaced, at, stale, 0, kBlockBytes);
  damage_block(DamageKind::kOverwritten, victim, foreign, 0, kBlockBytes);
}

// ---- for checkers ----

StatusOr<std::string> DiskModel::durable_bytes(std::string_view path, std::uint64_t offset, std::uint64_t size) const {
  const InodeId file = names_.locate_durable(path);
  if (file == DiskNames::kNone || names_.is_directory(file)) {
    return absl::NotFoundError("no durable file of this name");
  }
  const DiskInode& inode = names_.file(file);
  offset = std::min(offset, inode.durable_size());
  std::string bytes(std::min(size, inode.durable_size() - offset), '\0');
  inode.read_durable(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

StatusOr<std::string> DiskModel::written_bytes(std::string_view path, std::uint64_t offset, std::uint64_t size) const {
  ASSIGN_OR_RETURN(const InodeId file, file_at(path));
  const DiskInode& inode = names_.file(file);
  offset = std::min(offset, inode.size());
  std::string bytes(std::min(size, inode.size() - offset), '\0');
  inode.read_pristine(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

bool DiskModel::would_survive(std::string_view path, std::uint64_t offset, std::uint64_t size) const {
  const StatusOr<InodeId> file = file_at(path);
  return file.ok() && names_.settled(path) && names_.locate_durable(path) == *file &&
         names_.file(*file).survives(offset, size);
}

bool DiskModel::would_survive(std::string_view path) const {
  const StatusOr<InodeId> file = file_at(path);
  return file.ok() && would_survive(path, 0, names_.file(*file).size());
}

bool DiskModel::would_survive_since(std::string_view path, WriteSeq first) const {
  const StatusOr<InodeId> file = file_at(path);
  return file.ok() && names_.settled(path) && names_.locate_durable(path) == *file &&
         names_.file(*file).survives_since(first);
}

bool DiskModel::damaged(std::string_view path, std::uint64_t offset, std::uint64_t size) const {
  const StatusOr<InodeId> file = file_at(path);
  if (!file.ok() || size == 0) {
    return false;
  }
  const DiskInode& inode = names_.file(*file);
  const std::uint64_t end = std::min(offset + size, inode.size());
  std::vector<std::uint8_t> read(kBlockBytes);
  std::vector<std::uint8_t> written(kBlockBytes);
  for (std::uint64_t block = offset / kBlockBytes; block * kBlockBytes < end; ++block) {
    if (inode.damage_of(block) == nullptr) {
      continue;
    }
    const std::uint64_t from = std::max(offset, block * kBlockBytes);
    const std::uint64_t length = std::min(end, (block + 1) * kBlockBytes) - from;
    const MutableByteSpan seen = MutableByteSpan(read).first(length);
    inode.read_pristine(from, MutableByteSpan(written).first(length));
    if (!inode.read(from, seen).ok() || !std::equal(seen.begin(), seen.end(), written.begin())) {
      return true;
    }
  }
  return false;
}

}  // namespace chronik::sim
