// What of a StoredLog is damaged, and to have it cut off (R18).
#include <algorithm>

#include "core/base/log_line.h"
#include "core/base/observer.h"
#include "core/log/stored_log.h"

namespace chronik::log {

const DamagedRange* StoredLog::damage_at(Offset offset) const {
  const auto found = std::find_if(damaged_.begin(), damaged_.end(), [offset](const DamagedRange& range) {
    return range.from <= offset && offset < range.to;
  });
  return found == damaged_.end() ? nullptr : &*found;
}

void StoredLog::note_damage(Offset from, Offset to) {
  from = std::max(from, log_start_);
  const auto covers = [&](const DamagedRange& range) { return range.from <= from && to <= range.to; };
  if (from >= to || std::any_of(damaged_.begin(), damaged_.end(), covers)) {
    return;
  }
  if (!host_.replaying()) {
    report_damage(from, to);
  }
  // Ranges that touch are one, so that there are never more of them than damaged places.
  DamagedRange joined{from, to};
  std::erase_if(damaged_, [&](const DamagedRange& range) {
    const bool touches = range.from <= to && from <= range.to;
    if (touches) {
      joined = {std::min(joined.from, range.from), std::max(joined.to, range.to)};
    }
    return touches;
  });
  const auto behind = std::find_if(damaged_.begin(), damaged_.end(),
                                   [&](const DamagedRange& range) { return joined.from < range.from; });
  damaged_.insert(behind, joined);
  host_.on_damage_news();
  if (listener_ != nullptr && !host_.replaying()) {
    listener_->on_damage();
  }
}

void StoredLog::report_damage(Offset from, Offset to) const {
  const bool in_segment = !segments_.empty() && from < written_end_;
  log_error("log damaged: offsets answer an error", field("topic", topic_name_), field("partition", key_.partition),
            field("from", from), field("to", to),
            field("file", in_segment ? segments_[segment_holding(from)]->path(".log") : std::string("wal/")));
  if (Observer* o = observer()) {
    o->on_damage({key_.topic, key_.partition}, from, to);
  }
}

void StoredLog::keep_damage(Offset from, Offset to) {
  if (damaged_.empty()) {
    return;
  }
  for (DamagedRange& range : damaged_) {
    range = {std::max(range.from, from), std::min(range.to, to)};
  }
  std::erase_if(damaged_, [](const DamagedRange& range) { return range.from >= range.to; });
  host_.on_damage_news();
}

Offset StoredLog::sound_end() const {
  const Offset damaged = damaged_.front().from;
  Offset to = damaged;
  if (damaged < written_end_ && !segments_.empty() && damaged >= segments_.front()->base()) {
    to = segments_[segment_holding(damaged)]->base();
  }
  // The batch that holds the log's start may begin before it: there is no other place to begin again.
  return to <= log_start_ ? Offset(0) : to;
}

StatusOr<Offset> StoredLog::discard_damage(absl::FunctionRef<bool(Offset to)> still, const Deadline& deadline) {
  if (!opened_ && !damaged_.empty() && damaged_.front().from < written_end_) {
    RETURN_IF_ERROR(open(deadline));
  }
  if (damaged_.empty()) {
    return absl::NotFoundError("nothing is damaged");
  }
  const Offset to = sound_end();
  RETURN_IF_ERROR(cut(
      to, [&] { return !damaged_.empty() && sound_end() == to && still(to); }, deadline));
  return to;
}

}  // namespace chronik::log
