// Aborts the program when simulated code touches real time, entropy or threads (rule S14): its runs would not repeat.
//
// chronik-sim puts itself before the C library's clock_gettime, getrandom, pthread_create and the like
// (tripwire_symbols.cc). They pass every call on, except while a world runs and what runs now is not allowed it.
#pragma once

namespace chronik::sim {

// Armed while one lives.
class Tripwire {
 public:
  Tripwire();
  ~Tripwire();
  Tripwire(const Tripwire&) = delete;
  Tripwire& operator=(const Tripwire&) = delete;
};

// For the replaced functions: ends the program where `what` is not allowed now.
void tripwire_check(const char* what);

}  // namespace chronik::sim
