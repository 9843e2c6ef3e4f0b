// The pages /admin/debug/waits: what waits for what on a node, in words and as data.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "runtime/shard_waits.h"

namespace chronik::server {

// Whether anybody is deadlocked, what many wait for, then everything that waits, then where each fiber is.
std::string waits_text(const runtime::ShardWaits& waits);

std::string waits_json(NodeId node, const runtime::ShardWaits& waits);
struct NodeWaits {
  NodeId node;
  runtime::ShardWaits waits;
};
// kInvalidArgument: any other text, whoever sent it.
StatusOr<NodeWaits> parse_waits_json(const std::string& text);

// One graph of several nodes': requests from one to another join them.
runtime::ShardWaits join_waits(std::vector<NodeWaits> nodes);

}  // namespace chronik::server
