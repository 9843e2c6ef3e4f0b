#include "core/cluster/config_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/cluster/config_defs.h"

namespace chronik::cluster {

namespace {

std::string known_values(const ConfigDef& def) {
  std::string text;
  for (const std::string_view choice : def.choices) {
    text += fmt::format("{}'{}'", text.empty() ? "" : " or ", choice);
  }
  return text;
}

Status wrong(const ConfigDef& def, std::string_view value, const std::string& right) {
  return absl::InvalidArgumentError(fmt::format("{} = '{}': it must be {}{}{}", def.name, value, right,
                                                def.why_not.empty() ? "" : "; ", def.why_not));
}

Status check_choice(const ConfigDef& def, std::string_view value, std::string_view chosen) {
  const bool known =
      def.choices.empty() || std::find(def.choices.begin(), def.choices.end(), chosen) != def.choices.end();
  return known ? ok() : wrong(def, value, known_values(def));
}

Status check_number(const ConfigDef& def, std::string_view value) {
  const std::optional<std::int64_t> number = parse_number(value);
  const bool is_int = def.type == ConfigType::kInt;
  const std::int64_t max = is_int ? std::min<std::int64_t>(def.max, std::numeric_limits<std::int32_t>::max()) : def.max;
  if (!number.has_value() || *number < def.min || *number > max) {
    return wrong(def, value,
                 def.min == max ? fmt::format("{}", max) : fmt::format("a whole number from {} to {}", def.min, max));
  }
  return ok();
}

Status check_double(const ConfigDef& def, std::string_view value) {
  const std::optional<double> number = parse_double(value);
  if (number.has_value() && *number >= static_cast<double>(def.min) &&
      (def.max == std::numeric_limits<std::int64_t>::max() || *number <= static_cast<double>(def.max))) {
    return ok();
  }
  return wrong(def, value,
               def.max == std::numeric_limits<std::int64_t>::max()
                   ? fmt::format("a number from {}", def.min)
                   : fmt::format("a number from {} to {}", def.min, def.max));
}

Status check_list(const ConfigDef& def, std::string_view value) {
  const std::vector<std::string> elements = parse_list(value);
  if (elements.empty()) {
    return wrong(def, value, known_values(def));
  }
  for (const std::string& element : elements) {
    RETURN_IF_ERROR(check_choice(def, value, element));
  }
  return ok();
}

}  // namespace

Status check_config_value(const ConfigDef& def, std::string_view value) {
  switch (def.type) {
    case ConfigType::kBoolean:
      return value == "true" || value == "false" ? check_choice(def, value, value)
                                                 : wrong(def, value, "'true' or 'false'");
    case ConfigType::kString: return check_choice(def, value, value);
    case ConfigType::kInt:
    case ConfigType::kLong: return check_number(def, value);
    case ConfigType::kDouble: return check_double(def, value);
    case ConfigType::kList: return check_list(def, value);
  }
  UNREACHABLE("a type of settings");
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<double> parse_double(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

std::vector<std::string> parse_list(std::string_view text) {
  std::vector<std::string> elements;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view element = text.substr(0, comma);
    while (!element.empty() && element.front() == ' ') {
      element.remove_prefix(1);
    }
    while (!element.empty() && element.back() == ' ') {
      element.remove_suffix(1);
    }
    if (!element.empty()) {
      elements.emplace_back(element);
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return elements;
}

std::string format_list(const std::vector<std::string>& elements) {
  return fmt::format("{}", fmt::join(elements, ","));
}

std::string scaled_config_value(const std::string& value, std::int64_t factor) {
  const std::optional<std::int64_t> number = parse_number(value);
  if (factor == 1 || !number.has_value() || *number == -1) {
    return value;
  }
  std::int64_t product = 0;
  if (__builtin_mul_overflow(*number, factor, &product)) {
    product = std::numeric_limits<std::int64_t>::max();
  }
  return fmt::format("{}", product);
}

}  // namespace chronik::cluster
