#include "core/broker/proposing.h"

namespace chronik::broker {

cluster::ItemResult unanswered(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      return {protocol::ErrorCode::kNotController, "no controller answers; nothing was changed"};
    case absl::StatusCode::kResourceExhausted:
      return {protocol::ErrorCode::kThrottlingQuotaExceeded, "too many changes of metadata are under way"};
    case absl::StatusCode::kInvalidArgument:
      return {protocol::ErrorCode::kInvalidRequest, std::string(status.message())};
    default: return {protocol::ErrorCode::kRequestTimedOut, "the outcome is not known: the change may have been made"};
  }
}

bool was_overtaken(const cluster::ItemResult& item) {
  return item.error == protocol::ErrorCode::kInvalidReplicaAssignment;
}

}  // namespace chronik::broker
