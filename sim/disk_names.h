// The names on a simulated disk: directories, what the process sees in them, what is pending and what is durable.
//
// A change (a creation, a rename, an unlink) is one unit: it survives whole or not at all, and never without the
// earlier pending changes of the same names. It is durable once the directory that it added or removed a name in was
// synced; a rename between two directories, once the target was. What no durable name leads to is gone after a loss of
// power. Used by DiskModel alone. Owns the inodes: one lives as long as a name, a pending change or an open file refers
// to it.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "sim/disk_inode.h"

namespace chronik::sim {

class DiskNames {
 public:
  static constexpr InodeId kNone{0};
  static constexpr InodeId kRoot{1};

  DiskNames();

  // Where a path leads, as the process sees it.
  struct Place {
    InodeId directory = kNone;  // none: the path is the root itself
    std::string name;
    InodeId target = kNone;  // none: nothing has this name
  };
  // kInvalidArgument: not a relative path of plain names. kNotFound: a directory on the way. kFailedPrecondition: a
  // file on the way.
  StatusOr<Place> locate(std::string_view path) const;
  // Where it would lead if the power failed now and nothing pending survived; none: nowhere.
  InodeId locate_durable(std::string_view path) const;
  // No pending change touches the path: it leads where it leads now after every loss of power.
  bool settled(std::string_view path) const;

  bool is_directory(InodeId id) const { return static_cast<bool>(node(id).directory); }
  const DiskInode& file(InodeId id) const { return *node(id).file; }
  // For changes to its bytes; the space that the change takes is seen by used_bytes().
  template <typename Change>
  auto change_file(InodeId id, Change&& change) {
    Node& changed = node(id);
    CHECK(static_cast<bool>(changed.file));
    DiskInode& inode = changed.file.own();
    const std::uint64_t before = inode.used_bytes();
    auto result = change(inode);
    if (changed.seen != 0) {
      used_bytes_ += inode.used_bytes() - before;
    }
    return result;
  }
  std::uint64_t used_bytes() const { return used_bytes_; }

  // ---- changes; the place must be fresh ----
  InodeId create_file(const Place& at, std::string_view path, WriteSeq seq);
  void create_directory(const Place& at, std::string_view path, WriteSeq seq);
  void remove(const Place& at, WriteSeq seq);
  void rename(const Place& from, const Place& to, WriteSeq seq);
  std::vector<std::string> list(InodeId directory) const;
  bool empty(InodeId directory) const;
  void open(InodeId id);
  void close(InodeId id);

  // ---- syncs: of one directory, or of all (kNone) ----
  void end_sync(InodeId directory, WriteSeq before, SyncOutcome outcome, Draws draws);

  // ---- deaths ----
  void process_kill();
  void power_loss(Draws draws, const Survival& survival);

  template <typename Which, typename Change>
  void change_files(Which&& which, Change&& change) {  // which(const DiskInode&), change(DiskInode&)
    for (auto& [id, node] : nodes_) {
      if (node.file && which(*node.file)) {
        change(node.file.own());
      }
    }
    recount_used();
  }
  bool exists(InodeId id) const { return nodes_.contains(id); }
  // A path that the process finds the file by; empty where there is none.
  std::string path_of(InodeId id) const;
  // visit(path, InodeId) for every file that a durable name leads to, in the order of paths.
  template <typename Visit>
  void for_each_durable_file(Visit&& visit) const {
    walk_durable(kRoot, "", visit);
  }
  std::size_t pending_changes() const { return changes_.size(); }
  std::uint64_t fingerprint() const;
  std::uint64_t memory_bytes() const;

 private:
  struct Entry {
    InodeId durable = kNone;
    InodeId seen = kNone;
    absl::InlinedVector<WriteSeq, 1> pending;  // changes of this name, oldest first
  };
  struct Directory : Counted {
    std::uint64_t name = 0;  // a number made of the path it was created at
    absl::btree_map<std::string, Entry, std::less<>> entries;
    absl::btree_set<WriteSeq> pending;  // changes that a sync of this directory makes durable
  };
  struct Node {
    Shared<DiskInode> file;  // one of the two
    Shared<Directory> directory;
    std::uint32_t references = 0;  // from names of either kind, pending changes, open files
    std::uint32_t seen = 0;        // of these, names that the process sees and open files
    std::uint32_t handles = 0;
  };
  struct Effect {
    InodeId directory;
    std::string name;
    InodeId target;  // none: the name goes
  };
  struct Change {
    absl::InlinedVector<Effect, 1> effects;
    InodeId owner = kNone;
  };

  const Node& node(InodeId id) const;
  Node& node(InodeId id);
  InodeId add_node(Node node);
  Directory& own_directory(InodeId id) { return node(id).directory.own(); }
  Entry& own_entry(const Effect& effect) { return own_directory(effect.directory).entries[effect.name]; }
  void refer(InodeId id, bool seen);
  void forget(InodeId id, bool seen);
  void begin_change(Change change, WriteSeq seq);
  Change take_change(WriteSeq seq);
  void commit(WriteSeq seq);
  void commit_before_removal(InodeId id);
  std::uint64_t entity(const Change& change) const;
  void drop(WriteSeq seq);
  void erase_if_empty(const Effect& effect);
  void end_sync_of(const std::vector<WriteSeq>& covered, SyncOutcome outcome, const Draws& draws);
  void sweep();
  void recount_used();
  bool find_path(InodeId directory, InodeId wanted, std::string& path) const;
  template <typename Visit>
  void walk_durable(InodeId directory, const std::string& prefix, Visit&& visit) const;

  absl::btree_map<InodeId, Node> nodes_;
  absl::btree_map<WriteSeq, Change> changes_;
  absl::btree_map<std::uint64_t, std::uint64_t> creations_;  // of each path's hash: how often
  std::int64_t inodes_made_ = 1;
  std::uint64_t used_bytes_ = 0;  // of files that the process can reach
};

template <typename Visit>
void DiskNames::walk_durable(InodeId directory, const std::string& prefix, Visit&& visit) const {
  for (const auto& [name, entry] : node(directory).directory->entries) {
    if (entry.durable == kNone) {
      continue;
    }
    if (is_directory(entry.durable)) {
      walk_durable(entry.durable, prefix + name + '/', visit);
    } else {
      visit(prefix + name, entry.durable);
    }
  }
}

}  // namespace chronik::sim
