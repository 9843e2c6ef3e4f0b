// Runs a broker with its settings until it is told to stop.
#pragma once

#include "core/ports/process.h"
#include "server/settings.h"

namespace chronik::server {

// Says on standard output where it serves, and on standard error what goes wrong.
ExitStatus serve(const Settings& settings);

}  // namespace chronik::server
