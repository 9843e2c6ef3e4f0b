// Random schedules: messages lost, doubled, delayed and overtaken, links cut, members that die and come back with what
// had become durable, disks that lag, logs that are compacted, members that come and go. The group checks every step;
// at the end everything works again, and the group must make progress.
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
using testing::member;

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

// One thing that happens, of what `kind` says by its weight; `draw` decides the rest.
struct Happening {
  std::uint8_t kind = 0;
  std::uint64_t draw = 0;
};

class Schedule {
 public:
  Schedule(std::int32_t voters, std::uint64_t seed) : nodes_(voters), group_(voters, small_options(), seed) {}

  Group& group() { return group_; }

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
        group_.propose(*leader, "healed;");
      }
      if (leader.has_value() && group_.committed() > before + 3 && all_have(*leader, before)) {
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
  void change_members(std::int32_t node) {
    const auto leader = group_.leader();
    if (!leader.has_value()) {
      return;
    }
    group_.act(*leader, [&](Raft& raft) {
      if (drawn(2) == 0) {
        (void)raft.transfer_to(member(node));
        return;
      }
      Membership wanted = raft.membership();
      if (std::erase(wanted.voters, member(node)) > 0) {
        if (wanted.voters.empty() || drawn(2) == 0) {
          return;
        }
      } else {
        wanted.voters.push_back(member(node));
      }
      (void)raft.propose_membership(wanted);
    });
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
};

TEST(RaftProperty, PromisesHoldInEveryScheduleAndItGoesOnAfterwards) {
  std::uint64_t committed = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t reads = 0;
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
    });
    if (!failures.empty()) {
      RC_FAIL(failures);
    }
  }));
  // Else the schedules had nothing to say.
  EXPECT_GT(committed, 4'000u);
  EXPECT_GT(snapshots, 10u);
  EXPECT_GT(reads, 100u);
}

}  // namespace
}  // namespace chronik::raft
