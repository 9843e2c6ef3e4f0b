// How the handlers of administration change metadata: one command for all that is well in a request, and its outcome in
// Kafka's words.
#pragma once

#include <string>
#include <utility>

#include "core/broker/broker.h"
#include "core/cluster/controller.h"

namespace chronik::broker {

// What a client is told of a proposal that was not answered.
inline cluster::ItemResult unanswered(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return {protocol::ErrorCode::kNotController, "the controller is elsewhere"};
    case absl::StatusCode::kResourceExhausted:
      return {protocol::ErrorCode::kThrottlingQuotaExceeded, "too many changes of metadata are under way"};
    default: return {protocol::ErrorCode::kRequestTimedOut, "the outcome is not known: the change may have been made"};
  }
}

// Proposes the plan's command, unless there is nothing in it, and settles the plan's items.
template <typename Body>
void carry_out(Broker& broker, cluster::Plan<Body>& plan, const Deadline& deadline) {
  if (plan.empty()) {
    return;
  }
  const StatusOr<cluster::CommandResult> result = broker.metadata().propose(std::move(plan.command), deadline);
  if (result.ok()) {
    plan.settle(*result);
  } else {
    plan.settle(unanswered(result.status()));
  }
}

inline std::optional<std::string> message_of(const cluster::ItemResult& item) {
  return item.message.empty() ? std::nullopt : std::optional<std::string>(item.message);
}

}  // namespace chronik::broker
