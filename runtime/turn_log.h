// What determines a shard: its turns, and what the port calls returned (rule S1).
//
// (configuration, log of turns) is enough to run the shard again, without sockets, disk or clock, and see it do the
// same step by step. Calls are numbered in the order of their beginning, which a replay repeats.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/base/time.h"
#include "core/fiber/operation.h"

namespace chronik::runtime {

enum class PortCall : std::uint8_t {
  kMonotonic,
  kWall,
  kRandom,
  kListen,
  kConnect,
  kResolve,
  kAccept,
  kRead,
  kWrite,
  kTryWrite,
  kShutdownWrite,
  kClose,
  kDiskOpen,
  kDiskChange,  // of names: create, rename, unlink, remove, sync
  kDiskList,
  kDiskFree,
  kFileRun,
  kFileRead,
  kFileChange,  // fill, truncate
  kFileSize,
  kStoreGet,
  kStoreCommit,
  kStoreSnapshot,
  kStoreScan,
  kMailSend,
  kMailReceive,
  kFatal,
};

const char* port_call_name(PortCall call);

struct PortReturn {
  Status status;
  std::string data = {};  // what came with an ok, each kind in its own way
};

struct LoggedCall {
  PortCall kind;
  std::uint64_t arguments = 0;              // their fingerprint
  std::vector<OpNumber> operations = {};    // that the call began, in order: where it waited
  std::optional<PortReturn> returned = {};  // empty: it had not when the log ended
};

struct LoggedTurn {
  MonotonicTime now;
  std::vector<fiber::Completion> batch;
};

struct TurnLog {
  std::vector<LoggedTurn> turns;
  std::vector<LoggedCall> calls;
  std::uint64_t fingerprint = 0;  // of resumes, operations, expiries, calls and returns, in their order
};

}  // namespace chronik::runtime
