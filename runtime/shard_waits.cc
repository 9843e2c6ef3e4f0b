#include "runtime/shard_waits.h"

#include <memory>
#include <string>
#include <utility>

#include "core/fiber/scheduler.h"
#include "runtime/io_wait.h"

namespace chronik::runtime {

StatusOr<ShardWaits> collect_shard_waits(EventLoop& loop, std::string_view place, const Deadline& deadline) {
  const auto found = std::make_shared<ShardWaits>();  // whichever lives longer
  fiber::Scheduler& scheduler = fiber::Scheduler::current();
  const std::string self = fiber::Fiber::current().path();
  IoWait looked;
  loop.after_turn([&loop, &scheduler, found, name = std::string(place), number = looked.number()] {
    fiber::collect_waits(scheduler, name, scheduler.now(), found->waits);
    inspect::collect_stacks(scheduler, name, found->stacks);
    loop.post({number, 0});
  });
  RETURN_IF_ERROR(looked.wait({WaitKind::kWork, 0, 0, 0}, deadline));
  std::erase_if(found->waits, [&self](const fiber::FiberWait& wait) { return wait.path == self; });
  std::erase_if(found->stacks, [&self](const inspect::FiberStack& stack) { return stack.path == self; });
  return std::move(*found);
}

}  // namespace chronik::runtime
