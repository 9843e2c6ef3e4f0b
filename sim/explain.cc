#include "sim/explain.h"

#include <absl/container/btree_set.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <vector>

#include "core/fiber/wait_report.h"
#include "core/protocol/api_key.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kFaultsSaid = 8;
constexpr std::size_t kStatesSaid = 8;
constexpr std::size_t kProgressSaid = 8;
constexpr std::size_t kSentSaid = 3;
constexpr std::size_t kSubjectsSaid = 16;
constexpr std::size_t kCarriersSaid = 8;
constexpr Duration kAround = Duration::seconds(2);  // before what failed began

std::string time_text(VirtualTime at) {
  return fmt::format("{}.{:06} s", at.nanoseconds() / 1'000'000'000, at.nanoseconds() % 1'000'000'000 / 1'000);
}

std::string span_text(Duration span) {
  return span < Duration::milliseconds(10) ? fmt::format("{} us", span.microseconds())
                                           : fmt::format("{} ms", span.milliseconds());
}

bool of_a_name(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// As a word of its own: "value 12" is not in "value 123".
bool says(std::string_view text, std::string_view words) {
  for (std::size_t at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1)) {
    const std::size_t behind = at + words.size();
    if ((at == 0 || !of_a_name(text[at - 1])) && (behind == text.size() || !of_a_name(text[behind]))) {
      return true;
    }
  }
  return false;
}

template <typename Each>
bool any_part(std::string_view text, char separator, Each each) {
  for (;;) {
    const std::size_t end = text.find(separator);
    if (each(text.substr(0, end))) {
      return true;
    }
    if (end == std::string_view::npos) {
      return false;
    }
    text.remove_prefix(end + 1);
  }
}

bool is_about(const StoryEvent& event, std::string_view finding) {
  return !event.about.empty() && any_part(event.about, '|', [finding](std::string_view way) {
    return !any_part(way, '&', [finding](std::string_view words) { return !says(finding, words); });
  });
}

// Of the deadlocked those that wait for themselves, by way of each other; the rest waits for one of them. Scopes do not
// count: who joins one only waits for the others to end.
std::vector<std::size_t> on_cycles(const StoryWaits& waits) {
  const auto next_of = [&waits](std::size_t i, std::vector<std::size_t>& into) {
    for (std::size_t k = 0; k < waits.waits[i].keys.size(); ++k) {
      if (waits.waits[i].keys[k].kind != WaitKind::kScope) {
        into.insert(into.end(), waits.providers[i][k].begin(), waits.providers[i][k].end());
      }
    }
  };
  std::vector<std::size_t> found;
  for (const std::size_t i : waits.deadlocked) {
    std::vector<bool> seen(waits.waits.size());
    std::vector<std::size_t> left;
    next_of(i, left);
    while (!left.empty()) {
      const std::size_t at = left.back();
      left.pop_back();
      if (!seen[at]) {
        seen[at] = true;
        next_of(at, left);
      }
    }
    if (seen[i]) {
      found.push_back(i);
    }
  }
  return found.empty() ? waits.deadlocked : found;
}

class Explanation {
 public:
  Explanation(const Story& story, const StoryRun& run) : story_(story), run_(run), events_(story.events()) {
    const auto found = std::find_if(events_.begin(), events_.end(),
                                    [](const StoryEvent& event) { return event.kind == StoryKind::kFinding; });
    finding_ = found == events_.end() ? nullptr : &*found;
    stuck_ = on_cycles(story.waits());
  }

  std::string text() {
    if (finding_ == nullptr) {
      return nothing_wrong();
    }
    // What stands behind the first line (a graph, stacks) names everybody.
    said_ = run_.result.findings.front().message;
    first_line_ = said_.substr(0, said_.find('\n'));
    std::string text = fmt::format("Seed {} of {} ({}) fails at {} of virtual time.", run_.plan.seed,
                                   run_.scenario.name(), run_.scenario.description(), time_text(finding_->at));
    choose_subjects();
    choose_states(begin_of_subjects());
    if (chosen_.empty() && story_.waits().deadlocked.empty()) {
      choose_neighbours();
    }
    choose_faults(begin_of_subjects());
    text += tell_chosen();
    text += tell_deadlock();
    text += fmt::format(" Then {} says: {}.", run_.result.findings.front().checker, first_line_);
    return text;
  }

 private:
  std::string nothing_wrong() const {
    std::string text = fmt::format("Seed {} of {} ({}): nothing is wrong, up to {} of virtual time.", run_.plan.seed,
                                   run_.scenario.name(), run_.scenario.description(), time_text(story_.ended()));
    if (!run_.result.faults.empty()) {
      text += " What struck:";
      const char* separator = " ";
      for (const auto& [kind, count] : run_.result.faults) {
        text += fmt::format("{}{} ({})", separator, kind, count);
        separator = ", ";
      }
      text += '.';
    }
    return text;
  }

  std::string name_of(std::int32_t machine) const {
    return machine < 0 ? "the world" : story_.machines().at(static_cast<std::size_t>(machine)).name;
  }

  bool is_deadlocked(const StoryEvent& event) const {
    const StoryWaits& waits = story_.waits();
    return !event.fiber.empty() && event.machine >= 0 && std::any_of(stuck_.begin(), stuck_.end(), [&](std::size_t i) {
      return waits.waits[i].path == event.fiber && waits.waits[i].place.starts_with(name_of(event.machine) + "#");
    });
  }

  // The steps of the record or request itself.
  void choose_subjects() {
    std::vector<const StoryEvent*> subjects;
    std::string_view mark;
    for (const StoryEvent& event : events_) {
      if (event.at > finding_->at) {
        break;
      }
      if (event.kind == StoryKind::kOperation && (is_deadlocked(event) || is_about(event, first_line_))) {
        subjects.push_back(&event);
        mark = event.mark;
      }
    }
    keep_ends(subjects, kSubjectsSaid);
    if (!mark.empty()) {
      choose_carriers(mark);
    }
  }

  // The messages that had it on board.
  void choose_carriers(std::string_view mark) {
    std::vector<const StoryEvent*> carriers;
    absl::btree_set<StoryId> requests;
    for (const StoryEvent& event : events_) {
      const bool carries = event.frame.find(mark) != std::string::npos;
      const bool produce = event.api == protocol::ApiKey::kProduce && event.version >= 0;
      if (carries && produce) {
        requests.insert(event.id);
      }
      if ((carries && (event.kind == StoryKind::kPeer || produce)) ||
          (event.answers != 0 && requests.contains(event.answers))) {
        carriers.push_back(&event);
      }
    }
    keep_ends(carriers, kCarriersSaid);
  }

  template <typename Iterator>
  void choose(Iterator from, Iterator to) {
    for (; from != to; ++from) {
      chosen_.insert(static_cast<std::size_t>(*from - events_.data()));
    }
  }

  void keep_ends(const std::vector<const StoryEvent*>& from, std::size_t most) {
    const std::size_t first = from.size() <= most ? from.size() : most / 2;
    choose(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(first));
    if (first < from.size()) {
      choose(from.end() - static_cast<std::ptrdiff_t>(most - first), from.end());
    }
  }

  // Where nothing names what failed: what the machines that the finding names did last.
  void choose_neighbours() {
    std::vector<const StoryEvent*> last;
    for (const StoryEvent& event : events_) {
      if ((event.kind == StoryKind::kOperation || event.kind == StoryKind::kLife || event.kind == StoryKind::kLog) &&
          event.machine >= 0 && says(first_line_, name_of(event.machine)) && event.at <= finding_->at) {
        last.push_back(&event);
      }
    }
    choose(last.size() <= kStatesSaid ? last.begin() : last.end() - kStatesSaid, last.end());
  }

  VirtualTime begin_of_subjects() const {
    VirtualTime began = finding_->at;
    for (const std::size_t i : chosen_) {
      began = std::min(began, events_[i].at);
    }
    return VirtualTime::from_nanoseconds(std::max<std::int64_t>(0, began.nanoseconds() - kAround.nanoseconds()));
  }

  void choose_states(VirtualTime from) {
    const bool of_a_record = !chosen_.empty();
    std::vector<const StoryEvent*> states;
    for (const StoryEvent& event : events_) {
      if (event.kind == StoryKind::kState && event.at <= finding_->at && is_about(event, first_line_) &&
          (event.at >= from || !of_a_record)) {
        states.push_back(&event);
      }
    }
    choose(states.size() <= kStatesSaid ? states.begin() : states.end() - kStatesSaid, states.end());
    if (!of_a_record) {
      choose_progress();
    }
  }

  // What was appended, durable and committed last; and which clients had sent it.
  void choose_progress() {
    std::vector<const StoryEvent*> progress;
    std::vector<const StoryEvent*> sent;
    std::string partition;
    for (const StoryEvent& event : events_) {
      if (event.at > finding_->at) {
        break;
      }
      if (event.kind == StoryKind::kProgress && is_about(event, first_line_)) {
        progress.push_back(&event);
        partition = event.about.substr(event.about.rfind('|') + 1);
      }
    }
    choose(progress.end() - static_cast<std::ptrdiff_t>(std::min(progress.size(), kProgressSaid)), progress.end());
    for (const StoryEvent& event : events_) {
      const bool before = event.kind == StoryKind::kOperation && event.at <= finding_->at;
      if (before && !partition.empty() && says(event.text, partition)) {
        sent.push_back(&event);
      }
    }
    choose(sent.end() - static_cast<std::ptrdiff_t>(std::min(sent.size(), kSentSaid)), sent.end());
  }

  void choose_faults(VirtualTime from) {
    std::vector<const StoryEvent*> struck;
    for (const StoryEvent& event : events_) {
      const bool of_interest = event.kind == StoryKind::kFault || event.kind == StoryKind::kLife;
      if (of_interest && event.at <= finding_->at && event.until >= from && !is_first_start(event) && !doubles(event)) {
        struck.push_back(&event);
      }
    }
    const std::size_t said = std::min(struck.size(), kFaultsSaid);
    unsaid_faults_ = struck.size() - said;
    choose(struck.end() - static_cast<std::ptrdiff_t>(said), struck.end());
  }

  static bool is_first_start(const StoryEvent& event) { return event.text == "starts, incarnation 1"; }

  // The end of a process by a fault that is told of already; or its suspension.
  bool doubles(const StoryEvent& event) const {
    return event.kind == StoryKind::kLife && !event.text.starts_with("starts") &&
           std::any_of(events_.begin(), events_.end(), [&event](const StoryEvent& other) {
             return other.kind == StoryKind::kFault && other.machine == event.machine && other.at == event.at;
           });
  }

  static bool is_message(const StoryEvent& event) {
    return event.kind == StoryKind::kRequest || event.kind == StoryKind::kPeer;
  }

  std::string tell_event(const StoryEvent& event) const {
    if (event.kind == StoryKind::kFault && event.machine < 0) {
      return fmt::format("a fault strikes: {}", event.text);
    }
    const std::string who = name_of(event.machine);
    if (!is_message(event)) {
      const bool heals = event.kind == StoryKind::kState && event.machine < 0;
      return heals ? event.text : fmt::format("{} {}", who, event.text);
    }
    std::string text =
        fmt::format("{} {} {} to {}", who, event.answer ? "sends the answer" : "sends", event.text, name_of(event.to));
    switch (event.end) {
      case StoryEnd::kDone: return text + fmt::format(" (there {} later)", span_text(event.until - event.at));
      case StoryEnd::kUnderWay: return text + " (still under way in the end)";
      default: return text + fmt::format(" (lost: {})", event.detail.substr(0, event.detail.find('\n')));
    }
  }

  std::string tell_chosen() const {
    std::string text;
    const StoryEvent* last = nullptr;
    for (const std::size_t i : chosen_) {
      const StoryEvent& event = events_[i];
      if (last != nullptr && last->at == event.at) {
        text += last->machine == event.machine && !is_message(event) ? fmt::format(", {}", event.text)
                                                                     : fmt::format("; {}", tell_event(event));
      } else {
        text += fmt::format("{} At {} {}", last == nullptr ? "" : ".", time_text(event.at), tell_event(event));
      }
      last = &event;
    }
    text += text.empty() ? "" : ".";
    if (unsaid_faults_ > 0) {
      text += fmt::format(" {} other faults and restarts before these are not told of.", unsaid_faults_);
    }
    return text;
  }

  std::string tell_deadlock() const {
    const StoryWaits& waits = story_.waits();
    std::string text;
    for (const std::size_t i : stuck_) {
      const fiber::FiberWait& wait = waits.waits[i];
      for (std::size_t k = 0; k < wait.keys.size(); ++k) {
        if (wait.keys[k].kind == WaitKind::kScope || waits.providers[i][k].empty()) {
          continue;
        }
        const fiber::FiberWait& other = waits.waits[waits.providers[i][k].front()];
        text +=
            fmt::format("{}fiber {} of {} waits for {}, which fiber {}{} has", text.empty() ? " Now " : ", and ",
                        wait.path, wait.place, k == 0 ? fiber::describe_wait(wait) : fiber::describe_key(wait.keys[k]),
                        other.path, other.place == wait.place ? "" : " of " + other.place);
      }
    }
    if (text.empty()) {
      return text;
    }
    const std::size_t others = waits.deadlocked.size() - stuck_.size();
    return text + ": none of them can go on" +
           (others == 0 ? "."
                        : fmt::format(", nor can {} other fiber{} that wait{} for them.", others,
                                      others == 1 ? "" : "s", others == 1 ? "s" : ""));
  }

  const Story& story_;
  const StoryRun& run_;
  std::vector<StoryEvent> events_;
  const StoryEvent* finding_ = nullptr;
  std::string said_;
  std::string first_line_;
  absl::btree_set<std::size_t> chosen_;  // places in events_
  std::vector<std::size_t> stuck_;       // places in the waits
  std::size_t unsaid_faults_ = 0;
};

}  // namespace

std::string explain(const Story& story, const StoryRun& run) { return Explanation(story, run).text(); }

std::string wrap_text(const std::string& text, std::size_t columns) {
  std::string wrapped;
  std::size_t column = 0;
  any_part(text, ' ', [&](std::string_view word) {
    if (column != 0 && column + 1 + word.size() > columns) {
      wrapped += '\n';
      column = 0;
    }
    wrapped += column == 0 ? "" : " ";
    wrapped += word;
    column += word.size() + (column == 0 ? 0 : 1);
    return false;
  });
  return wrapped + "\n";
}

}  // namespace chronik::sim
