#include "sim/scenarios/trouble.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "sim/disk_faults.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kBurst = 40;
constexpr Duration kMoment = Duration::milliseconds(50);

// One episode, around `at`.
class Episode {
 public:
  Episode(Plan& plan, Draws& draws, std::vector<std::string> nodes)
      : plan_(plan), draws_(draws), nodes_(std::move(nodes)) {
    for (std::size_t i = nodes_.size(); i > 1; --i) {
      std::swap(nodes_[i - 1], nodes_[draws_.below(i)]);
    }
    at_ = VirtualTime::zero() +
          draws_.between(Duration::seconds(2), std::max(Duration::seconds(3), plan.lasts - Duration::seconds(4)));
  }

  // When much should be under way.
  VirtualTime moment() const { return moment_; }

  void draw() {
    moment_ = at_;
    switch (draws_.below(6)) {
      case 0: return blackout();
      case 1: return what_only_one_has_written();
      case 2: return one_after_the_other();
      case 3: return while_one_catches_up();
      case 4: return leaders_go();
      default: return cut_off();
    }
  }

 private:
  PlanFault& add(std::string kind, const std::string& target, VirtualTime at, Duration lasts) {
    return add_fault_at(plan_, draws_, std::move(kind), target, at, lasts);
  }
  void die(const std::string& node, VirtualTime at, Duration lasts) {
    add(draws_.below(4) == 0 ? "kill" : "power", node, at, lasts);
  }
  // All that its disk does takes longer, by up to a drawn while.
  void slow_disk(const std::string& node, VirtualTime at, Duration lasts) {
    PlanFault& fault = add("disk-slow", node, at, lasts);
    fault.numbers["stall_ppm"] = draws_.between(200'000, 1'000'000);
    fault.numbers["stall_ns"] = draws_.magnitude(2'000'000, 1'000'000'000);
  }
  Duration soon() { return Duration::nanoseconds(draws_.magnitude(1'000, kMoment.nanoseconds())); }
  Duration a_while() { return draws_.between(Duration::milliseconds(100), Duration::seconds(5)); }
  // Long enough that others lead meanwhile.
  Duration long_enough() { return draws_.between(Duration::milliseconds(1300), Duration::seconds(5)); }

  // What one has written and the others have in memory, and then all of them are gone.
  void blackout() {
    for (const std::string& node : nodes_) {
      if (draws_.below(3) != 0) {
        slow_disk(node, at_ + draws_.between(Duration::seconds(-2), Duration::milliseconds(-100)),
                  Duration::seconds(3));
      }
    }
    const std::size_t dead = std::min<std::size_t>(nodes_.size(), 2 + draws_.below(nodes_.size()));
    const bool at_flushes = draws_.below(2) == 0;
    for (std::size_t i = 0; i < dead; ++i) {
      if (at_flushes) {
        lose_power_at_a_flush(nodes_[i]);
      } else {
        const VirtualTime at = at_ + soon();
        add("power", nodes_[i], at, draws_.below(2) == 0 ? a_while() : long_enough());
      }
    }
  }

  // The others come back soon, without what they had in memory, and it does not.
  void what_only_one_has_written() {
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      PlanFault& slow = add("disk-slow", nodes_[i], at_ + Duration::milliseconds(-800), Duration::seconds(2));
      slow.numbers["stall_ppm"] = 1'000'000;
      slow.numbers["stall_ns"] = draws_.between(300'000'000, 1'000'000'000);
    }
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      const VirtualTime at = at_ + soon();
      add("power", nodes_[i], at, draws_.between(Duration::milliseconds(20), Duration::milliseconds(500)));
    }
    const Duration lasts = draws_.between(Duration::milliseconds(2500), Duration::seconds(5));
    die(nodes_[0], at_ + soon(), lasts);
  }

  // The next one, or one soon after: of a batch that goes to all of them, the same.
  void lose_power_at_a_flush(const std::string& node) {
    static constexpr DiskEffect kEffects[] = {DiskEffect::kPowerLossBefore, DiskEffect::kPowerLossDuring,
                                              DiskEffect::kPowerLossAfter};
    PlanFault& fault = add("disk", node, at_, Duration::zero());
    fault.numbers["step"] = static_cast<std::int64_t>(draws_.below(2) == 0 ? DiskStep::kWrite : DiskStep::kSync);
    fault.numbers["effect"] = static_cast<std::int64_t>(kEffects[draws_.below(std::size(kEffects))]);
    fault.numbers["nth"] = draws_.magnitude(1, 4);
  }

  // Who was away comes back when who went on without it goes.
  void one_after_the_other() {
    const Duration away = long_enough();
    moment_ = at_ + away / 2;
    die(nodes_[0], at_, away);
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      const Duration before = draws_.between(Duration::zero(), Duration::milliseconds(700));
      die(nodes_[i], at_ + (away - before), long_enough());
      if (draws_.below(2) == 0) {
        return;
      }
    }
  }

  // One comes back and lacks something for a while, and one that has it goes.
  void while_one_catches_up() {
    const Duration away = long_enough();
    const std::string& late = nodes_[0];
    moment_ = at_ + away;
    die(late, at_, away);
    // Not while it starts, or it comes too late.
    slow_disk(late, at_ + away + draws_.between(Duration::zero(), Duration::milliseconds(600)), Duration::seconds(4));
    if (draws_.below(2) == 0 && nodes_.size() > 1) {
      PlanFault& thin = add("thin", late, at_ + away, Duration::seconds(3));
      thin.other = nodes_[1];
      thin.numbers["bytes_per_second"] = draws_.magnitude(2'000, 200'000);
    }
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      const Duration later = draws_.between(Duration::zero(), Duration::milliseconds(1500));
      die(nodes_[i], at_ + away + later, long_enough());
      if (draws_.below(3) != 0) {
        return;
      }
    }
  }

  // Elections in quick succession: a connection that is refused says at once that a process is gone.
  void leaders_go() {
    VirtualTime at = at_;
    for (std::int64_t i = draws_.between(3, 10); i > 0; --i) {
      const std::string& node = nodes_[draws_.below(nodes_.size())];
      add("kill", node, at, Duration::nanoseconds(draws_.magnitude(10'000'000, 1'000'000'000)));
      at = at + Duration::nanoseconds(draws_.magnitude(1'000'000, 1'000'000'000));
    }
    if (draws_.below(2) == 0) {
      slow_disk(nodes_.front(), at_, at - at_);
    }
  }

  // One hears nothing, or says nothing, and others go and come meanwhile.
  void cut_off() {
    PlanFault& cut = add("partition", nodes_[0], at_, long_enough());
    cut.other = "*";
    cut.numbers["one_way"] = draws_.below(3) == 0 ? 1 : 0;
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      const VirtualTime at = at_ + a_while();
      if (draws_.below(2) == 0) {
        die(nodes_[i], at, a_while());
      }
    }
  }

  Plan& plan_;
  Draws& draws_;
  std::vector<std::string> nodes_;
  VirtualTime at_;
  VirtualTime moment_;
};

// About each moment some producers have much to do: what is under way then is what an episode is about.
void draw_bursts(Plan& plan, Draws draws, const std::vector<VirtualTime>& moments) {
  std::map<std::string, std::vector<PlanOperation*>> of_machine;
  for (PlanOperation& operation : plan.operations) {
    if (operation.verb == "produce") {
      of_machine[operation.machine].push_back(&operation);
    }
  }
  for (const auto& [machine, operations] : of_machine) {
    const std::size_t each = operations.size() / (moments.size() + 1);
    const std::size_t burst = std::min(each, kBurst);
    for (std::size_t i = 0; i < moments.size() && burst > 0; ++i) {
      if (draws.below(3) == 0) {
        continue;
      }
      const VirtualTime begins = moments[i] + draws.between(Duration::milliseconds(-1000), Duration::zero());
      for (std::size_t k = 0; k < burst; ++k) {
        Numbers& numbers = operations[each * (i + 1) - burst + k]->numbers;
        numbers["pause_ns"] = draws.between(0, 40'000'000);
        numbers["not_before_ns"] = begins.nanoseconds();
      }
    }
  }
}

}  // namespace

void draw_episodes(Plan& plan, Draws draws, const std::vector<std::string>& nodes) {
  std::vector<VirtualTime> moments;
  for (std::int64_t i = draws.below(4) == 0 ? 0 : draws.between(1, 6); i > 0; --i) {
    Draws of_one = draws.child("episode", static_cast<std::uint64_t>(i));
    Episode episode(plan, of_one, nodes);
    episode.draw();
    moments.push_back(episode.moment());
  }
  std::sort(moments.begin(), moments.end());
  draw_bursts(plan, draws.child("bursts", 0), moments);
}

}  // namespace chronik::sim
