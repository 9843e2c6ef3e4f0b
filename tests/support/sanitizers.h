// Which sanitizer a test was built with, where what a process does depends on it.
#pragma once

namespace chronik::support {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHRONIK_TEST_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CHRONIK_TEST_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(CHRONIK_TEST_ASAN)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif
#if defined(__SANITIZE_THREAD__) || defined(CHRONIK_TEST_TSAN)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

}  // namespace chronik::support
