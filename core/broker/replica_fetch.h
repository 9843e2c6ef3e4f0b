// Fetches of followers: Fetch with replica state, in incremental sessions (rule R9, KIP-227, KIP-903).
#pragma once

#include "core/broker/broker.h"
#include "core/protocol/messages/fetch.h"

namespace chronik::broker {

// Who the follower is that asks; none: a consumer does.
NodeId replica_of(const protocol::FetchRequest& asked, std::int16_t version);

// Called on the connection's reader: positions are counted in the order in which they come.
void handle_replica_fetch(Broker& broker, Request&& request, protocol::FetchRequest&& asked);

// Several parts as one; a single part as it is.
Slice joined(std::vector<Slice> parts, std::size_t bytes);
// What a failed read of a log is called in an answer.
protocol::ErrorCode read_error_of(const Status& status);

}  // namespace chronik::broker
