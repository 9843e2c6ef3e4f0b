// A scenario: how to draw a plan from a seed, and how to build a world from a plan. It is a file of its own in
// sim/scenarios/, named in scenarios.cc; docs/SIMULATION.md shows how to write one.
//
// A run has two parts (the first breaks things, the second demands that they come right): until plan.lasts the nemesis
// carries out the plan's faults; then everything is healed and stays so for plan.calm; then the checkers judge the end.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/nemesis.h"
#include "sim/plan.h"
#include "sim/world.h"

namespace chronik::sim {

// What a scenario keeps while one of its runs lasts: what its programs and checkers share.
class ScenarioState {
 public:
  virtual ~ScenarioState() = default;
  // What its clients did and saw, for other checkers to read (Scenario::keeps_history).
  virtual std::string history_text() const { return {}; }
};

class Scenario {
 public:
  virtual ~Scenario() = default;
  virtual const char* name() const = 0;
  virtual const char* description() const = 0;  // one line
  virtual bool keeps_history() const { return false; }
  // Kinds of faults (World::fault_fired) that some seed must have met: one that never fires makes the run worthless.
  virtual std::vector<std::string> announced_faults() const = 0;
  // The checkers (docs/SIMULATION.md) whose findings it is there for, the most telling ones first.
  virtual std::vector<std::string> promises() const { return {}; }
  // Plain code: the same seed gives the same plan.
  virtual Plan generate(std::uint64_t seed) const = 0;
  // Adds machines, checkers and programs, and starts them. What it returns outlives every program.
  virtual std::unique_ptr<ScenarioState> build(World& world, const Plan& plan, Nemesis& nemesis) const = 0;
  // The end of the calm part: what is to be true now. Says World::fail() where it is not.
  virtual void at_end(World& /*world*/, ScenarioState& /*state*/) const {}
};

// Every scenario that is to hold, in the order in which they are listed.
const std::vector<const Scenario*>& scenarios();
const Scenario* find_scenario(std::string_view name);  // one of them, or one that must fail; or null
// What "steady,f1*" names, in the order of the list, each once; "all" and "*" are all of them; those that must fail
// only by their whole names. kNotFound: a part of it names none; the message says which.
StatusOr<std::vector<const Scenario*>> select_scenarios(std::string_view names);

// ---- what every plan begins with ----

// Seed, schedule (one seed in six runs first-in-first-out), network, from the seed.
Plan draw_plan(const Scenario& scenario, std::uint64_t seed, Draws& draws);
// Adds the plan's machine of this name to the world, with the plan's knobs and the next free address (10.0.0.n).
// A machine whose numbers say disk=1 has a disk and a store, with drawn sizes and speeds.
Machine& add_planned_machine(World& world, const PlanMachine& machine);

}  // namespace chronik::sim
