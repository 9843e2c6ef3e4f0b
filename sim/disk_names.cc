#include "sim/disk_names.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/mix.h"

namespace chronik::sim {
namespace {

// The names of a path; the data directory itself is "". Names that begin with a dot belong to the runtime.
StatusOr<std::vector<std::string_view>> split(std::string_view path) {
  std::vector<std::string_view> names;
  if (path.empty()) {
    return names;
  }
  for (;;) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (name.empty() || name.front() == '.' || name.find('\0') != std::string_view::npos) {
      return absl::InvalidArgumentError("not a path within the data directory");
    }
    names.push_back(name);
    if (slash == std::string_view::npos) {
      return names;
    }
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

DiskNames::DiskNames() {
  Node root;
  root.directory = Shared(new Directory());
  root.references = 1;
  root.seen = 1;
  nodes_.emplace(kRoot, std::move(root));
}

// ---- finding ----

const DiskNames::Node& DiskNames::node(InodeId id) const {
  const auto found = nodes_.find(id);
  CHECK(found != nodes_.end());
  return found->second;
}

DiskNames::Node& DiskNames::node(InodeId id) {
  const auto found = nodes_.find(id);
  CHECK(found != nodes_.end());
  return found->second;
}

StatusOr<DiskNames::Place> DiskNames::locate(std::string_view path) const {
  ASSIGN_OR_RETURN(const std::vector<std::string_view> names, split(path));
  Place place{.directory = kNone, .name = {}, .target = kRoot};
  for (const std::string_view name : names) {
    if (place.target == kNone) {
      return absl::NotFoundError("a directory on the way is missing");
    }
    const Node& directory = node(place.target);
    if (!directory.directory) {
      return absl::FailedPreconditionError("a file on the way");
    }
    const auto found = directory.directory->entries.find(name);
    place.directory = place.target;
    place.name = name;
    place.target = found == directory.directory->entries.end() ? kNone : found->second.seen;
  }
  return place;
}

InodeId DiskNames::locate_durable(std::string_view path) const {
  const StatusOr<std::vector<std::string_view>> names = split(path);
  InodeId at = names.ok() ? kRoot : kNone;
  for (std::size_t i = 0; at != kNone && i < names->size(); ++i) {
    const Node& directory = node(at);
    if (!directory.directory) {
      return kNone;
    }
    const auto found = directory.directory->entries.find((*names)[i]);
    at = found == directory.directory->entries.end() ? kNone : found->second.durable;
  }
  return at;
}

bool DiskNames::settled(std::string_view path) const {
  const StatusOr<std::vector<std::string_view>> names = split(path);
  if (!names.ok()) {
    return true;
  }
  InodeId at = kRoot;
  for (const std::string_view name : *names) {
    const Node& directory = node(at);
    if (!directory.directory) {
      return true;
    }
    const auto found = directory.directory->entries.find(name);
    if (found == directory.directory->entries.end()) {
      return true;
    }
    if (!found->second.pending.empty()) {
      return false;
    }
    at = found->second.seen;
    if (at == kNone) {
      return true;
    }
  }
  return true;
}

std::vector<std::string> DiskNames::list(InodeId directory) const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : node(directory).directory->entries) {
    if (entry.seen != kNone) {
      names.push_back(is_directory(entry.seen) ? name + '/' : name);
    }
  }
  std::sort(names.begin(), names.end());  // the slash changes the order
  return names;
}

bool DiskNames::empty(InodeId directory) const {
  const auto& entries = node(directory).directory->entries;
  return std::none_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.second.seen != kNone; });
}

std::string DiskNames::path_of(InodeId id) const {
  std::string path;
  return find_path(kRoot, id, path) ? path : std::string();
}

bool DiskNames::find_path(InodeId directory, InodeId wanted, std::string& path) const {
  const std::size_t length = path.size();
  for (const auto& [name, entry] : node(directory).directory->entries) {
    path += name;
    if (entry.seen != kNone && entry.seen == wanted) {
      return true;
    }
    path += '/';
    if (entry.seen != kNone && is_directory(entry.seen) && find_path(entry.seen, wanted, path)) {
      return true;
    }
    path.resize(length);
  }
  return false;
}

// ---- references ----

InodeId DiskNames::add_node(Node added) {
  const InodeId id{++inodes_made_};
  nodes_.emplace(id, std::move(added));
  return id;
}

void DiskNames::refer(InodeId id, bool seen) {
  if (id == kNone) {
    return;
  }
  Node& referred = node(id);
  ++referred.references;
  if (seen && referred.seen++ == 0 && referred.file) {
    used_bytes_ += referred.file->used_bytes();
  }
}

void DiskNames::forget(InodeId id, bool seen) {
  if (id == kNone) {
    return;
  }
  Node& forgotten = node(id);
  CHECK_GT(forgotten.references, std::uint32_t{0});
  if (seen) {
    CHECK_GT(forgotten.seen, std::uint32_t{0});
    if (--forgotten.seen == 0 && forgotten.file) {
      used_bytes_ -= forgotten.file->used_bytes();
    }
  }
  if (--forgotten.references != 0) {
    return;
  }
  const Node gone = std::move(forgotten);
  nodes_.erase(id);
  if (gone.directory) {
    CHECK(gone.directory->pending.empty());
    for (const auto& [name, entry] : gone.directory->entries) {
      CHECK(entry.pending.empty());
      forget(entry.durable, false);
      forget(entry.seen, true);
    }
  }
}

void DiskNames::open(InodeId id) {
  ++node(id).handles;
  refer(id, true);
}

void DiskNames::close(InodeId id) {
  CHECK_GT(node(id).handles, std::uint32_t{0});
  --node(id).handles;
  forget(id, true);
}

// ---- changes ----

void DiskNames::begin_change(Change change, WriteSeq seq) {
  for (const Effect& effect : change.effects) {
    Entry& entry = own_entry(effect);
    entry.pending.push_back(seq);
    const InodeId before = std::exchange(entry.seen, effect.target);
    refer(effect.target, true);   // by the name
    refer(effect.target, false);  // by the change
    forget(before, true);
  }
  own_directory(change.owner).pending.insert(seq);
  const bool fresh = changes_.emplace(seq, std::move(change)).second;
  CHECK(fresh);
}

InodeId DiskNames::create_file(const Place& at, std::string_view path, WriteSeq seq) {
  CHECK(at.target == kNone);
  const std::uint64_t hash = mix_text(path);
  Node created;
  created.file = Shared(new DiskInode(mix(hash, ++creations_[hash])));
  const InodeId id = add_node(std::move(created));
  begin_change({.effects = {{at.directory, at.name, id}}, .owner = at.directory}, seq);
  return id;
}

void DiskNames::create_directory(const Place& at, std::string_view path, WriteSeq seq) {
  CHECK(at.target == kNone);
  Node created;
  created.directory = Shared(new Directory());
  created.directory.own().name = mix_text(path);
  const InodeId id = add_node(std::move(created));
  begin_change({.effects = {{at.directory, at.name, id}}, .owner = at.directory}, seq);
}

void DiskNames::remove(const Place& at, WriteSeq seq) {
  CHECK(at.target != kNone);
  begin_change({.effects = {{at.directory, at.name, kNone}}, .owner = at.directory}, seq);
}

void DiskNames::rename(const Place& from, const Place& to, WriteSeq seq) {
  CHECK(from.target != kNone);
  begin_change(
      {.effects = {{to.directory, to.name, from.target}, {from.directory, from.name, kNone}}, .owner = to.directory},
      seq);
}

DiskNames::Change DiskNames::take_change(WriteSeq seq) {
  const auto found = changes_.find(seq);
  CHECK(found != changes_.end());
  Change change = std::move(found->second);
  changes_.erase(found);
  own_directory(change.owner).pending.erase(seq);
  for (const Effect& effect : change.effects) {
    Entry& entry = own_entry(effect);
    entry.pending.erase(std::find(entry.pending.begin(), entry.pending.end(), seq));
  }
  return change;
}

void DiskNames::commit(WriteSeq seq) {
  for (const Effect& effect :
       absl::InlinedVector<Effect, 2>(changes_.at(seq).effects.begin(), changes_.at(seq).effects.end())) {
    while (own_entry(effect).pending.front() < seq) {
      commit(own_entry(effect).pending.front());
    }
  }
  const Change change = take_change(seq);
  for (const Effect& effect : change.effects) {
    commit_before_removal(own_entry(effect).durable);
    const InodeId before = std::exchange(own_entry(effect).durable, effect.target);
    refer(effect.target, false);   // by the durable name
    forget(effect.target, false);  // no longer by the change
    erase_if_empty(effect);
    forget(before, false);
  }
}

// A directory that goes takes what is pending in it along: nothing could find it any more.
void DiskNames::commit_before_removal(InodeId id) {
  if (id == kNone || !is_directory(id) || node(id).seen != 0) {
    return;
  }
  while (!node(id).directory->pending.empty()) {
    commit(*node(id).directory->pending.begin());
  }
  for (;;) {  // names that a rename took out of it, into another directory
    const auto& entries = node(id).directory->entries;
    const auto found =
        std::find_if(entries.begin(), entries.end(), [](const auto& entry) { return !entry.second.pending.empty(); });
    if (found == entries.end()) {
      return;
    }
    commit(found->second.pending.front());
  }
}

void DiskNames::drop(WriteSeq seq) {
  const Change change = take_change(seq);
  for (const Effect& effect : change.effects) {
    forget(effect.target, false);
  }
}

void DiskNames::erase_if_empty(const Effect& effect) {
  Directory& directory = own_directory(effect.directory);
  const auto found = directory.entries.find(effect.name);
  const Entry& entry = found->second;
  if (entry.durable == kNone && entry.seen == kNone && entry.pending.empty()) {
    directory.entries.erase(found);
  }
}

// ---- syncs ----

void DiskNames::end_sync(InodeId directory, WriteSeq before, SyncOutcome outcome, Draws draws) {
  if (outcome == SyncOutcome::kLied) {
    return;
  }
  if (directory != kNone) {
    if (nodes_.contains(directory)) {
      const absl::btree_set<WriteSeq>& pending = node(directory).directory->pending;
      end_sync_of({pending.begin(), pending.lower_bound(before)}, outcome, draws);
    }
    return;
  }
  std::vector<WriteSeq> covered;
  for (auto change = changes_.begin(); change != changes_.end() && change->first < before; ++change) {
    covered.push_back(change->first);
  }
  end_sync_of(covered, outcome, draws);
}

void DiskNames::end_sync_of(const std::vector<WriteSeq>& covered, SyncOutcome outcome, const Draws& draws) {
  for (const WriteSeq seq : covered) {
    const auto found = changes_.find(seq);
    if (found == changes_.end()) {
      continue;  // carried along by another
    }
    if (outcome == SyncOutcome::kDone || draws.child("failed sync of a name", entity(found->second)).below(2) == 0) {
      commit(seq);
    }
  }
}

// Who a change is in draws about it: the name that it changes.
std::uint64_t DiskNames::entity(const Change& change) const {
  const Effect& first = change.effects[0];
  return mix(node(first.directory).directory->name, mix_text(first.name));
}

// ---- deaths ----

void DiskNames::process_kill() {
  std::vector<InodeId> held;
  for (const auto& [id, node] : nodes_) {
    held.insert(held.end(), node.handles, id);
  }
  for (const InodeId id : held) {
    close(id);
  }
}

void DiskNames::power_loss(Draws draws, const Survival& survival) {
  const std::uint32_t kept = survival.kept;
  const std::uint32_t dropped = survival.dropped;
  const std::array<std::uint32_t, 2> weights =
      kept + dropped != 0 ? std::array{kept, dropped} : std::array<std::uint32_t, 2>{1, 1};
  for (auto& [id, node] : nodes_) {
    ++node.references;  // none goes before the sweep
  }
  using Name = std::pair<InodeId, std::string>;
  absl::btree_map<Name, std::uint64_t> ordinals;
  absl::btree_set<Name> gone;
  while (!changes_.empty()) {
    const WriteSeq seq = changes_.begin()->first;
    const Change& change = changes_.begin()->second;
    const Effect& first = change.effects[0];
    const std::uint64_t ordinal = ordinals[Name(first.directory, first.name)]++;
    bool survives = draws.child("name", mix(entity(change), ordinal)).pick(weights) == 0;
    for (const Effect& effect : change.effects) {
      survives &= !gone.contains(Name(effect.directory, effect.name));
    }
    if (survives) {
      commit(seq);
      continue;
    }
    for (const Effect& effect : change.effects) {
      gone.emplace(effect.directory, effect.name);
    }
    drop(seq);
  }
  sweep();
}

// Keeps what durable names lead to, and shows it to the next process.
void DiskNames::sweep() {
  absl::btree_map<InodeId, Node> kept;
  std::vector<InodeId> found{kRoot};
  while (!found.empty()) {
    const InodeId id = found.back();
    found.pop_back();
    Node& reached = node(id);
    if (kept.contains(id)) {
      continue;
    }
    reached.references = id == kRoot ? 1 : 2;  // its durable and its visible name
    reached.seen = 1;
    reached.handles = 0;
    if (reached.directory) {
      auto& entries = reached.directory.own().entries;
      for (auto entry = entries.begin(); entry != entries.end();) {
        CHECK(entry->second.pending.empty());
        entry->second.seen = entry->second.durable;
        if (entry->second.durable == kNone) {
          entry = entries.erase(entry);
        } else {
          found.push_back(entry->second.durable);
          ++entry;
        }
      }
    }
    kept.emplace(id, reached);
  }
  nodes_ = std::move(kept);
  recount_used();
}

void DiskNames::recount_used() {
  used_bytes_ = 0;
  for (const auto& [id, node] : nodes_) {
    used_bytes_ += node.file && node.seen != 0 ? node.file->used_bytes() : 0;
  }
}

// ---- for checkers ----

std::uint64_t DiskNames::fingerprint() const {
  std::uint64_t print = mix(changes_.size());
  for (const auto& [id, node] : nodes_) {
    print = mix(print, static_cast<std::uint64_t>(id.value()), node.references);
    if (node.file) {
      print = mix(print, node.file->fingerprint());
      continue;
    }
    for (const auto& [name, entry] : node.directory->entries) {
      print = mix(print, mix_text(name), static_cast<std::uint64_t>(entry.seen.value()));
      print = mix(print, static_cast<std::uint64_t>(entry.durable.value()), entry.pending.size());
    }
  }
  return print;
}

std::uint64_t DiskNames::memory_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [id, node] : nodes_) {
    bytes += sizeof(Node) + (node.file ? node.file->memory_bytes() : 0);
    if (node.directory) {
      for (const auto& [name, entry] : node.directory->entries) {
        bytes += sizeof(Entry) + name.capacity();
      }
    }
  }
  return bytes;
}

}  // namespace chronik::sim
