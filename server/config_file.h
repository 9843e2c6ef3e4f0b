// A configuration file, TOML, as a flat list: tables are joined to their keys with dots, so that [broker] may hold
// Kafka's names with quotes or without.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace chronik::server {

struct FileValue {
  std::string key;    // "broker.num.partitions"
  std::string text;   // strings without quotes, elements of lists joined by commas
  std::string where;  // "chronik.toml:3", for people
};

// kNotFound: cannot be read. kInvalidArgument: not TOML, with the line; or a value of a kind that no setting has.
StatusOr<std::vector<FileValue>> read_config_file(const std::string& path);
// The same for the text of a file that people know as `name`.
StatusOr<std::vector<FileValue>> parse_config(std::string_view text, std::string_view name);

}  // namespace chronik::server
