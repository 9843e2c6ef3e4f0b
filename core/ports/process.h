// Port: the end of this process, and the memory of its stacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chronik {

// Exit statuses of chronik-server; docs/OPERATIONS.md lists them for its users.
enum class ExitStatus : int {
  kOk = 0,
  kUsage = 2,          // flags, configuration
  kDataDirectory = 3,  // locked by another process, of another cluster, of a newer format
  kListen = 4,         // an address that cannot be bound
  kRemoved = 5,        // the node was removed from its cluster while it served
  kDiskFailed = 10,    // a write or sync of the log failed or was overdue (rule R2)
  kStoreFailed = 11,   // a durable commit of the key-value store failed (rule R6)
  kBug = 20,           // an invariant was found broken where going on would endanger data
};

class Process {
 public:
  virtual ~Process() = default;
  // Shuts down every socket, then ends the process, joining nothing and writing nothing (rule S2). Never returns: in a
  // simulation the node is killed by its world, and the calling fiber unwinds.
  [[noreturn]] virtual void fatal(ExitStatus status, std::string_view reason) = 0;
};

// Memory for one fiber's stack, growing down from `top`. A page that must not be touched lies below `bottom`.
struct StackMemory {
  std::uint8_t* bottom = nullptr;
  std::size_t size = 0;
  std::uint8_t* top() const { return bottom + size; }
};

class StackSource {
 public:
  virtual ~StackSource() = default;
  // `size` is rounded up to pages. Running out of memory ends the process.
  virtual StackMemory allocate(std::size_t size) = 0;
  virtual void release(StackMemory stack) = 0;
};

}  // namespace chronik
