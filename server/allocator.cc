#include "server/allocator.h"

#include <fmt/core.h>

#if CHRONIK_JEMALLOC
#include <jemalloc/jemalloc.h>

#include <string_view>

// jemalloc reads it when the process starts. Without a thread of its own it gives memory back only while it is called,
// and a server at rest does not call it.
extern "C" {
const char* malloc_conf = "background_thread:true";
}
#endif

namespace chronik::server {

std::string allocator_text() {
#if CHRONIK_JEMALLOC
  const char* version = "";
  std::size_t size = sizeof(version);
  ::mallctl("version", &version, &size, nullptr, 0);
  const std::string_view whole = version;
  return fmt::format("jemalloc {}", whole.substr(0, whole.find('-')));
#else
  return "the C library's allocator";
#endif
}

}  // namespace chronik::server
