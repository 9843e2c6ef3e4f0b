// The two worlds that a node may live in, as the conformance suite sees them (rule S16): the real one and the simulated
// one.
//
// Why: what the simulator does not do, it cannot find; what it does better than the machine, it hides. Every promise of
// a port is written once, as a clause over this class (clause.h), and judged in both worlds. Lifetime: a world is one
// machine with one data directory and one store. run() is one life of one process on it; what the disk and the store
// keep from one life to the next is what the clauses are about.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <optional>

#include "core/base/deadline.h"
#include "core/fiber/scope.h"
#include "core/ports/ports.h"

namespace chronik::conformance {

// How a process ends once its body has returned.
enum class Death : std::uint8_t {
  kExit,  // every fiber is cancelled and joined; operations in flight are waited for
  kKill,  // kill -9: nothing runs any more; completed writes are kept, one in flight happened in part or not at all
  kPowerLoss,  // what was not synced may be gone, in any part (Ability::kPowerLoss)
};

enum class Ability : std::uint8_t {
  kPowerLoss,  // Death::kPowerLoss
};

// What a step of the disk or the store meets. In the real world the system call answers so.
enum class DiskFault : std::uint8_t {
  kShort,    // a write or read moves a part only; whoever called it goes on with the rest
  kIoError,  // EIO
  kNoSpace,  // ENOSPC
  kHang,     // no answer before release_hung()
};

enum class DiskStep : std::uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSync,  // of a file
  kTruncate,
  kCreateDirectory,
  kRename,
  kUnlink,
  kSyncDirectory,
  kSyncAll,
  kStoreCommit,
  kStoreRead,
};

// How a run of a body came to its end.
struct RunEnd {
  bool finished = false;                           // the body returned within the limit
  std::optional<ExitStatus> fatal = std::nullopt;  // it called Process::fatal
};

class ConformanceWorld {
 public:
  // The main fiber's body. `scope`: for its children; cancelled and joined after the body where the death is kExit.
  using Body = absl::AnyInvocable<void(Ports& ports, fiber::FiberScope& scope)>;

  virtual ~ConformanceWorld() = default;

  virtual bool simulated() const = 0;
  virtual bool can(Ability ability) const = 0;

  // Starts a process, runs `body` as its main fiber, and lets the process die as told. `limit` is in the world's own
  // time.
  virtual RunEnd run(Body body, Death death, Duration limit) = 0;
  RunEnd run(Body body, Death death = Death::kExit) { return run(std::move(body), death, Duration::seconds(20)); }
  // The same for a body that ends in Process::fatal. Only what it left on disk and in the store is seen by the caller:
  // the process may be another one.
  virtual RunEnd run_to_fatal(Body body) = 0;

  // ---- places ----
  virtual Address here() const = 0;    // where a body may listen, with port 0
  virtual Address nobody() const = 0;  // where a connection is refused
  virtual Address hole() const = 0;    // where a connection is neither accepted nor refused

  // ---- faults; may be called from within a body ----
  // The next `step`, on whatever file, meets `fault`, once. Faults for one step queue up.
  virtual void fail_next(DiskStep step, DiskFault fault) = 0;
  // Lets every operation that hangs go on as if nothing had been.
  virtual void release_hung() = 0;
  // Every move of bytes through a connection takes at most this many; 0: as many as fit.
  virtual void limit_transfers(std::size_t bytes) = 0;
};

}  // namespace chronik::conformance
