// How a simulated network behaves when nobody breaks it, and how it may be broken.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/time.h"
#include "sim/decision.h"

namespace chronik::sim {

struct NetworkKnobs {
  Duration delay = Duration::microseconds(200);      // one way, typical
  Duration delay_most = Duration::milliseconds(50);  // the rare worst
  Duration loopback_delay = Duration::microseconds(10);
  Duration resolve_most = Duration::seconds(5);  // until a name is resolved
  std::int64_t bytes_per_second = 1'000'000'000;
  std::size_t send_buffer = 64 * 1024;
  std::size_t receive_buffer = 64 * 1024;
  std::size_t segment_most = 64 * 1024;       // bytes that travel together; 1 delivers byte by byte
  std::size_t transfer_most = 0;              // bytes that one read or write moves; 0: what fits
  std::size_t backlog = 128;                  // connections that wait to be accepted; more: their SYN is lost
  Duration syn_retry = Duration::seconds(1);  // then twice as long, each time
  Duration give_up = Duration::seconds(120);  // bytes unacknowledged for so long reset the sender's side
  PerMillion reset = {0};                     // per segment: both ends are told, unless the way is blocked
  PerMillion half_open = {0};                 // per segment: one end is reset, the other hears nothing
  PerMillion refuse = {0};                    // per connection: refused although somebody listens
  PerMillion lost_syn = {0};                  // per connection: its first SYN is lost
  PerMillion no_descriptor = {0};             // per accept: kResourceExhausted
};

// Sizes and speeds drawn around sensible ones: small buffers, odd segments, slow links. No faults.
NetworkKnobs draw_network_knobs(Draws& draws);

}  // namespace chronik::sim
