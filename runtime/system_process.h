// Process on the operating system.
#pragma once

#include "core/ports/process.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

class SystemProcess final : public Process {
 public:
  explicit SystemProcess(SystemCalls& calls) : calls_(calls) {}
  [[noreturn]] void fatal(ExitStatus status, std::string_view reason) override;

 private:
  SystemCalls& calls_;
};

}  // namespace chronik::runtime
