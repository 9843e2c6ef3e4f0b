// Where the values of settings are found: flags, variables, the configuration file.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/base/time.h"
#include "server/config_file.h"
#include "server/settings.h"
#include "server/values.h"

namespace chronik::server {

inline constexpr std::string_view kBrokerTable = "broker.";  // what the keys of Kafka's own settings begin with

// A value, and the name under which it was found.
struct Source {
  std::string name;  // "--bind", "CHRONIK_BIND", "chronik.toml:3: bind.kafka"
  std::string text;
};

// kInvalidArgument: "NAME: 'VALUE': what would be right".
Status refuse(std::string_view name, std::string_view value, std::string_view right);

class SettingSources {
 public:
  // All outlive it.
  SettingSources(const Flags& flags, const Variables& variables, std::span<const FileValue> file)
      : flags_(flags), variables_(variables), file_(file) {}

  const Variables& variables() const { return variables_; }
  std::span<const FileValue> file() const { return file_; }

  // The value of the setting with this flag, variable or key, whichever goes first; empty: nowhere.
  std::optional<Source> find(std::string_view name) const;
  // parse(text) of the setting; where it is nowhere, `into` stays as it is.
  template <typename T, typename Parse>
  Status read(std::string_view name, Parse parse, T& into) const {
    const std::optional<Source> source = find(name);
    if (!source.has_value()) {
      return ok();
    }
    auto value = parse(source->text);
    if (!value.ok()) {
      return refuse(source->name, source->text, message_of(value.status()));
    }
    into = *std::move(value);
    return ok();
  }
  // From a second to a day.
  Status read_seconds(std::string_view name, Duration& into) const;

  // Refuses what no setting is called. Warned about are variables that only look like one of ours, and, in one line,
  // keys of the predecessor that have no effect.
  Status check_variables(std::vector<std::string>& warnings) const;
  Status check_keys(std::vector<std::string>& warnings) const;

 private:
  const Flags& flags_;
  const Variables& variables_;
  std::span<const FileValue> file_;
};

}  // namespace chronik::server
