// Carries out the faults of a plan at their times, heals them, and counts those that really struck.
//
// Kinds it knows; `for_ns` is how long a fault lasts or, for a death, when the machine starts again:
//   kill T -, power T -          the process, or the machine's power; then a restart
//   suspend T -                  no turns; the kernel goes on
//   partition T O [one_way=1]    nothing arrives between them (or from T at O); "*": all others
//   clog T O                     nothing leaves from T to O until it ends; then everything at once
//   slow T O delay_ns=           both ways take longer
//   slow-channel T O port= delay_ns=   the same, for connections to that port alone
//   thin T O bytes_per_second=   both ways carry less
//   reset T - [half_open=1]      one live connection breaks; half-open: one side only is told
//   step T - by_ms=              the wall clock steps
//   point T NAME nth=            the process dies at a named point of its code [power=1]
//   pause T NAME ppm= delay_ns=  who passes a point of kind kPause is held up; 0: until all others have run
//   fail T NAME ppm=             what a point of kind kFail guards fails
// Others (the disk's) are registered by whoever carries them out.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/device.h"
#include "sim/plan.h"

namespace chronik::sim {

class Machine;
class World;

class Nemesis {
 public:
  explicit Nemesis(World& world);
  Nemesis(const Nemesis&) = delete;
  Nemesis& operator=(const Nemesis&) = delete;

  // `strike` carries the fault out and says by World::fault_fired() that it did. What it changes for a time, it undoes
  // by an event of its own, and by `heal` where given, which is called once when everything is to be healed.
  using Strike = std::function<void(const PlanFault&)>;
  void teach(std::string kind, Strike strike, std::function<void()> heal = nullptr);

  void arm(const std::vector<PlanFault>& faults);
  // Ends every fault: heals the network, resumes and restarts what is down. No fault strikes any more.
  void heal();
  // Starts the machine after `delay` if nothing runs there then.
  void restart(Machine& machine, Duration delay);
  // For who watches a machine's exits: a fault is ending its process, and will start it again by itself.
  bool restarts(const Machine& machine) const { return dies_ == &machine; }

 private:
  struct Kind {
    Strike strike;
    std::function<void()> heal;
  };
  void strike(const PlanFault& fault);
  void teach_deaths();
  void teach_network();
  void teach_points();
  // Every (from, to) that the fault is about, both ways unless it is one way.
  std::vector<std::pair<Machine*, Machine*>> ways(const PlanFault& fault, bool both);
  // Undoes a fault after its time, unless all is healed by then.
  void later(const PlanFault& fault, std::function<void()> undo);
  void die(const PlanFault& fault, Death how, std::string_view name);

  World& world_;
  absl::btree_map<std::string, Kind> kinds_;
  bool healed_ = false;
  const Machine* dies_ = nullptr;  // by a fault, right now
};

}  // namespace chronik::sim
