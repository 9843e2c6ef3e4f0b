#include "server/command_line.h"

#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "core/ports/process.h"
#include "server/setting_names.h"
#include "server/version.h"

namespace chronik::server {

namespace {

constexpr const char* kPrecedence =
    "A flag overrides a variable, a variable overrides the configuration file.\ndocs/OPERATIONS.md lists the rest.";
constexpr int kUsage = static_cast<int>(ExitStatus::kUsage);

// The flags of the predecessor's old form, all of them optional.
struct OldForm {
  std::optional<std::string> port;
  std::optional<std::string> host;
  std::optional<std::string> advertised_host;
  std::optional<std::string> advertised_port;
};

constexpr std::size_t kNameColumns = 30;  // of the help's first column, as the command line library has it
constexpr std::size_t kHelpColumns = 100;

// In lines that fit beside the names.
std::string wrapped(std::string_view text) {
  std::string lines;
  std::size_t columns = 0;
  for (const absl::string_view word : absl::StrSplit(absl::string_view(text.data(), text.size()), ' ')) {
    const bool fits = columns + 1 + word.size() <= kHelpColumns - kNameColumns;
    lines += columns == 0 ? "" : fits ? " " : "\n";
    columns = columns > 0 && fits ? columns + 1 + word.size() : word.size();
    lines.append(word.data(), word.size());
  }
  return lines;
}

std::string help_of(const Setting& setting) {
  std::string text(setting.help);
  if (!setting.default_text.empty()) {
    text += fmt::format(" [{}]", setting.default_text);
  }
  return wrapped(setting.flags.empty() ? text : text + fmt::format(" (${})", setting.variable));
}

std::string help_row(const std::string& names, const Setting& setting) {
  const std::string second_column = "\n" + std::string(kNameColumns, ' ');
  std::string row = fmt::format("  {:<{}}", names, kNameColumns - 2);
  if (2 + names.size() >= kNameColumns) {
    row = "  " + names + second_column;
  }
  return row + absl::StrReplaceAll(help_of(setting), {{"\n", second_column}}) + "\n";
}

// What `start --help` does not list as its own flags: those of the program, and settings that have none.
std::string settings_without_own_flag() {
  std::string before;
  std::string without;
  for (const Setting& setting : settings_table()) {
    if (setting.before_command) {
      before += help_row(fmt::format("{} TEXT", setting.flags), setting);
    } else if (setting.flags.empty()) {
      const std::string_view comma = setting.variable.empty() || setting.key.empty() ? "" : ", ";
      without += help_row(fmt::format("{}{}{}", setting.variable, comma, setting.key), setting);
    }
  }
  return fmt::format(
      "Before or after the command:\n{}\nVariables and keys (of the configuration file) without a flag:\n{}\n{}",
      before, without, kPrecedence);
}

class Parser {
 public:
  Parser();
  Command parse(int argc, const char* const* argv);

 private:
  // The old form's flags as those of start.
  Status translate_old_form();
  Command answer(const CLI::ParseError& error) const;

  CLI::App app_{"Chronik: a replicated log that speaks the Kafka protocol", "chronik-server"};
  CLI::App* start_ = app_.add_subcommand("start", "Start a broker");
  CLI::App* standalone_ = app_.add_subcommand("standalone", "Start a broker, with the flags of the old form");
  CLI::App* version_ = app_.add_subcommand("version", "Print version and build");
  CLI::App* cluster_ = app_.add_subcommand("cluster", "Inspect a cluster, or add and remove nodes");
  CLI::App* cluster_status_ = cluster_->add_subcommand("status", "Show the cluster's health and each node's state");
  CLI::App* cluster_waits_ = cluster_->add_subcommand("waits", "Show what every fiber waits for, across all nodes");
  CLI::App* add_node_ = cluster_->add_subcommand("add-node", "Add a node (already started on an empty data directory)");
  CLI::App* remove_node_ =
      cluster_->add_subcommand("remove-node", "Move a node's replicas to the other nodes, then remove it");
  CLI::App* rebalance_ = cluster_->add_subcommand("rebalance", "Spread replicas and leaders evenly over the nodes");
  ClusterChangeCommand change_;
  Flags flags_;
  OldForm old_;
};

Parser::Parser() {
  app_.set_version_flag("--version", version_text());
  app_.require_subcommand(1);
  for (CLI::App* command : {start_, standalone_, version_}) {
    command->fallthrough();  // flags of the program may stand behind the command
  }
  for (const Setting& setting : settings_table()) {
    if (setting.flags.empty()) {
      continue;
    }
    const auto keep = [this, flag = long_flag(setting)](const std::string& value) { flags_[flag] = value; };
    const std::string help = help_of(setting);
    const std::string names(setting.flags);
    if (long_flag(setting) == "--config") {
      for (CLI::App* command : {cluster_status_, cluster_waits_, add_node_, remove_node_, rebalance_}) {
        command->add_option_function<std::string>(names, keep, help);
      }
    }
    if (setting.before_command) {
      app_.add_option_function<std::string>(names, keep, help);
    } else {
      start_->add_option_function<std::string>(names, keep, help);
    }
  }
  const char* const old = "Old form, with standalone";
  app_.add_option("-p,--kafka-port", old_.port, "Port of --bind")->group(old);
  app_.add_option("-b,--bind-addr", old_.host, "Host of --bind")->group(old);
  app_.add_option("--advertised-addr", old_.advertised_host, "Host of --advertise")->group(old);
  app_.add_option("--advertised-port", old_.advertised_port, "Port of --advertise")->group(old);
  cluster_->allow_extras();  // what is no command of its own is named by parse()
  add_node_->add_option("id", change_.id, "Number of the node")->required();
  add_node_->add_option("--kafka", change_.kafka, "Where it serves clients: HOST:PORT")->required();
  add_node_->add_option("--wal", change_.wal, "Has no effect: nodes talk to each other on one port");
  add_node_->add_option("--raft", change_.raft, "Where it listens for the other nodes: HOST:PORT")->required();
  remove_node_->add_option("id", change_.id, "Number of the node")->required();
  remove_node_->add_flag("--force", change_.force, "The node is dead and will not come back with its data");
  app_.footer(kPrecedence);
  start_->footer(settings_without_own_flag());
}

Status Parser::translate_old_form() {
  const bool used = old_.port.has_value() || old_.host.has_value() || old_.advertised_host.has_value() ||
                    old_.advertised_port.has_value();
  if (!standalone_->parsed()) {
    return used ? absl::InvalidArgumentError(
                      "--kafka-port, --bind-addr, --advertised-addr and --advertised-port belong to standalone; start "
                      "takes --bind HOST:PORT and --advertise HOST:PORT")
                : ok();
  }
  const auto port_of = [](const char* flag, const std::string& text) -> StatusOr<std::uint16_t> {
    const StatusOr<std::int64_t> port = parse_whole_number(text, 0, 65535);
    return port.ok() ? StatusOr<std::uint16_t>(static_cast<std::uint16_t>(*port))
                     : absl::InvalidArgumentError(fmt::format("{}: '{}': {}", flag, text, message_of(port.status())));
  };
  if (old_.port.has_value() || old_.host.has_value()) {
    StatusOr<HostPort> bind = parse_host_port(old_.host.value_or("127.0.0.1"));
    if (!bind.ok()) {
      return absl::InvalidArgumentError(fmt::format("--bind-addr: '{}': {}", *old_.host, message_of(bind.status())));
    }
    if (old_.port.has_value()) {
      ASSIGN_OR_RETURN(bind->port, port_of("--kafka-port", *old_.port));
    }
    flags_["--bind"] = bind->to_string();
  }
  if (old_.advertised_port.has_value() && !old_.advertised_host.has_value()) {
    return absl::InvalidArgumentError(
        fmt::format("--advertised-port: '{}': only valid with --advertised-addr", *old_.advertised_port));
  }
  if (old_.advertised_host.has_value()) {
    StatusOr<HostPort> advertise = parse_host_port(*old_.advertised_host);
    if (!advertise.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("--advertised-addr: '{}': {}", *old_.advertised_host, message_of(advertise.status())));
    }
    if (old_.advertised_port.has_value()) {
      ASSIGN_OR_RETURN(advertise->port, port_of("--advertised-port", *old_.advertised_port));
    }
    flags_["--advertise"] = advertise->to_string();
  }
  return ok();
}

Command Parser::answer(const CLI::ParseError& error) const {
  if (error.get_exit_code() == 0) {
    return NoCommand{app_.exit(error)};
  }
  fmt::print(stderr, "chronik-server: {}\nTry: chronik-server --help\n", error.what());
  return NoCommand{kUsage};
}

Command Parser::parse(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return answer(error);
  }
  if (version_->parsed()) {
    return VersionCommand{};
  }
  using Kind = ClusterChangeCommand::Kind;
  for (const auto& [command, kind] : {std::pair(add_node_, Kind::kAddNode), std::pair(remove_node_, Kind::kRemoveNode),
                                      std::pair(rebalance_, Kind::kRebalance)}) {
    if (command->parsed()) {
      change_.kind = kind;
      change_.flags = std::move(flags_);
      return std::move(change_);
    }
  }
  if (cluster_waits_->parsed()) {
    return ClusterWaitsCommand{std::move(flags_)};
  }
  if (cluster_->parsed() && !cluster_status_->parsed()) {
    const std::vector<std::string> typed = cluster_->remaining();
    fmt::print(stderr, "chronik-server: cluster: '{}': must be status, waits, add-node, remove-node or rebalance\n",
               typed.empty() ? "" : typed.front());
    return NoCommand{kUsage};
  }
  if (cluster_status_->parsed()) {
    return ClusterStatusCommand{std::move(flags_)};
  }
  const Status translated = translate_old_form();
  if (!translated.ok()) {
    fmt::print(stderr, "chronik-server: {}\n", message_of(translated));
    return NoCommand{kUsage};
  }
  return StartCommand{std::move(flags_)};
}

}  // namespace

Command parse_command_line(int argc, const char* const* argv) { return Parser().parse(argc, argv); }

}  // namespace chronik::server
