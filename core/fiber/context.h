// Switching the machine from one stack to another: the only file that knows Boost.Context.
//
// Boost 1.74 neither saves the C++ exception globals at a switch (two fibers suspended in catch blocks would rethrow
// each other's exception) nor tells the sanitizers; this does both.
#pragma once

#include <cstddef>
#include <cstdint>

namespace chronik::fiber {

// What __cxa_get_globals() points to (Itanium C++ ABI §2.2.2).
struct ExceptionGlobals {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

// A suspended or running flow of control. Plain data: owned by a fiber, or by the scheduler for the loop's own.
struct Context {
  void* resume_point = nullptr;
  ExceptionGlobals exceptions;
  ExceptionGlobals* thread_exceptions = nullptr;  // where its thread keeps them; learnt at the first switch
  void* asan_fake_stack = nullptr;
  const void* stack_bottom = nullptr;  // of this context's own stack; learnt at the first switch for the loop's
  std::size_t stack_size = 0;
  void* tsan_fiber = nullptr;
  bool tsan_fiber_made = false;  // by make_context(); the loop's own is its thread's
};

using Entry = void (*)(void* argument);

// Prepares `context` to call entry(argument) at its first switch, on the memory [bottom, top). entry never returns: its
// last act is switch_context(context, back, true).
void make_context(Context& context, std::uint8_t* bottom, std::uint8_t* top, Entry entry, void* argument);

// Leaves `from` and continues `to`. Returns when somebody switches back. `final`: `from` will never be continued.
void switch_context(Context& from, Context& to, bool final = false);

// Frames need this many times their usual room under a sanitizer.
std::size_t stack_scale();

// Tells AddressSanitizer that nothing on [bottom, bottom + size) is in use: frames that never returned leave their
// marks.
void forget_frames(std::uint8_t* bottom, std::size_t size);

// Releases what a sanitizer holds for a context that has made its final switch or never ran.
void destroy_context(Context& context);

}  // namespace chronik::fiber
