// Failures that are expected, between layers: absl::Status with one meaning per code.
//
//   kCancelled          the wait was called off by its source
//   kDeadlineExceeded   the deadline passed and nothing happened
//   kUnknown            the deadline passed and the outcome is unknown: it may still happen (rule S2)
//   kAborted            the node is dying (rule S4)
//   kUnavailable        the peer: connection refused, reset, closed
//   kResourceExhausted  no room: disk full, queue full, limit reached
//   kDataLoss           bytes that are wrong: checksum, torn, short
//   kNotFound, kAlreadyExists, kInvalidArgument, kFailedPrecondition, kOutOfRange   as their names say
//   kInternal           an error of the operating system that none of these names (EIO and the like)
// What a client is answered (a Kafka error code) is decided in the handler, never below.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace chronik {

using absl::Status;
using absl::StatusOr;

inline Status ok() { return absl::OkStatus(); }

#define RETURN_IF_ERROR(expression)               \
  do {                                            \
    ::absl::Status chronik_status = (expression); \
    if (!chronik_status.ok()) [[unlikely]] {      \
      return chronik_status;                      \
    }                                             \
  } while (false)

#define CHRONIK_CONCAT_INNER(a, b) a##b
#define CHRONIK_CONCAT(a, b) CHRONIK_CONCAT_INNER(a, b)
#define ASSIGN_OR_RETURN(target, expression) \
  CHRONIK_ASSIGN_OR_RETURN(CHRONIK_CONCAT(chronik_or_, __LINE__), target, expression)
#define CHRONIK_ASSIGN_OR_RETURN(temporary, target, expression) \
  auto temporary = (expression);                                \
  if (!temporary.ok()) [[unlikely]] {                           \
    return std::move(temporary).status();                       \
  }                                                             \
  target = *std::move(temporary)

#define CHECK_OK(expression)                                                                                     \
  do {                                                                                                           \
    const ::absl::Status& chronik_check_status = (expression);                                                   \
    if (!chronik_check_status.ok()) [[unlikely]] {                                                               \
      ::chronik::check_failed(__FILE__, __LINE__, "CHECK_OK(" #expression ")", chronik_check_status.ToString()); \
    }                                                                                                            \
  } while (false)

}  // namespace chronik

#include "core/base/check.h"
