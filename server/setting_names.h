// Which settings there are, and which names are known.
#pragma once

#include <string>
#include <string_view>

#include "server/settings.h"

namespace chronik::server {

// By its long flag, its variable or its key. There is one (checked).
const Setting& setting_named(std::string_view name);
// "--data-dir"; empty: the setting has no flag.
std::string long_flag(const Setting& setting);

bool is_known_variable(std::string_view name);
bool is_known_key(std::string_view key);
// A key of the predecessor that is read and has no effect.
bool is_unused_key(std::string_view key);
// A known key that differs in a few letters; empty: none.
std::string_view similar_key(std::string_view key);

}  // namespace chronik::server
