#include "server/version.h"

#include <fmt/core.h>

#include "server/allocator.h"

namespace chronik::server {

const char* version() { return CHRONIK_VERSION; }

std::string version_text() { return fmt::format("chronik {} ({}; {})", version(), CHRONIK_BUILD, allocator_text()); }

}  // namespace chronik::server
