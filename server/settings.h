// Everything a broker is told, from four places: a flag overrides a variable, a variable the configuration file, the
// file the default. docs/OPERATIONS.md lists them; a test compares it with the tables here.
//
// A value that cannot be honoured is refused wherever it is set, with the name it has there, itself, and what would be
// right. The exceptions, keys of the predecessor that have no effect (is_unused_key), are warned about.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log_line.h"
#include "core/base/status.h"
#include "core/node/config.h"
#include "server/cluster_settings.h"
#include "server/config_file.h"
#include "server/profiles.h"
#include "server/values.h"

namespace chronik::server {

struct Settings {
  std::string data_directory;
  LogLevel log_level = LogLevel::kInfo;
  HostPort bind;                       // with a port
  std::optional<HostPort> advertise;   // what clients are told to connect to; without one, what is bound
  std::optional<HostPort> metrics;     // with a port; without one, no HTTP
  bool metrics_are_asked_for = false;  // then an address that is taken is an error
  std::optional<HostPort> admin;       // with a port; without one, there are no admin pages
  bool admin_is_asked_for = false;     // as metrics_are_asked_for
  std::string admin_api_key;           // empty: none
  bool debug_faults = false;
  std::string host_name;  // $HOSTNAME: what clients are told where every address is bound
  const WalProfile* wal_profile = nullptr;
  const ProduceProfile* produce_profile = nullptr;
  std::optional<ClusterSettings> cluster;  // none: a node by itself
  HostPort raft_bind;                      // of a cluster
  node::NodeConfig node;                   // all but its addresses
};

// One setting and its names; empty: it has none of that kind.
struct Setting {
  std::string_view flags;     // "-d,--data-dir", as the command line library takes them
  std::string_view variable;  // "CHRONIK_DATA_DIR"
  std::string_view key;       // "data_dir": of the configuration file
  std::string_view default_text;
  std::string_view help;
  bool before_command = false;  // the flag may stand before the command, too
};
std::span<const Setting> settings_table();

// A flag as it was given: its name ("--data-dir") and its value.
using Flags = std::map<std::string, std::string, std::less<>>;
using Variables = std::map<std::string, std::string, std::less<>>;

struct Resolved {
  Settings settings;
  std::vector<std::string> warnings;
};

// kInvalidArgument, with a sentence for people.
StatusOr<Resolved> resolve_settings(const Flags& flags, const Variables& variables, std::span<const FileValue> file);

// Where the nodes of a cluster are asked how it is.
struct AdminPeer {
  NodeId id;
  HostPort kafka;
  std::vector<HostPort> admin;  // one after the other, until one answers
};
struct AdminAccess {
  std::vector<AdminPeer> peers;
  std::string api_key;  // empty: none
};
// Of the same flags, variables and file. Without a node's number: of whoever is no node of it.
StatusOr<AdminAccess> resolve_admin_access(const Flags& flags, const Variables& variables,
                                           std::span<const FileValue> file);

// The name of the configuration file: the flag, the variable, or none.
std::string config_file_name(const Flags& flags, const Variables& variables);

// The variables of this process that concern us.
Variables variables_of_process();

}  // namespace chronik::server
