// Clients that create and delete the same few topics through any node, at the same time: what they are told is judged
// together (META-LIN, sim/topic_history.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/client/client.h"
#include "core/protocol/errors.h"
#include "sim/scenarios/group.h"
#include "sim/topic_history.h"

namespace chronik::sim {

// Null: no answer.
std::optional<protocol::ErrorCode> create_topic(client::Client& client, const std::string& name);
std::optional<protocol::ErrorCode> delete_topic(client::Client& client, const std::string& name);

struct Contention {
  TopicHistory history;
  std::int64_t pause_ms = 500;
};

// Until all is healed.
void run_contender(ProcessContext& process, const GroupState& state, Contention& contention);
// What was told, and what is there now on this node.
void judge_contention(World& world, const Contention& contention, const cluster::Image& image);

}  // namespace chronik::sim
