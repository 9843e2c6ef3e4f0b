#include "core/fiber/context.h"

#include <cxxabi.h>
#include <boost/context/detail/fcontext.hpp>

#include <utility>

#include "core/base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHRONIK_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CHRONIK_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CHRONIK_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define CHRONIK_TSAN 1
#endif

#ifdef CHRONIK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CHRONIK_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace chronik::fiber {

namespace {

namespace bcd = boost::context::detail;

struct Start {
  Entry entry;
  void* argument;
  Context* self;
};

// What travels through a switch: who left, so that whoever arrives can keep the point where it is to be continued.
struct Passage {
  Context* from;
  Context* to;
};

void exchange_exception_globals(Context& from, Context& to) {
  // The thread's place for them does not move, and no context changes its thread.
  if (from.thread_exceptions == nullptr) {
    from.thread_exceptions = reinterpret_cast<ExceptionGlobals*>(abi::__cxa_get_globals());
  }
  to.thread_exceptions = from.thread_exceptions;
  from.exceptions = *from.thread_exceptions;
  *from.thread_exceptions = to.exceptions;
}

// The first thing that runs after a switch, on the new stack.
void arrive(bcd::transfer_t transfer) {
  const Passage passage = *static_cast<Passage*>(transfer.data);
  passage.from->resume_point = transfer.fctx;
#ifdef CHRONIK_ASAN
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(passage.to->asan_fake_stack, &bottom, &size);
  if (passage.from->stack_bottom == nullptr) {
    passage.from->stack_bottom = bottom;
    passage.from->stack_size = size;
  }
#endif
}

[[noreturn]] void begin(bcd::transfer_t transfer) {
  Context* self = static_cast<Passage*>(transfer.data)->to;
  arrive(transfer);
  // The start record lies at the top of the stack, where make_context() put it.
  const auto* top = static_cast<const std::uint8_t*>(self->stack_bottom) + self->stack_size;
  const Start start = *reinterpret_cast<const Start*>(top);
  start.entry(start.argument);
  UNREACHABLE("a fiber's entry returned");
}

constexpr std::size_t kStartBytes = (sizeof(Start) + 63) / 64 * 64;

}  // namespace

void make_context(Context& context, std::uint8_t* bottom, std::uint8_t* top, Entry entry, void* argument) {
  CHECK_GT(static_cast<std::size_t>(top - bottom), std::size_t{4096});
  top -= kStartBytes;
  top -= reinterpret_cast<std::uintptr_t>(top) % 64;
  *reinterpret_cast<Start*>(top) = Start{entry, argument, &context};
  context.stack_bottom = bottom;
  context.stack_size = static_cast<std::size_t>(top - bottom);
  context.exceptions = {};
  context.asan_fake_stack = nullptr;
  context.resume_point = bcd::make_fcontext(top, context.stack_size, &begin);
#ifdef CHRONIK_TSAN
  context.tsan_fiber = __tsan_create_fiber(0);
  context.tsan_fiber_made = true;
#endif
}

// Not instrumented: with use-after-return checks on, an instrumented frame lives in the fake stack, and the final
// switch frees that before the passage is written.
[[gnu::no_sanitize_address]] void switch_context(Context& from, Context& to, bool final) {
  exchange_exception_globals(from, to);
#ifdef CHRONIK_ASAN
  __sanitizer_start_switch_fiber(final ? nullptr : &from.asan_fake_stack, to.stack_bottom, to.stack_size);
#else
  static_cast<void>(final);
#endif
#ifdef CHRONIK_TSAN
  if (from.tsan_fiber == nullptr) {
    from.tsan_fiber = __tsan_get_current_fiber();
  }
  __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
  Passage passage{&from, &to};
  arrive(bcd::jump_fcontext(std::exchange(to.resume_point, nullptr), &passage));
}

std::size_t stack_scale() {
#ifdef CHRONIK_ASAN
  return 4;
#else
  return 1;
#endif
}

void forget_frames([[maybe_unused]] std::uint8_t* bottom, [[maybe_unused]] std::size_t size) {
#ifdef CHRONIK_ASAN
  __asan_unpoison_memory_region(bottom, size);
#endif
}

void destroy_context(Context& context) {
#ifdef CHRONIK_TSAN
  if (context.tsan_fiber_made) {
    __tsan_destroy_fiber(context.tsan_fiber);
  }
#endif
  context = {};
}

}  // namespace chronik::fiber
