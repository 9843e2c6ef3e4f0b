// What was typed: a command, and the flags of settings_table() with their values, unchecked.
#pragma once

#include <string>
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
struct ClusterWaitsCommand {
  Flags flags;
};
// What is asked of a cluster; words as they were typed.
struct ClusterChangeCommand {
  enum class Kind { kAddNode, kRemoveNode, kRebalance } kind = Kind::kRebalance;
  Flags flags;
  std::string id = {};
  std::string kafka = {};
  std::string wal = {};  // empty: not given
  std::string raft = {};
  bool force = false;
};
// The command line has been answered already (help, or an error that was printed).
struct NoCommand {
  int exit_status = 0;
};

using Command = std::variant<StartCommand, VersionCommand, ClusterStatusCommand, ClusterWaitsCommand,
                             ClusterChangeCommand, NoCommand>;

Command parse_command_line(int argc, const char* const* argv);

}  // namespace chronik::server
