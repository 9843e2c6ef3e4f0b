// How most handlers go about it: decode, then go on in a fiber of the connection, which may wait.
#pragma once

#include <algorithm>
#include <utility>

#include "core/broker/broker.h"
#include "core/broker/connection.h"
#include "core/broker/handlers.h"
#include "core/protocol/message.h"

namespace chronik::broker {

// Calls answer(broker, request, message) in a fiber of the request's connection; where it takes the message by value,
// that is all there is of it. What cannot be decoded closes the connection.
template <typename M, auto answer>
void decode_and_answer(const char* name, Broker& broker, Request&& request) {
  StatusOr<M> asked = protocol::decode<M>(request.body, request.header.version);
  if (!asked.ok()) {
    return broker.refuse_malformed(request, asked.status());
  }
  ClientConnection& connection = request.connection;
  connection.spawn(name, [&broker, request = std::move(request), asked = *std::move(asked)]() mutable {
    answer(broker, request, std::move(asked));
  });
}

// As long as the client waits, but not longer than a request may take.
inline Deadline deadline_of(Broker& broker, std::int32_t timeout_ms) {
  const Duration asked = Duration::milliseconds(std::max(timeout_ms, 0));
  return fiber::within(std::min(asked, broker.limits().request), Expiry::kPeer);
}

// Of a request that says nothing about how long its client waits.
inline Deadline deadline_of(Broker& broker) { return fiber::within(broker.limits().request, Expiry::kPeer); }

}  // namespace chronik::broker
