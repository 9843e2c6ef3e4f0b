#include "runtime/stderr_log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace chronik::runtime {

namespace {
spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return spdlog::level::trace;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  UNREACHABLE("a log level");
}
}  // namespace

StderrLog::StderrLog()
    : logger_(std::make_unique<spdlog::logger>("chronik", std::make_shared<spdlog::sinks::stderr_color_sink_mt>())) {
  logger_->set_level(spdlog::level::trace);  // LogSink's own level has decided already
  logger_->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
}

StderrLog::~StderrLog() = default;

void StderrLog::write(LogLevel level, std::string_view line) {
  logger_->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace chronik::runtime
