// chronik-server: one broker on this machine.
#include <fmt/core.h>

#include <cstdio>

#include "inspect/crash.h"
#include "inspect/frames.h"
#include "server/cluster_change.h"
#include "server/cluster_status.h"
#include "server/cluster_waits.h"
#include "server/command_line.h"
#include "server/config_file.h"
#include "server/serve.h"
#include "server/version.h"

namespace chronik::server {
namespace {

int refuse(std::string_view why) {
  fmt::print(stderr, "chronik-server: {}\n", why);
  return static_cast<int>(ExitStatus::kUsage);
}

StatusOr<std::vector<FileValue>> configuration(const Flags& flags, const Variables& variables) {
  const std::string name = config_file_name(flags, variables);
  if (name.empty()) {
    return std::vector<FileValue>();
  }
  StatusOr<std::vector<FileValue>> file = read_config_file(name);
  if (absl::IsNotFound(file.status())) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: '{}': {}", flags.contains("--config") ? "--config" : "CHRONIK_CONFIG", name, message_of(file.status())));
  }
  return file;
}

StatusOr<AdminAccess> admin_access(const Flags& flags) {
  const Variables variables = variables_of_process();
  ASSIGN_OR_RETURN(const std::vector<FileValue> file, configuration(flags, variables));
  const StatusOr<AdminAccess> access = resolve_admin_access(flags, variables, file);
  return access.ok() ? access : absl::InvalidArgumentError("cluster: " + message_of(access.status()));
}

int cluster_status(const Flags& flags) {
  const StatusOr<AdminAccess> access = admin_access(flags);
  return access.ok() ? print_cluster_status(*access) : refuse(message_of(access.status()));
}

int cluster_waits(const Flags& flags) {
  const StatusOr<AdminAccess> access = admin_access(flags);
  return access.ok() ? print_cluster_waits(*access) : refuse(message_of(access.status()));
}

int change_cluster(const ClusterChangeCommand& command) {
  const StatusOr<ClusterChange> change = check_change(command);
  if (!change.ok()) {
    return refuse(message_of(change.status()));
  }
  const StatusOr<AdminAccess> access = admin_access(command.flags);
  return access.ok() ? carry_out_change(*access, *change) : refuse(message_of(access.status()));
}

int start(const Flags& flags) {
  const Variables variables = variables_of_process();
  const StatusOr<std::vector<FileValue>> file = configuration(flags, variables);
  if (!file.ok()) {
    return refuse(message_of(file.status()));
  }
  const StatusOr<Resolved> resolved = resolve_settings(flags, variables, *file);
  if (!resolved.ok()) {
    return refuse(message_of(resolved.status()));
  }
  for (const std::string& warning : resolved->warnings) {
    fmt::print(stderr, "chronik-server: {}\n", warning);
  }
  return static_cast<int>(serve(resolved->settings));
}

int main_program(int argc, const char* const* argv) {
  const Command command = parse_command_line(argc, argv);
  if (const auto* none = std::get_if<NoCommand>(&command)) {
    return none->exit_status;
  }
  if (const auto* started = std::get_if<StartCommand>(&command)) {
    return start(started->flags);
  }
  if (const auto* asked = std::get_if<ClusterStatusCommand>(&command)) {
    return cluster_status(asked->flags);
  }
  if (const auto* hung = std::get_if<ClusterWaitsCommand>(&command)) {
    return cluster_waits(hung->flags);
  }
  if (const auto* change = std::get_if<ClusterChangeCommand>(&command)) {
    return change_cluster(*change);
  }
  fmt::print("{}\n", version_text());
  return 0;
}

}  // namespace
}  // namespace chronik::server

int main(int argc, char** argv) {
  chronik::inspect::initialize_symbols(argv[0]);
  chronik::inspect::say_where_it_crashes();
  return chronik::server::main_program(argc, argv);
}
