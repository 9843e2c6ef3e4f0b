// Named points of core's code: where a simulation counts who passes, and may end the process, hold the fiber up or say
// that something failed. Rare states come about there that no fault from outside brings about in time.
//
// The names are `room.what`, and kPoints holds all of them: a name that it does not list does not compile, and a test
// (tests/architecture/points_test.py) sees that each stands at one place of the code. Where no simulation runs, a point
// costs a call that loads the ambient pointer, and branches that are always predicted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/ambient.h"

namespace chronik {

enum class PointKind : std::uint8_t {
  kPass,   // sim_point(): nothing may be suspended here
  kPause,  // sim_pause(): beside a call that may suspend in any case
  kFail,   // sim_fails(): what follows may be said to have failed; nothing is suspended
};

struct SimPoint {
  std::string_view name;
  PointKind kind;
};

inline constexpr auto kPoints = std::to_array<SimPoint>({
    {"wal.before_flush", PointKind::kPause},
    {"wal.before_sync", PointKind::kPause},
    {"wal.after_sync", PointKind::kPause},
    {"wal.checkpoint_taken", PointKind::kPass},
    {"wal.file_begun", PointKind::kPass},
    {"wal.file_created", PointKind::kPause},
    {"wal.before_fill", PointKind::kPause},
    {"wal.recovery_surveyed", PointKind::kPause},
    {"wal.recovery_replayed", PointKind::kPause},
    {"wal.recovery_committed", PointKind::kPause},
    {"log.before_load", PointKind::kPause},
    {"log.before_drain", PointKind::kPause},
    {"log.before_segment_write", PointKind::kPause},
    {"log.after_segment_write", PointKind::kPause},
    {"log.before_roll", PointKind::kPause},
    {"log.before_segment_sync", PointKind::kPause},
    {"log.after_segment_sync", PointKind::kPause},
    {"log.sync_round_done", PointKind::kPause},
    {"log.before_truncation", PointKind::kPause},
    {"log.truncation_written", PointKind::kPass},
    {"log.before_cut", PointKind::kPause},
    {"log.begun_anew", PointKind::kPause},
    {"log.before_retention", PointKind::kFail},
    {"log.before_unlink", PointKind::kPause},
    {"cleaner.segment_written", PointKind::kPause},
    {"cleaner.merge_written", PointKind::kPause},
    {"cleaner.before_rename", PointKind::kPause},
    {"cleaner.renamed", PointKind::kPause},
    {"cleaner.before_unlink", PointKind::kPause},
    {"cleaner.pass_ended", PointKind::kPass},
    {"log.created", PointKind::kPass},
    {"log.deletion_durable", PointKind::kPause},
    {"raft.before_commit", PointKind::kPause},
    {"raft.after_commit", PointKind::kPause},
    {"raft.before_apply", PointKind::kPass},
    {"raft.snapshot_taken", PointKind::kPass},
    {"raft.before_install", PointKind::kPass},
    {"raft.before_peer_write", PointKind::kPause},
    {"raft.learner_promoted", PointKind::kPass},
    {"cluster.before_publish", PointKind::kPass},
    {"cluster.before_settle", PointKind::kPass},
    {"cluster.before_command", PointKind::kPass},
    {"replication.before_ask", PointKind::kPause},
    {"replication.answer_taken", PointKind::kPause},
    {"replication.before_append", PointKind::kPause},
    {"replication.before_cut", PointKind::kPause},
    {"replication.before_begin_anew", PointKind::kPause},
    {"replication.watermark_raised", PointKind::kPass},
    {"replication.before_isr_change", PointKind::kFail},
    {"replication.isr_changed", PointKind::kPass},
    {"replication.before_discard", PointKind::kPause},
    {"replica.before_read", PointKind::kFail},
    {"replica.news", PointKind::kPause},
    {"produce.before_room", PointKind::kPause},
    {"produce.appended", PointKind::kPass},
    {"fetch.before_read", PointKind::kPause},
    {"fetch.woken", PointKind::kPause},
    {"broker.before_answers", PointKind::kPause},
    {"forward.before_connect", PointKind::kPause},
    {"forward.before_send", PointKind::kFail},
    {"client.before_connect", PointKind::kFail},
    {"node.logs_recovered", PointKind::kPause},
    {"node.before_register", PointKind::kPause},
    {"node.before_serving", PointKind::kPause},
    {"node.loss_reported", PointKind::kPass},
});

// The place of a name in kPoints; kPoints.size() where it is none.
constexpr std::size_t find_point(std::string_view name) {
  std::size_t i = 0;
  while (i < kPoints.size() && kPoints[i].name != name) {
    ++i;
  }
  return i;
}

// What a simulation does at the points, and hears of the answers that clients get.
class PointStrategy {
 public:
  virtual ~PointStrategy() = default;
  // Somebody passes kPoints[point]. Suspends only at one of kPause; true only at one of kFail: it fails.
  virtual bool reached(std::size_t point) = 0;
  // An answer carries an error: the numbers of its API and of the error, as Kafka has them.
  virtual void answered(std::int16_t api, std::int16_t error) = 0;
};

std::size_t no_point_has_this_name_and_kind();  // is nowhere: whoever would call it does not compile

// A name of kPoints, looked up while compiling.
template <PointKind kKind>
class PointName {
 public:
  consteval PointName(const char* name) : index_(find(name)) {}  // a literal stands where a point is wanted
  std::size_t index() const { return index_; }

 private:
  static consteval std::size_t find(std::string_view name) {
    const std::size_t found = find_point(name);
    return found < kPoints.size() && kPoints[found].kind == kKind ? found : no_point_has_this_name_and_kind();
  }
  std::size_t index_;
};

// Null where no simulation runs.
inline PointStrategy* simulated_points() {
  const Ambient* now = ambient();
  return now == nullptr || now->context == nullptr ? nullptr : now->context->points;
}

inline void sim_point(PointName<PointKind::kPass> point) {
  if (PointStrategy* points = simulated_points(); points != nullptr) [[unlikely]] {
    points->reached(point.index());
  }
}

inline void sim_pause(PointName<PointKind::kPause> point) {
  if (PointStrategy* points = simulated_points(); points != nullptr) [[unlikely]] {
    points->reached(point.index());
  }
}

// Whether what follows is to be taken for failed.
[[nodiscard]] inline bool sim_fails(PointName<PointKind::kFail> point) {
  PointStrategy* points = simulated_points();
  return points != nullptr && points->reached(point.index());
}

}  // namespace chronik
