// What a flush did to the logs: where each of them ends behind it. The next flush begins with it, so that damage to a
// record takes no offsets with it, even where nothing comes behind it in its log (rule R3).
//
// It lies in other blocks than what it speaks of, and is there exactly when it is needed: a bad record is damaged, and
// not torn, because there is a later flush. docs/formats/wal.md draws its payload.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/wal/record.h"

namespace chronik::wal {

inline constexpr std::size_t kSummaryEntryBytes = 28;

class FlushSummary {
 public:
  // The log's last record so far in this flush leaves it ending at `end`; none: there is no such log any more.
  void note(const LogKey& key, Offset end) {
    if (!ends_.empty() && ends_.back().key == key) {
      ends_.back().end = end;
    } else {
      ends_.push_back({key, end});
    }
  }
  void clear() { ends_.clear(); }
  // At most so many bytes will take() give.
  std::size_t bytes_max() const { return ends_.size() * kSummaryEntryBytes; }
  // One entry for each log that is still there, and forgets them. Empty: there is nothing to say.
  Slice take();

 private:
  struct LogEnd {
    LogKey key;
    Offset end;
  };
  std::vector<LogEnd> ends_;  // in the order of their records
};

// Gives `look` each entry. False where the bytes are not a summary.
bool read_flush_summary(ByteSpan payload, absl::FunctionRef<void(const LogKey& key, Offset end)> look);

}  // namespace chronik::wal
