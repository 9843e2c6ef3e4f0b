// Where two runs part: of the records that `replay --records` has written, perhaps by programs built otherwise, the
// first that differs (rule S14).
#pragma once

#include <string>

#include "core/base/status.h"

namespace chronik::sim {

struct RecordsDiff {
  bool equal = false;
  std::string text;  // for people
};

// kNotFound: a file that cannot be read. kInvalidArgument: one that holds no records.
StatusOr<RecordsDiff> diff_records(const std::string& one, const std::string& other);

}  // namespace chronik::sim
