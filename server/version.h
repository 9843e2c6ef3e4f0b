// Which Chronik this is.
#pragma once

#include <string>

namespace chronik::server {

// "0.1.0": of the project in CMakeLists.txt.
const char* version();
// "chronik 0.1.0 (GNU 12.2.0, -O2 …; jemalloc 5.3.0)": with the compiler and its flags, and the allocator.
std::string version_text();

}  // namespace chronik::server
