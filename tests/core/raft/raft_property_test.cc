// Random schedules: messages lost, doubled, delayed and overtaken, links cut, members that die and come back with what
// had become durable, disks that lag, logs that are compacted, members that come and go, as voters and as learners, and
// disks that are lost (rule R15). The group checks every step; at the end everything works again, and the group must
// make progress with whoever is in it then.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mix.h"
#include "tests/core/raft/raft_group.h"
#include "tests/support/property.h"

namespace chronik::raft {
namespace {

using testing::Group;

// Small, so that a few entries are several appends and a short state several parts.
RaftOptions small_options() {
  RaftOptions options;
  options.append_bytes_max = 64;
  options.appends_in_flight_max = 4;
  options.snapshot_part_bytes = 16;
  return options;
}

constexpr int kSize = 100;  // RapidCheck's own grows from 0 and makes the first schedules empty
constexpr std::size_t kHappenings = 5000;
constexpr std::int32_t kNewcomers = 2;  // nodes that are in no group when it begins

// One thing that happens, of what `kind` says by its weight; `draw` decides the rest.
struct Happening {
  std::uint8_t kind = 0;
  std::uint64_t draw = 0;
};

class Schedule {
 public:
  Schedule(std::int32_t voters, std::uint64_t seed)
      : nodes_(voters + kNewcomers), group_(voters, small_options(), seed) {
    for (std::int32_t node = voters + 1; node <= nodes_; ++node) {
      group_.add_seat(node, Membership{});
    }
  }

  Group& group() { return group_; }
  std::uint64_t changes() const { return changes_; }
  std::uint64_t disks_lost() const { return disks_lost_; }

  void happen(const Happening& happening) {
    draw_ = happening.draw;
    const unsigned kind = happening.kind % 100;
    const std::int32_t node = any_node();
    if (kind < 55) {
      deliver_one();
    } else if (kind < 75) {
      group_.persist_one(node);
    } else if (kind < 87) {
      group_.wait(Duration::milliseconds(static_cast<std::int64_t>(drawn(60))));
      tick_all();
    } else if (kind < 94) {
      if (const auto leader = group_.leader()) {
        group_.propose(*leader, std::to_string(proposals_++) + ";");
      }
    } else if (kind < 95) {
      read_somewhere(node);
    } else if (kind < 96) {
      group_.compact(node, drawn(5));
    } else if (kind < 98) {
      crash_or_restart(node);
    } else if (kind < 99) {
      cut_or_mend(node);
    } else if (drawn(8) == 0) {
      lose_disk(node);
    } else {
      change_members(node);
    }
  }

  // Everybody is up, nothing is lost: committed entries reach every member, and new ones are committed.
  void heal_and_expect_progress() {
    cut_.clear();
    for (const auto& [node, seat] : group_.seats()) {
      if (seat.raft == nullptr) {
        group_.restart(node);
      }
    }
    const LogIndex before = group_.committed();
    for (int round = 0; round < 4000; ++round) {
      group_.wait(Duration::milliseconds(5));
      tick_all();
      std::deque<Message> messages;
      std::swap(messages, group_.in_flight());
      for (const Message& message : messages) {
        group_.deliver(message);
      }
      for (const auto& [node, seat] : group_.seats()) {
        group_.persist_all(node);
      }
      const auto leader = group_.leader();
      if (leader.has_value() && round % 20 == 0) {
        group_.act(*leader, [this](Raft& raft) { repair_members(raft); });
        group_.propose(*leader, "healed;");
      }
      if (leader.has_value() && group_.committed() > before + 3 && all_have(*leader, before) && is_whole(*leader)) {
        return;
      }
    }
    ADD_FAILURE() << "no progress in 20 s after everything works again, committed " << before.value();
  }

 private:
  std::uint64_t drawn(std::uint64_t n) {
    draw_ = mix(draw_);
    return below(draw_, n);
  }
  std::int32_t any_node() { return 1 + static_cast<std::int32_t>(drawn(static_cast<std::uint64_t>(nodes_))); }

  void tick_all() {
    for (const auto& [node, seat] : group_.seats()) {
      group_.tick(node);
    }
  }
  void deliver_one() {
    std::deque<Message>& messages = group_.in_flight();
    if (messages.empty()) {
      return;
    }
    const std::size_t reach = drawn(4) > 0 ? std::min<std::size_t>(messages.size(), 8) : messages.size();
    const auto at = messages.begin() + static_cast<std::ptrdiff_t>(drawn(reach));
    const Message message = *at;
    const std::uint64_t fate = drawn(40);
    if (fate != 0) {
      messages.erase(at);  // else it will come twice
    }
    if (fate != 1 && !cut_.contains({message.from.node.value(), message.to.node.value()})) {
      group_.deliver(message);
    }
    if (messages.size() > 400) {
      messages.erase(messages.begin(), messages.begin() + 200);
    }
  }
  void read_somewhere(std::int32_t node) {
    if (group_.seat(node).raft != nullptr && group_.raft(node).role() == Role::kLeader) {
      group_.read(node);
    }
  }
  void crash_or_restart(std::int32_t node) {
    if (group_.seat(node).raft == nullptr) {
      group_.restart(node);
    } else if (drawn(4) == 0) {
      for (std::uint64_t kept = drawn(group_.seat(node).writing.size() + 1); kept > 0; --kept) {
        group_.persist_one(node);
      }
      group_.crash(node);
    }
  }
  void cut_or_mend(std::int32_t node) {
    if (drawn(3) == 0 || cut_.size() > 4) {
      cut_.clear();
    } else {
      cut_.insert({node, any_node()});
    }
  }
  Member sitting_at(std::int32_t node) { return group_.seat(node).self; }
  bool is_lost(const Member& member) { return member != sitting_at(member.node.value()); }

  // A node's disk is gone. Only where all know the same members, all of whom are left, and of no change to come: else
  // a quorum may be that includes it, and nothing could ever go on.
  void lose_disk(std::int32_t node) {
    const auto leader = group_.leader();
    if (!leader.has_value()) {
      return;
    }
    const Raft& leading = group_.raft(*leader);
    const Membership& members = leading.membership();
    const auto is_change = [](const Entry& entry) { return entry.kind == EntryKind::kMembership; };
    const bool spare = members.voters.size() > 2 || !members.is_voter(sitting_at(node));
    bool settled = spare && leading.log().membership_index() <= leading.commit();
    for (const auto& [number, seat] : group_.seats()) {
      settled = settled && seat.raft != nullptr;
      settled = settled && (!members.contains(seat.self) || seat.raft->membership() == members);
      settled = settled && (members.contains(seat.self) || seat.raft->role() == Role::kFollower);
    }
    for (const Member& voter : members.voters) {
      settled = settled && !is_lost(voter);
    }
    for (const Message& message : group_.in_flight()) {
      const auto* append = std::get_if<AppendRequest>(&message.body);
      settled =
          settled && (append == nullptr || std::none_of(append->entries.begin(), append->entries.end(), is_change));
    }
    if (settled) {
      group_.replace_disk(node);
      ++disks_lost_;
    }
  }

  // One voter more or less, or a learner. Whoever has lost its disk goes first.
  void change_members(std::int32_t node) {
    const auto leader = group_.leader();
    if (!leader.has_value()) {
      return;
    }
    group_.act(*leader, [&](Raft& raft) {
      if (drawn(2) == 0) {
        (void)raft.transfer_to(sitting_at(node));
        return;
      }
      Membership wanted = raft.membership();
      if (take_out_lost(wanted)) {
        changes_ += raft.propose_membership(wanted).ok() ? 1U : 0U;
        return;
      }
      const Member there = sitting_at(node);
      if (std::erase(wanted.voters, there) > 0) {
        if (wanted.voters.empty() || drawn(2) == 0) {
          return;
        }
      } else if (std::erase(wanted.learners, there) > 0) {
        if (drawn(4) > 0) {
          wanted.voters.push_back(there);
        }
      } else {
        (drawn(2) == 0 ? wanted.voters : wanted.learners).push_back(there);
      }
      changes_ += raft.propose_membership(wanted).ok() ? 1U : 0U;
    });
  }
  // Whether there was one. With its node, whose other disk is another member.
  bool take_out_lost(Membership& members) {
    for (std::vector<Member>* part : {&members.voters, &members.learners}) {
      const auto lost =
          std::find_if(part->begin(), part->end(), [this](const Member& member) { return is_lost(member); });
      if (lost != part->end()) {
        part->erase(lost);
        return true;
      }
    }
    return false;
  }
  // What an operator and the driver do: who lost its disk goes, who learns votes.
  void repair_members(Raft& raft) {
    Membership wanted = raft.membership();
    if (!take_out_lost(wanted)) {
      if (wanted.learners.empty()) {
        return;
      }
      wanted.voters.push_back(wanted.learners.back());
      wanted.learners.pop_back();
    }
    (void)raft.propose_membership(wanted);
  }
  bool is_whole(std::int32_t leader) {
    const Membership& members = group_.raft(leader).membership();
    return members.learners.empty() && std::none_of(members.voters.begin(), members.voters.end(),
                                                    [this](const Member& member) { return is_lost(member); });
  }
  bool all_have(std::int32_t leader, LogIndex index) {
    for (const Member& voter : group_.raft(leader).membership().voters) {
      if (group_.seat(voter.node.value()).applied < index) {
        return false;
      }
    }
    return true;
  }

  std::int32_t nodes_;
  Group group_;
  std::set<std::pair<std::int32_t, std::int32_t>> cut_;  // from, to
  std::uint64_t draw_ = 0;
  std::uint64_t proposals_ = 0;
  std::uint64_t changes_ = 0;
  std::uint64_t disks_lost_ = 0;
};

TEST(RaftProperty, PromisesHoldInEveryScheduleAndItGoesOnAfterwards) {
  std::uint64_t committed = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t reads = 0;
  std::uint64_t changes = 0;
  std::uint64_t disks_lost = 0;
  EXPECT_TRUE(rc::check([&] {
    const auto voters = static_cast<std::int32_t>(*rc::gen::resize(kSize, rc::gen::inRange(1, 6)));
    const auto seed = *rc::gen::resize(kSize, rc::gen::arbitrary<std::uint64_t>());
    const auto happenings = *rc::gen::resize(
        kSize, rc::gen::container<std::vector<Happening>>(
                   std::size_t{kHappenings}, rc::gen::construct<Happening>(rc::gen::inRange<std::uint8_t>(0, 100),
                                                                           rc::gen::arbitrary<std::uint64_t>())));
    const std::string failures = chronik::testing::failures_of([&] {
      Schedule schedule(voters, seed);
      for (const Happening& happening : happenings) {
        schedule.happen(happening);
      }
      schedule.heal_and_expect_progress();
      committed += static_cast<std::uint64_t>(schedule.group().committed().value());
      snapshots += schedule.group().snapshots_installed();
      reads += schedule.group().reads_answered();
      changes += schedule.changes();
      disks_lost += schedule.disks_lost();
    });
    if (!failures.empty()) {
      RC_FAIL(failures);
    }
  }));
  // Else the schedules had nothing to say.
  EXPECT_GT(committed, 4'000u);
  EXPECT_GT(snapshots, 10u);
  EXPECT_GT(reads, 100u);
  EXPECT_GT(changes, 200u);
  EXPECT_GT(disks_lost, 20u);
}

}  // namespace
}  // namespace chronik::raft
