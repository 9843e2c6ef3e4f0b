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
    case absl::StatusCode::kDeadlineExceeded:
      return {protocol::ErrorCode::kNotController, "no controller answers; nothing was changed"};
    case absl::StatusCode::kResourceExhausted:
      return {protocol::ErrorCode::kThrottlingQuotaExceeded, "too many changes of metadata are under way"};
    case absl::StatusCode::kInvalidArgument:
      return {protocol::ErrorCode::kInvalidRequest, std::string(status.message())};
    default: return {protocol::ErrorCode::kRequestTimedOut, "the outcome is not known: the change may have been made"};
  }
}

// A plan made on an image that holds whatever was committed before: a node may lag behind the controller, and must not
// refuse, or promise, by what was true a moment ago.
template <typename MakePlan>
auto plan_change(Broker& broker, const Deadline& deadline, MakePlan make_plan) {
  const Status caught_up = broker.metadata().catch_up(deadline);
  auto plan = make_plan(*broker.metadata().image());
  if (!caught_up.ok()) {
    plan.give_up(unanswered(caught_up));
  }
  return plan;
}

// Proposes the plan's command, unless there is nothing in it, and settles the plan's items.
template <typename Body>
void carry_out(Broker& broker, cluster::Plan<Body>& plan, const Deadline& deadline) {
  if (plan.empty()) {
    return;
  }
  const StatusOr<cluster::CommandResult> result = broker.metadata().propose(plan.command, deadline);
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
