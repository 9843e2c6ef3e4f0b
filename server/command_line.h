// What was typed: a command, and the flags of settings_table() with their values, unchecked.
#pragma once

#include <variant>

#include "server/settings.h"

namespace chronik::server {

struct StartCommand {
  Flags flags;
};
struct VersionCommand {};
struct ClusterStatusCommand {
  Flags flags;
};
// The command line has been answered already (help, or an error that was printed).
struct NoCommand {
  int exit_status = 0;
};

using Command = std::variant<StartCommand, VersionCommand, ClusterStatusCommand, NoCommand>;

Command parse_command_line(int argc, const char* const* argv);

}  // namespace chronik::server
