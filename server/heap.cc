#include "server/heap.h"

#include <malloc.h>
#include <sys/resource.h>

#include <utility>

#include "core/base/log_line.h"
#include "core/base/time.h"
#include "core/fiber/wait.h"

namespace chronik::server {

namespace {

constexpr Duration kPeriod = Duration::seconds(10);
constexpr std::int64_t kBusyPart = 50;           // a fiftieth of one processor
constexpr std::size_t kWorthwhile = 16U << 20U;  // free bytes: giving them back takes a few milliseconds

Duration processor_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return Duration::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         Duration::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

}  // namespace

// Buffers of a megabyte come and go with every large fetch. Left to itself the allocator maps each anew, or gives the
// heap's end back to the kernel and asks for it again: a fault and a cleared page for every four kilobytes.
void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 16 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

void give_back_at_rest() {
  Duration used = processor_time();
  bool worked = false;  // since it was last given back
  while (fiber::sleep(kPeriod).ok()) {
    const Duration before = std::exchange(used, processor_time());
    const bool rests = used - before < kPeriod / kBusyPart;
    worked |= !rests;
    // The allocator counts as free what it has given back, too.
    const std::size_t free = ::mallinfo2().fordblks;
    if (!rests || !worked || free < kWorthwhile) {
      continue;
    }
    ::malloc_trim(0);
    worked = false;
    log_debug("free memory given back", field("free_bytes", free));
  }
}

}  // namespace chronik::server
