// The log sink of the server: one line to standard error, with time and level. Safe from every thread.
#pragma once

#include <memory>

#include "core/base/log_line.h"

namespace spdlog {
class logger;
}

namespace chronik::runtime {

class StderrLog final : public LogSink {
 public:
  StderrLog();
  ~StderrLog() override;
  void write(LogLevel level, std::string_view line) override;

 private:
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace chronik::runtime
