#include "sim/knobs.h"

#include <array>
#include <utility>

namespace chronik::sim {

namespace {

// One list of names for both directions: `each(name, member)` for every knob.
template <typename Knobs, typename Each>
void each_network_knob(Knobs& knobs, Each&& each) {
  each("network.delay_ns", knobs.delay);
  each("network.delay_most_ns", knobs.delay_most);
  each("network.loopback_delay_ns", knobs.loopback_delay);
  each("network.bytes_per_second", knobs.bytes_per_second);
  each("network.send_buffer", knobs.send_buffer);
  each("network.receive_buffer", knobs.receive_buffer);
  each("network.segment_most", knobs.segment_most);
  each("network.transfer_most", knobs.transfer_most);
  each("network.backlog", knobs.backlog);
  each("network.syn_retry_ns", knobs.syn_retry);
  each("network.resolve_most_ns", knobs.resolve_most);
  each("network.give_up_ns", knobs.give_up);
  each("network.reset_ppm", knobs.reset);
  each("network.half_open_ppm", knobs.half_open);
  each("network.refuse_ppm", knobs.refuse);
  each("network.lost_syn_ppm", knobs.lost_syn);
  each("network.no_descriptor_ppm", knobs.no_descriptor);
}

template <typename Turns, typename Each>
void each_turn_knob(Turns& turns, Each&& each) {
  each("turn.cost_ns", turns.turn_cost);
  each("turn.cost_most_ns", turns.turn_cost_most);
  each("turn.resume_cost_ns", turns.resume_cost);
  each("turn.timer_granularity_ns", turns.timer_granularity);
  each("turn.resumes", turns.resumes_per_turn);
}

template <typename Clock, typename Each>
void each_clock_knob(Clock& clock, Each&& each) {
  each("clock.drift_ppm", clock.drift_parts_per_million);
  each("clock.origin_ns", clock.origin);
  each("clock.wall_ms", clock.wall_milliseconds);
}

std::int64_t number_of(Duration value) { return value.nanoseconds(); }
std::int64_t number_of(PerMillion value) { return value.value; }
std::int64_t number_of(std::int64_t value) { return value; }
std::int64_t number_of(std::size_t value) { return static_cast<std::int64_t>(value); }

void assign(Duration& into, std::int64_t value) { into = Duration::nanoseconds(value); }
void assign(PerMillion& into, std::int64_t value) { into = {static_cast<std::uint32_t>(value)}; }
void assign(std::int64_t& into, std::int64_t value) { into = value; }
void assign(std::size_t& into, std::int64_t value) { into = static_cast<std::size_t>(value); }

auto storing(Numbers& into) {
  return [&into](const char* name, const auto& value) { into[name] = number_of(value); };
}
auto loading(const Numbers& from) {
  return [&from](const char* name, auto& value) {
    if (const auto found = from.find(name); found != from.end()) {
      assign(value, found->second);
    }
  };
}

}  // namespace

void store_knobs(const NetworkKnobs& knobs, Numbers& into) { each_network_knob(knobs, storing(into)); }

NetworkKnobs network_knobs(const Numbers& from) {
  NetworkKnobs knobs;
  each_network_knob(knobs, loading(from));
  return knobs;
}

void store_knobs(const TurnKnobs& turns, const ClockKnobs& clock, Numbers& into) {
  each_turn_knob(turns, storing(into));
  each_clock_knob(clock, storing(into));
}

TurnKnobs turn_knobs(const Numbers& from) {
  TurnKnobs knobs;
  each_turn_knob(knobs, loading(from));
  return knobs;
}

ClockKnobs clock_knobs(const Numbers& from) {
  ClockKnobs knobs;
  each_clock_knob(knobs, loading(from));
  return knobs;
}

PlanMachine draw_machine(std::string name, std::string role, Draws& draws) {
  static constexpr std::array<std::int64_t, 4> kGrains{1, 1'000'000, 1'000'000, 4'000'000};
  TurnKnobs turns;
  turns.turn_cost = Duration::nanoseconds(draws.magnitude(500, 100'000));
  turns.turn_cost_most = turns.turn_cost * draws.magnitude(2, 2000);
  turns.resume_cost = Duration::nanoseconds(draws.magnitude(50, 5'000));
  turns.timer_granularity = Duration::nanoseconds(kGrains[draws.below(kGrains.size())]);
  turns.resumes_per_turn = draws.below(4) == 0 ? static_cast<std::size_t>(draws.magnitude(2, 100)) : 1'000;
  ClockKnobs clock;
  clock.drift_parts_per_million = draws.between(-200, 200);
  clock.origin = Duration::seconds(draws.magnitude(1, 10'000'000));
  clock.wall_milliseconds += draws.between(-5'000, 5'000);
  PlanMachine machine{std::move(name), std::move(role), {}};
  store_knobs(turns, clock, machine.numbers);
  return machine;
}

}  // namespace chronik::sim
