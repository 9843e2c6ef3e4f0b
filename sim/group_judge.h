// What members of consumer groups may be told, as their own history shows it: checkers GEN-MONO (15) and OFFSETS-COMMIT
// (14).
//
// GEN-MONO: a partition has one owner in a generation; whoever asks after a later generation's assignment was told is
// not told an earlier one's; and no commit of an earlier generation is accepted then.
// OFFSETS-COMMIT: an offset that is fetched is none that nobody committed, nor earlier than one whose commit was
// acknowledged, or that was fetched, before it was asked for. Members commit offsets that only rise. What the one
// keeper of a group without members fetches is what it kept last, or what it does not know the outcome of.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/world.h"

namespace chronik::sim {

class GroupJudge {
 public:
  explicit GroupJudge(World& world) : world_(world) {}

  // Told to a member: what it owns in this generation. member: an instance, by its name, stays who it was under another
  // id. asked: when it sent its request.
  void assigned(const std::string& group, std::int32_t generation, const std::string& member,
                const std::set<int>& partitions, VirtualTime asked);
  // About to be sent.
  void commits(const std::string& group, int partition, std::int64_t offset);
  // Acknowledged. generation: that it named.
  void committed(const std::string& group, std::int32_t generation, int partition, std::int64_t offset,
                 VirtualTime asked);
  // -1: none.
  void fetched(const std::string& group, int partition, std::int64_t offset, VirtualTime asked);

  // ---- a group without members, and one who keeps its offsets ----
  // An offset that nobody has kept yet.
  std::int64_t next_kept(const std::string& group) { return ++kept_[group].last; }
  // About to be asked for, acknowledged, and fetched; -1: that there be none. What was asked for and not acknowledged
  // may be done at any time.
  void keeps(const std::string& group, int partition, std::int64_t offset);
  void kept(const std::string& group, int partition, std::int64_t offset);
  void kept_fetched(const std::string& group, int partition, std::int64_t offset);
  // When a change was acknowledged last.
  VirtualTime kept_at(const std::string& group) const;

  // How many commits of each partition were acknowledged since then.
  std::uint64_t commits_since(const std::string& group, int partition, VirtualTime since) const;
  std::int32_t latest_generation(const std::string& group) const;

 private:
  struct Seen {
    VirtualTime at;
    std::int64_t value;
  };
  struct PartitionHistory {
    std::set<std::int64_t> attempted;
    std::vector<Seen> known;  // acknowledged or fetched, in the order of time
    std::vector<VirtualTime> acknowledged;
  };
  struct GroupHistory {
    std::vector<Seen> generations;  // whose assignments were told
    std::map<std::int32_t, std::map<int, std::string>> owners;
    std::map<int, PartitionHistory> partitions;
  };
  struct KeptPartition {
    std::multiset<std::int64_t> open;  // asked for, of unknown outcome
    std::int64_t settled = -1;
  };
  struct KeptGroup {
    std::int64_t last = 0;
    VirtualTime at;
    std::map<int, KeptPartition> partitions;
  };
  // The largest that was known before `asked`; -1: nothing.
  static std::int64_t known_before(const std::vector<Seen>& seen, VirtualTime asked);

  World& world_;
  std::map<std::string, GroupHistory> groups_;
  std::map<std::string, KeptGroup> kept_;
};

}  // namespace chronik::sim
