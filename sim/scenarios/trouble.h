// Strikes that belong together, on the nodes of a group: what one of them alone cannot break, two of them at the right
// distance may.
//
// Each episode is a few faults around one moment: disks that lag, so that what a node has in memory is not what it has;
// losses of power within one flush of each other; a node that comes back while the one that led meanwhile goes; one
// that dies while another has yet to catch up; leaders that go one after the other.
#pragma once

#include <string>
#include <vector>

#include "sim/decision.h"
#include "sim/plan.h"

namespace chronik::sim {

// None in one seed of four, else one to six of them, among `nodes`, which are of plan.machines. Some of the operations
// "produce" that the plan has by now come about then, in quick succession: not before their `not_before_ns`.
void draw_episodes(Plan& plan, Draws draws, const std::vector<std::string>& nodes);

// Rounds in which one of at least three nodes lags for about as long as it takes to fall out of the in-sync sets and to
// come back, and just then others go; again and again, until shortly before plan.lasts. When each begins, in order.
// Who lags is decided by the knobs replica.lag_ms, drawn up to `lag_most`, and replica.fetch_wait_ms. (In
// overtaken.cc.)
std::vector<VirtualTime> draw_overtaken_rounds(Plan& plan, Draws& draws, Duration lag_most);

}  // namespace chronik::sim
