#include "sim/topic_history.h"

#include <fmt/core.h>

#include <compare>
#include <map>
#include <set>
#include <utility>

#include "core/base/check.h"

namespace chronik::sim {

// The states that the requests about one name can have led to.
class TopicHistory::Search {
 public:
  explicit Search(const Name& name) : name_(name) { states_.insert(State{}); }

  void ask(std::size_t index) {
    const Asked& asked = name_.asked[index];
    if (asked.outcome == Outcome::kUnknown) {
      ++(asked.verb == Verb::kCreate ? creations_ : deletions_);
      return;
    }
    std::size_t slot = 0;
    while ((open_slots_ >> slot & 1U) != 0) {
      ++slot;
    }
    CHECK_LT(slot, kOpenMax);
    open_slots_ |= 1U << slot;
    open_.emplace(index, slot);
  }

  // False: nothing explains it.
  bool answer(std::size_t index) {
    const auto found = open_.find(index);
    if (found == open_.end()) {
      return true;  // of which the answer says nothing
    }
    const std::uint32_t bit = 1U << found->second;
    std::set<State> after;
    explore([&](const State& state) {
      if ((state.done & bit) == 0) {
        return true;
      }
      State without = state;
      without.done &= ~bit;
      after.insert(without);
      return false;  // what else may have happened by now may as well happen later
    });
    states_ = std::move(after);
    open_slots_ &= ~bit;
    open_.erase(found);
    return !states_.empty();
  }

  bool may_be(bool there) {
    bool possible = false;
    explore([&](const State& state) {
      possible |= state.there == there;
      return !possible;
    });
    return possible;
  }

 private:
  struct State {
    bool there = false;
    std::uint32_t done = 0;       // of those that are open, by slot: have taken effect
    std::uint32_t creations = 0;  // without an answer: have taken effect
    std::uint32_t deletions = 0;
    friend auto operator<=>(const State&, const State&) = default;
  };

  // Visits whatever can have become of the states by now; `visit` returns whether to go on from there.
  template <typename Visit>
  void explore(Visit&& visit) const {
    std::vector<State> to_visit(states_.begin(), states_.end());
    std::set<State> seen = states_;
    const auto reach = [&](const State& state) {
      if (seen.insert(state).second) {
        to_visit.push_back(state);
      }
    };
    while (!to_visit.empty()) {
      const State state = to_visit.back();
      to_visit.pop_back();
      if (!visit(state)) {
        continue;
      }
      for (const auto& [index, slot] : open_) {
        const Asked& asked = name_.asked[index];
        const bool creates = asked.verb == Verb::kCreate;
        const bool possible = state.there == ((asked.outcome == Outcome::kDone) != creates);
        if ((state.done >> slot & 1U) == 0 && possible) {
          State next = state;
          next.done |= 1U << slot;
          next.there = creates;
          reach(next);
        }
      }
      State next = state;
      next.there = !state.there;
      if (std::uint32_t& used = state.there ? next.deletions : next.creations;
          used < (state.there ? deletions_ : creations_)) {
        ++used;
        reach(next);
      }
    }
  }

  const Name& name_;
  std::set<State> states_;
  std::map<std::size_t, std::size_t> open_;  // which will be answered, and their slots
  std::uint32_t open_slots_ = 0;
  std::uint32_t creations_ = 0;  // asked for, without an answer
  std::uint32_t deletions_ = 0;
};

TopicHistory::Request TopicHistory::ask(const std::string& name, Verb verb) {
  Name& known = names_[name];
  known.asked.push_back({.verb = verb});
  known.events.push_back({.index = known.asked.size() - 1, .answered = false});
  return {.name = name, .index = known.asked.size() - 1};
}

void TopicHistory::answer(const Request& request, Outcome outcome) {
  Name& known = names_.at(request.name);
  known.asked.at(request.index).outcome = outcome;
  known.events.push_back({.index = request.index, .answered = true});
}

std::size_t TopicHistory::unknown(const std::string& name) const {
  const auto found = names_.find(name);
  std::size_t count = 0;
  for (const Asked& asked : found == names_.end() ? std::vector<Asked>() : found->second.asked) {
    count += asked.outcome == Outcome::kUnknown ? 1 : 0;
  }
  return count;
}

std::string TopicHistory::judge(const std::function<bool(const std::string& name)>& there_in_the_end) const {
  for (const auto& [text, name] : names_) {
    Search search(name);
    for (const Event& event : name.events) {
      if (!event.answered) {
        search.ask(event.index);
      } else if (!search.answer(event.index)) {
        const Asked& asked = name.asked[event.index];
        return fmt::format("no order of the requests about {} explains that request {} of them, a {}, is {}", text,
                           event.index + 1, asked.verb == Verb::kCreate ? "creation" : "deletion",
                           asked.outcome == Outcome::kDone ? "done" : "refused");
      }
    }
    const bool there = there_in_the_end(text);
    if (!search.may_be(there)) {
      return fmt::format("no order of the requests about {} explains that it is {}there in the end", text,
                         there ? "" : "not ");
    }
  }
  return {};
}

}  // namespace chronik::sim
