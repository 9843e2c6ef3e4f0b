// chronik-server: one broker on this machine.
#include <fmt/core.h>

#include <cstdio>

#include "server/command_line.h"
#include "server/config_file.h"
#include "server/heap.h"
#include "server/serve.h"
#include "server/version.h"

namespace chronik::server {
namespace {

int refuse(std::string_view why) {
  fmt::print(stderr, "chronik-server: {}\n", why);
  return static_cast<int>(ExitStatus::kUsage);
}

int start(const Flags& flags) {
  keep_freed_memory();
  const Variables variables = variables_of_process();
  const std::string file_name = config_file_name(flags, variables);
  StatusOr<std::vector<FileValue>> file = std::vector<FileValue>();
  if (!file_name.empty()) {
    file = read_config_file(file_name);
    if (absl::IsNotFound(file.status())) {
      return refuse(fmt::format("{}: '{}': {}", flags.contains("--config") ? "--config" : "CHRONIK_CONFIG", file_name,
                                message_of(file.status())));
    }
    if (!file.ok()) {
      return refuse(message_of(file.status()));
    }
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
  fmt::print("{}\n", version_text());
  return 0;
}

}  // namespace
}  // namespace chronik::server

int main(int argc, char** argv) { return chronik::server::main_program(argc, argv); }
