// What a checkpoint keeps of each log (R6, R16), and its encoding. docs/formats/log.md draws it.
//
// Little-endian. A checkpoint's part is a row of states, each with its length in front; a state that a newer version
// wrote longer is refused, never half read. One of the parts begins with a mark, which is no log's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/log/epochs.h"
#include "core/log/log_key.h"
#include "core/log/partition_log.h"
#include "core/log/producer_window.h"

namespace chronik::log {

struct LogState {
  LogKey key;
  std::string topic_name;
  Offset log_start{0};
  Offset log_end{0};
  Offset high_watermark{0};
  // What is in segment files whose data and directories are synced: everything below synced_end, by records up to
  // synced_lsn. The segment `synced_segment` counts up to synced_bytes; segments behind it do not count.
  Offset synced_end{0};
  Lsn synced_lsn{0};
  Offset synced_segment = Offset::none();  // none: no segment yet
  std::uint64_t synced_bytes = 0;
  Offset cleaned_to{0};  // compaction has been over everything below
  std::vector<Epochs::Start> epochs;
  std::vector<DamagedRange> damaged;
  std::vector<std::pair<ProducerId, ProducerState>> producers;
};

void encode_state(const LogState& state, std::string& to);
// Up to which index of the metadata all logs were made (R12).
void encode_mark(LogIndex assigned, std::string& to);

struct StatesOfPart {
  std::vector<LogState> logs;
  LogIndex assigned = LogIndex::none();  // none: this part has no mark
};
// kDataLoss where the bytes are not a part.
StatusOr<StatesOfPart> decode_states(ByteSpan part);

}  // namespace chronik::log
