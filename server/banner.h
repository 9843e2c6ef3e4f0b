// What a broker says about itself when it starts: a few lines.
#pragma once

#include <string>

#include "core/log/log_manager.h"
#include "server/settings.h"

namespace chronik::server {

struct BannerFacts {
  const Settings& settings;
  std::string listening;
  std::string advertised;
  std::string http;   // empty: there is none
  std::string admin;  // the same
  log::RecoverySummary recovery;
  Duration took;  // from the start of the process to its readiness
};

std::string banner(const BannerFacts& facts);

// "12.3 MB".
std::string readable_bytes(std::uint64_t bytes);

}  // namespace chronik::server
