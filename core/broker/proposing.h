// How the handlers of administration change metadata: one command for all that is well in a request, and its outcome in
// Kafka's words.
#pragma once

#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/broker/broker.h"
#include "core/cluster/controller.h"

namespace chronik::broker {

// What a client is told of a proposal that was not answered.
cluster::ItemResult unanswered(const Status& status);

// A plan made on an image that holds whatever was committed before: a node may lag behind the controller, and must not
// refuse, or promise, by what was true a moment ago.
template <typename MakePlan>
auto plan_change(Broker& broker, const Deadline& deadline, MakePlan make_plan) {
  const Status caught_up = broker.metadata().catch_up(broker.metadata().proposal_deadline(deadline));
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

// Whether the controller is to choose where replicas stand.
inline bool placed_by_controller(const cluster::TopicRequest& request) { return request.assignments.empty(); }
inline bool placed_by_controller(const cluster::PartitionsRequest& request) { return !request.assignments.has_value(); }

// Whether replicas that the controller had chosen could not be placed there any more.
bool was_overtaken(const cluster::ItemResult& item);

// Plans a change that places replicas, and proposes it unless it is only to be validated. A broker may go between the
// plan and its commit; whoever stood on it alone is planned anew, as of the image that knows of it, until the deadline.
template <typename Wanted, typename MakePlan>
std::vector<cluster::ItemResult> place(Broker& broker, const std::vector<Wanted>& wanted, bool validate_only,
                                       const Deadline& deadline, MakePlan make_plan) {
  std::vector<cluster::ItemResult> results(wanted.size());
  std::vector<std::size_t> due(wanted.size());
  std::iota(due.begin(), due.end(), std::size_t{0});
  while (!due.empty()) {
    std::vector<Wanted> asked;
    asked.reserve(due.size());
    for (const std::size_t item : due) {
      asked.push_back(wanted[item]);
    }
    auto plan = plan_change(broker, deadline, [&](const cluster::Image& now) { return make_plan(now, asked); });
    if (!validate_only) {
      carry_out(broker, plan, deadline);
    }
    std::vector<std::size_t> overtaken;
    for (std::size_t i = 0; i < due.size(); ++i) {
      results[due[i]] = plan.items[i];
      if (placed_by_controller(asked[i]) && was_overtaken(plan.items[i])) {
        overtaken.push_back(due[i]);
      }
    }
    due = std::move(overtaken);
  }
  return results;
}

inline std::optional<std::string> message_of(const cluster::ItemResult& item) {
  return item.message.empty() ? std::nullopt : std::optional<std::string>(item.message);
}

}  // namespace chronik::broker
