// Which Chronik this is.
#pragma once

#include <string>

namespace chronik::server {

// "0.1.0": of the project in CMakeLists.txt.
const char* version();
// "chronik 0.1.0 (GNU 12.2.0, -O2 …)": with the compiler and its flags.
std::string version_text();

}  // namespace chronik::server
