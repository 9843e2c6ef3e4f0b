#include "server/setting_sources.h"

#include <fmt/core.h>

#include "server/cluster_settings.h"
#include "server/setting_names.h"

namespace chronik::server {

Status refuse(std::string_view name, std::string_view value, std::string_view right) {
  return absl::InvalidArgumentError(fmt::format("{}: '{}': {}", name, value, right));
}

std::optional<Source> SettingSources::find(std::string_view name) const {
  const Setting& setting = setting_named(name);
  if (const auto flag = flags_.find(long_flag(setting)); flag != flags_.end() && !setting.flags.empty()) {
    return Source{flag->first, flag->second};
  }
  if (const auto variable = variables_.find(setting.variable);
      variable != variables_.end() && !setting.variable.empty()) {
    return Source{variable->first, variable->second};
  }
  for (const FileValue& value : file_) {
    if (!setting.key.empty() && value.key == setting.key) {
      return Source{fmt::format("{}: {}", value.where, value.key), value.text};
    }
  }
  return std::nullopt;
}

Status SettingSources::read_seconds(std::string_view name, Duration& into) const {
  constexpr std::int64_t kSecondsMax = 24 * 3600;
  return read(
      name,
      [](const std::string& text) -> StatusOr<Duration> {
        const StatusOr<std::int64_t> seconds = parse_whole_number(text, 1, kSecondsMax);
        return seconds.ok() ? StatusOr<Duration>(Duration::seconds(*seconds))
                            : absl::InvalidArgumentError(fmt::format("{}, in seconds", message_of(seconds.status())));
      },
      into);
}

Status SettingSources::check_variables(std::vector<std::string>& warnings) const {
  for (const auto& [name, value] : variables_) {
    if (!is_known_variable(name)) {
      warnings.push_back(fmt::format("the variable {} has no meaning here", name));
    }
  }
  return ok();
}

Status SettingSources::check_keys(std::vector<std::string>& warnings) const {
  std::string unused;
  for (const FileValue& value : file_) {
    const std::string name = fmt::format("{}: {}", value.where, value.key);
    if (is_unused_key(value.key)) {
      unused += (unused.empty() ? "" : ", ") + name;
    }
    if (value.key.starts_with(kBrokerTable) || is_known_key(value.key) || is_peer_key(value.key)) {
      continue;
    }
    const std::string_view similar = similar_key(value.key);
    return refuse(name, value.text,
                  similar.empty() ? "there is no such setting; docs/OPERATIONS.md lists them"
                                  : fmt::format("there is no such setting; did you mean {}?", similar));
  }
  if (!unused.empty()) {
    warnings.push_back(fmt::format("keys of the predecessor have no effect: {}", unused));
  }
  return ok();
}

}  // namespace chronik::server
