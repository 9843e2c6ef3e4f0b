#include "sim/scenarios/jepsen_analysis.h"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace chronik::sim::jepsen {

namespace {

constexpr std::string_view kNames[] = {kLostWrite,   kInconsistentOffsets, kDuplicate,           kAbortedRead,
                                       kNeverSent,   kNonmonotonicPoll,    kIntNonmonotonicPoll, kPollSkip,
                                       kIntPollSkip, kNonmonotonicSend,    kIntNonmonotonicSend, kUnseen};
constexpr std::size_t kShownOfEach = 3;

// All that the history tells of one key.
struct KeyLog {
  absl::btree_map<std::int64_t, absl::btree_set<Value>> at;  // an offset
  absl::btree_map<Value, absl::btree_set<std::int64_t>> of;  // a value
  absl::btree_map<Value, std::int64_t> acknowledged;         // at which offset
  absl::btree_set<Value> sent;
  absl::btree_set<Value> failed;
  absl::btree_set<Value> polled;
  std::int64_t highest_polled = -1;
  std::vector<std::int64_t> offsets = {};  // those of `at`

  void note(std::int64_t offset, Value value) {
    at[offset].insert(value);
    of[value].insert(offset);
  }
  // The place of an offset among those that are there.
  std::int64_t rank(std::int64_t offset) const {
    return std::lower_bound(offsets.begin(), offsets.end(), offset) - offsets.begin();
  }
};

template <typename Set>
std::string listed(const Set& numbers) {
  return fmt::format("{}", fmt::join(numbers, ", "));
}

class Analyst {
 public:
  explicit Analyst(const History& history) : history_(history) {}

  std::vector<Anomaly> run() {
    collect();
    for (const auto& [key, log] : logs_) {
      judge_offsets(key, log);
      judge_values(key, log);
    }
    for (const Operation& operation : history_) {
      if (operation.type != Type::kInvoke) {
        judge_order(operation);
      }
    }
    std::stable_sort(found_.begin(), found_.end(), [](const Anomaly& a, const Anomaly& b) {
      return std::find(std::begin(kNames), std::end(kNames), a.name) <
             std::find(std::begin(kNames), std::end(kNames), b.name);
    });
    return std::move(found_);
  }

 private:
  void add(std::string_view name, const std::string& what) {
    found_.push_back({.name = name, .says = fmt::format("{}: {}", name, what)});
  }

  void collect() {
    for (const Operation& operation : history_) {
      for (const MicroOp& op : operation.micro) {
        if (op.sends) {
          collect_send(operation, op);
          continue;
        }
        for (const auto& [key, pairs] : op.polled) {
          KeyLog& log = logs_[key];
          for (const auto& [offset, value] : pairs) {
            log.note(offset, value);
            log.polled.insert(value);
            log.highest_polled = std::max(log.highest_polled, offset);
          }
        }
      }
    }
    for (auto& [key, log] : logs_) {
      for (const auto& [offset, values] : log.at) {
        log.offsets.push_back(offset);
      }
    }
  }

  void collect_send(const Operation& operation, const MicroOp& op) {
    KeyLog& log = logs_[op.key];
    log.sent.insert(op.value);
    if (operation.type == Type::kFail) {
      log.failed.insert(op.value);
    } else if (op.done) {
      log.note(op.offset, op.value);
      log.acknowledged.emplace(op.value, op.offset);
    }
  }

  // ---- each key by itself ----

  void judge_offsets(Key key, const KeyLog& log) {
    for (const auto& [offset, values] : log.at) {
      if (values.size() > 1) {
        add(kInconsistentOffsets, fmt::format("key {} offset {} holds the values {}", key, offset, listed(values)));
      }
    }
    for (const auto& [value, offsets] : log.of) {
      if (offsets.size() > 1) {
        add(kDuplicate, fmt::format("key {} value {} is at the offsets {}", key, value, listed(offsets)));
      }
    }
  }

  void judge_values(Key key, const KeyLog& log) {
    for (const auto& [value, offset] : log.acknowledged) {
      if (log.polled.contains(value)) {
        continue;
      }
      add(kUnseen, fmt::format("key {} value {} was acknowledged at offset {} and never polled", key, value, offset));
      if (offset <= log.highest_polled) {
        add(kLostWrite, fmt::format("key {} value {} was acknowledged at offset {} and never polled; what is polled "
                                    "goes up to offset {}",
                                    key, value, offset, log.highest_polled));
      }
    }
    for (const Value value : log.polled) {
      if (log.failed.contains(value)) {
        add(kAbortedRead, fmt::format("key {} value {} was polled, and its send has failed", key, value));
      } else if (!log.sent.contains(value)) {
        add(kNeverSent, fmt::format("key {} value {} was polled, and nobody sent it there", key, value));
      }
    }
  }

  // ---- one operation behind the other ----

  void judge_order(const Operation& operation) {
    auto& polled = last_polled_[operation.process];
    if (operation.verb == Verb::kAssign) {
      if (operation.type == Type::kOk) {
        absl::erase_if(polled, [&](const auto& last) {
          return operation.from_the_start ||
                 std::find(operation.keys.begin(), operation.keys.end(), last.first) == operation.keys.end();
        });
      }
      return;
    }
    if (operation.verb == Verb::kSubscribe) {
      polled.clear();  // it goes on from what its group has committed
      return;
    }
    absl::btree_map<Key, std::int64_t> now = polled;  // offsets
    absl::btree_set<Key> polled_here;
    absl::btree_set<Key> sent_here;
    for (const MicroOp& op : operation.micro) {
      if (op.sends && judge_send(operation.process, op, sent_here.contains(op.key))) {
        sent_here.insert(op.key);
      }
      if (op.rebalanced) {
        polled.clear();
        now.clear();
        polled_here.clear();
      }
      for (const auto& [key, pairs] : op.polled) {
        for (const auto& [offset, value] : pairs) {
          const auto last = now.find(key);
          if (last != now.end()) {
            judge_poll(operation.process, key, last->second, offset, polled_here.contains(key));
          }
          now[key] = offset;
          polled_here.insert(key);
        }
      }
    }
    if (operation.type == Type::kOk) {
      polled = std::move(now);
    }
  }

  void judge_poll(std::int64_t process, Key key, std::int64_t before, std::int64_t offset, bool within) {
    const KeyLog& log = logs_.at(key);
    const std::int64_t step = log.rank(offset) - log.rank(before);
    const std::string then = fmt::format("key {}: process {} polled offset {}, then {}", key, process, before, offset);
    if (step < 1) {
      add(within ? kIntNonmonotonicPoll : kNonmonotonicPoll, then);
    } else if (step > 1) {
      const std::int64_t skipped = log.offsets[static_cast<std::size_t>(log.rank(before)) + 1];
      add(within ? kIntPollSkip : kPollSkip,
          fmt::format("{}, and offset {} is there, value {}", then, skipped, listed(log.at.at(skipped))));
    }
  }

  // within: the one before was of the same operation. False: nobody knows where it is.
  bool judge_send(std::int64_t process, const MicroOp& op, bool within) {
    const KeyLog& log = logs_.at(op.key);
    const auto places = log.of.find(op.value);
    if (!op.done && (places == log.of.end() || places->second.size() != 1)) {
      return false;
    }
    const std::int64_t offset = op.done ? op.offset : *places->second.begin();
    const auto [last, first] = last_sent_.try_emplace({process, op.key}, offset);
    if (!first && offset <= last->second) {
      add(within ? kIntNonmonotonicSend : kNonmonotonicSend,
          fmt::format("key {}: what process {} sent next to offset {} is at offset {} (value {})", op.key, process,
                      last->second, offset, op.value));
    }
    last->second = offset;
    return true;
  }

  const History& history_;
  absl::btree_map<Key, KeyLog> logs_;
  absl::btree_map<std::int64_t, absl::btree_map<Key, std::int64_t>> last_polled_;  // offsets by process and key
  absl::btree_map<std::pair<std::int64_t, Key>, std::int64_t> last_sent_;          // the same
  std::vector<Anomaly> found_;
};

}  // namespace

std::vector<Anomaly> analyze(const History& history) { return Analyst(history).run(); }

std::string report_of(const std::vector<Anomaly>& anomalies) {
  std::string text = anomalies.front().says + "\n  in all:";
  std::string examples;
  for (const std::string_view name : kNames) {
    std::size_t count = 0;
    for (const Anomaly& anomaly : anomalies) {
      if (anomaly.name == name && ++count <= kShownOfEach) {
        examples += "\n  " + anomaly.says;
      }
    }
    if (count > 0) {
      text += fmt::format(" {} {};", count, name);
    }
  }
  return text + examples;
}

}  // namespace chronik::sim::jepsen
