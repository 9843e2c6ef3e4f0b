// A key-value store in memory, for tests of what uses one: it takes time, fails on request, and remembers every state
// that a crash may leave. And a process whose end is only noted.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/fiber/scheduler.h"
#include "core/fiber/wait.h"
#include "core/ports/key_value_store.h"
#include "core/ports/process.h"

namespace chronik::testing {

class MemoryStore final : public KeyValueStore {
 public:
  using Contents = std::map<std::string, std::string>;

  MemoryStore() = default;
  // As a crash left it.
  explicit MemoryStore(Contents contents) : contents_(std::move(contents)) {}

  Duration commit_time = Duration::milliseconds(1);
  std::function<void()> before_commit;  // called when a commit is about to become durable
  std::deque<Status> failures;          // of the next commits; an ok one lets its commit pass

  StatusOr<std::optional<std::string>> get(std::string_view key, const Deadline&) override {
    const auto found = contents_.find(std::string(key));
    return found == contents_.end() ? std::nullopt : std::optional<std::string>(found->second);
  }

  Status commit(StoreBatch batch, bool durable, const Deadline& deadline) override {
    CHECK(durable);
    CHECK_EQ(commits_in_flight_, 0);  // what is tested here never has two
    ++commits_in_flight_;
    const MonotonicTime end = fiber::Scheduler::current().now() + commit_time;
    fiber::Event nothing;
    Status waited =
        nothing.wait({WaitKind::kStore, history.size(), 0, 0}, deadline.no_later_than(end, Expiry::kNormal));
    --commits_in_flight_;
    if (!absl::IsDeadlineExceeded(waited)) {
      return waited;
    }
    if (deadline.at() < end) {
      return absl::UnknownError("overdue");
    }
    if (!failures.empty()) {
      const Status failure = std::exchange(failures.front(), ok());
      failures.pop_front();
      RETURN_IF_ERROR(failure);
    }
    if (before_commit) {
      before_commit();
    }
    put(batch);
    history.push_back(contents_);
    return ok();
  }

  StatusOr<std::unique_ptr<StoreSnapshot>> snapshot(const Deadline&) override {
    return std::make_unique<Frozen>(contents_);
  }

  const Contents& contents() const { return contents_; }
  Contents& mutable_contents() { return contents_; }

  std::vector<Contents> history;  // after each commit

 private:
  class Frozen final : public StoreSnapshot {
   public:
    explicit Frozen(Contents contents) : contents_(std::move(contents)) {}
    StatusOr<std::vector<StoreEntry>> scan(std::string_view from, std::string_view to, std::size_t limit,
                                           const Deadline&) override {
      std::vector<StoreEntry> found;
      const auto end = contents_.lower_bound(std::string(to));
      for (auto at = contents_.lower_bound(std::string(from)); at != end && found.size() < limit; ++at) {
        found.emplace_back(*at);
      }
      return found;
    }

   private:
    Contents contents_;
  };

  void put(const StoreBatch& batch) {
    for (const StoreBatch::Change& change : batch.changes) {
      if (change.put.has_value()) {
        contents_[change.put->key] = change.put->value;
      } else {
        contents_.erase(contents_.lower_bound(change.erase->from), contents_.lower_bound(change.erase->to));
      }
    }
  }

  Contents contents_;
  int commits_in_flight_ = 0;
};

class NotedProcess final : public Process {
 public:
  std::vector<ExitStatus> ends;
  std::string reason;

  [[noreturn]] void fatal(ExitStatus status, std::string_view why) override {
    ends.push_back(status);
    reason = why;
    for (;;) {  // until the test's world kills the fiber
      fiber::Event nothing;
      CancelSource never;
      const Status ended =
          nothing.wait({WaitKind::kEvent, 0, 0, 0}, Deadline(MonotonicTime::never(), Expiry::kNormal, never));
      CHECK(!ended.ok());
    }
  }
};

}  // namespace chronik::testing
