#include "sim/trace.h"

#include <fmt/core.h>

namespace chronik::sim {

const char* record_name(Record record) {
  switch (record) {
    case Record::kEvent: return "event";
    case Record::kTurn: return "turn";
    case Record::kCompletion: return "completion";
    case Record::kResume: return "resume";
    case Record::kChoice: return "choice";
    case Record::kOperation: return "operation";
    case Record::kBytesIn: return "bytes-in";
    case Record::kBytesOut: return "bytes-out";
    case Record::kDisk: return "disk";
    case Record::kStore: return "store";
    case Record::kLife: return "life";
    case Record::kFault: return "fault";
    case Record::kClient: return "client";
    case Record::kDraws: return "draws";
  }
  return "unknown";
}

void Trace::write(Record what, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  fmt::print(text_, "{:>9} {} {} {:x} {:x} {:x} = {:016x}\n", records_, now_->to_string(), record_name(what), a, b, c,
             hash_);
}

void Trace::note(std::string_view line) {
  if (wants_text()) {
    fmt::print(text_, "          {} {}\n", now_->to_string(), line);
  }
}

}  // namespace chronik::sim
