#include "core/log/log_key.h"

#include <fmt/core.h>

namespace chronik::log {

std::string LogKey::to_string() const { return fmt::format("{}-{}", topic.to_string(), partition.value()); }

}  // namespace chronik::log
