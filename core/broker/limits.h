// What clients may take of a broker.
//
// A connection that has as many requests or fibers as it may, or a node that holds as many bytes, reads nothing more
// until there is room; a connection for which there is none within `request` is closed. So are those beyond
// connections_max, and those that exceed frame, write, frame_bytes_max, answer_bytes_max or idle. A fetch for whose
// session there is no room is answered without one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/time.h"

namespace chronik::broker {

struct Limits {
  std::size_t connections_max = 10'000;      // more are accepted and closed at once
  std::size_t requests_per_connection = 64;  // received and not yet answered
  std::size_t fibers_per_connection = 16;    // of requests that wait in one: those of all are a bounded number
  std::uint64_t request_bytes_per_node = 512ULL << 20;   // frames being handled
  std::uint64_t response_bytes_per_node = 512ULL << 20;  // fetched data on its way out
  Duration frame = Duration::seconds(30);                // from a frame's first byte to its last
  Duration write = Duration::seconds(30);                // for the client to take one answer
  Duration request = Duration::seconds(60);              // for one request to be answered, a fetch's wait added
  Duration node_answer = Duration::seconds(60);          // for another node to answer, what it waits for itself added
  std::size_t answer_bytes_max = 100 << 20;              // of one answer, but for its records; larger is not sent
  std::size_t session_partitions_per_node = 500'000;     // in all fetch sessions together

  // Settings of the broker by Kafka's names: a node takes them from there.
  std::int32_t frame_bytes_max = 100 * 1024 * 1024;  // socket.request.max.bytes; larger closes the connection
  std::int32_t fetch_bytes_max = 55 * 1024 * 1024;   // fetch.max.bytes: of one fetch's answer
  Duration idle = Duration::seconds(600);            // connections.max.idle.ms
  std::size_t fetch_sessions_max = 1000;             // max.incremental.fetch.session.cache.slots
};

}  // namespace chronik::broker
