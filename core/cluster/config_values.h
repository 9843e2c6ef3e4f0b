// Values of settings: whether a text is one, and what it means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace chronik::cluster {

struct ConfigDef;

// The most partitions that one request may create, and so the most that num.partitions may say.
inline constexpr std::int32_t kPartitionsMax = 10'000;

// kInvalidArgument, with a sentence that names the setting, the value and what would be right.
Status check_config_value(const ConfigDef& def, std::string_view value);

// A decimal number that fits; empty: it is none.
std::optional<std::int64_t> parse_number(std::string_view text);
// One with a fraction or an exponent, not infinite; empty: it is none.
std::optional<double> parse_double(std::string_view text);
// "a,b" as {a, b}, without spaces around the elements; "" has none.
std::vector<std::string> parse_list(std::string_view text);
std::string format_list(const std::vector<std::string>& elements);

// A number times `factor`, at most the largest there is; -1 means "no limit" in every unit. A text that is no number,
// or a factor of 1, changes nothing.
std::string scaled_config_value(const std::string& value, std::int64_t factor);

}  // namespace chronik::cluster
