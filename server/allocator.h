// The programs' allocator: jemalloc, but under a sanitizer, which brings its own. The simulator keeps the C library's.
//
// Small blocks of many sizes come and go with every request, and buffers of a megabyte with every large fetch: of a
// server's time the C library's allocator took a tenth. What is free stays with the process while it is used again and
// again, and goes back to the kernel once it rests.
#pragma once

#include <string>

namespace chronik::server {

// "jemalloc 5.3.0", or "the C library's allocator".
std::string allocator_text();

}  // namespace chronik::server
