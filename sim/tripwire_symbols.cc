// The functions of the C library that simulated code must not call; see tripwire.h. Linked into programs, not into a
// library: the dynamic linker prefers a program's own symbols.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "sim/tripwire.h"

namespace {

template <typename Function>
Function* real(Function*, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// Every call is checked, then passed on to the next definition of the same name.
#define CHRONIK_TRIPWIRE(result, name, parameters, arguments) \
  extern "C" result name parameters {                         \
    ::chronik::sim::tripwire_check(#name);                    \
    static const auto kReal = real(&name, #name);             \
    return kReal arguments;                                   \
  }

CHRONIK_TRIPWIRE(int, clock_gettime, (clockid_t clock, timespec* into) noexcept, (clock, into))
CHRONIK_TRIPWIRE(int, gettimeofday, (timeval * into, void* zone) noexcept, (into, zone))
CHRONIK_TRIPWIRE(time_t, time, (time_t * into) noexcept, (into))
CHRONIK_TRIPWIRE(int, nanosleep, (const timespec* length, timespec* left), (length, left))
CHRONIK_TRIPWIRE(int, clock_nanosleep, (clockid_t clock, int flags, const timespec* length, timespec* left),
                 (clock, flags, length, left))
CHRONIK_TRIPWIRE(int, usleep, (useconds_t length), (length))
CHRONIK_TRIPWIRE(ssize_t, getrandom, (void* into, size_t size, unsigned flags), (into, size, flags))
CHRONIK_TRIPWIRE(int, getentropy, (void* into, size_t size), (into, size))
CHRONIK_TRIPWIRE(int, pthread_create,
                 (pthread_t * thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) noexcept,
                 (thread, attributes, body, argument))
