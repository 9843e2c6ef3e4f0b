#include "sim/nemesis.h"

#include <memory>
#include <utility>

#include "core/base/mix.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/points.h"
#include "sim/story.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {

Duration duration_of(const PlanFault& fault) {
  return Duration::nanoseconds(fault.number("for_ns", Duration::seconds(1).nanoseconds()));
}

}  // namespace

Nemesis::Nemesis(World& world) : world_(world) {
  teach_deaths();
  teach_network();
  teach_points();
}

void Nemesis::teach(std::string kind, Strike strike, std::function<void()> heal) {
  CHECK(kinds_.emplace(std::move(kind), Kind{std::move(strike), std::move(heal)}).second);
}

void Nemesis::arm(const std::vector<PlanFault>& faults) {
  for (const PlanFault& fault : faults) {
    CHECK(kinds_.contains(fault.kind));
    world_.at(fault.at, [this, fault] {
      if (!healed_) {
        strike(fault);
      }
    });
  }
}

void Nemesis::strike(const PlanFault& fault) {
  if (world_.story() != nullptr) [[unlikely]] {
    world_.story()->strikes(&fault);
  }
  kinds_.at(fault.kind).strike(fault);
  if (world_.story() != nullptr) [[unlikely]] {
    world_.story()->strikes(nullptr);
  }
}

void Nemesis::heal() {
  healed_ = true;
  if (world_.story() != nullptr) [[unlikely]] {
    world_.story()->healed();
  }
  world_.network().calm();
  for (const auto& [name, kind] : kinds_) {
    if (kind.heal) {
      kind.heal();
    }
  }
  world_.points()->forget();
  for (const std::unique_ptr<Machine>& machine : world_.machines()) {
    machine->resume();
    if (!machine->running() && machine->last_exit().has_value() && machine->last_exit()->how != Death::kExit) {
      machine->start();
    }
  }
}

void Nemesis::later(const PlanFault& fault, std::function<void()> undo) {
  world_.after(duration_of(fault), [this, act = std::move(undo)] {
    if (!healed_) {
      act();
    }
  });
}

void Nemesis::restart(Machine& machine, Duration delay) {
  world_.after(delay, [&machine] {
    if (!machine.running()) {
      machine.start();
    }
  });
}

// ---- deaths ----

void Nemesis::die(const PlanFault& fault, Death how, std::string_view name) {
  Machine& machine = world_.machine(fault.target);
  if (machine.running()) {
    world_.fault_fired(name, mix_text(fault.target));
    dies_ = &machine;
    machine.kill(how);
    dies_ = nullptr;
    restart(machine, duration_of(fault));
  }
}

void Nemesis::teach_deaths() {
  teach("kill", [this](const PlanFault& fault) { die(fault, Death::kProcessKill, "process kill"); });
  teach("power", [this](const PlanFault& fault) { die(fault, Death::kPowerLoss, "power loss"); });
  teach("suspend", [this](const PlanFault& fault) {
    Machine& machine = world_.machine(fault.target);
    if (machine.running() && !machine.suspended()) {
      world_.fault_fired("suspend", mix_text(fault.target));
      machine.suspend();
      later(fault, [&machine] { machine.resume(); });
    }
  });
  teach("step", [this](const PlanFault& fault) {
    world_.fault_fired("clock step", mix_text(fault.target));
    world_.machine(fault.target).clock().step_wall(Duration::milliseconds(fault.number("by_ms", 1000)));
  });
}

// ---- points of the code ----

void Nemesis::teach_points() {
  teach("point", [this](const PlanFault& fault) {
    // Counted when it strikes; then somebody must start the machine again: whoever watches its exits (restart()).
    world_.points()->kill_at(fault.target, find_point(fault.other), static_cast<std::uint64_t>(fault.number("nth", 0)),
                             fault.number("power", 0) != 0 ? Death::kPowerLoss : Death::kProcessKill);
  });
  for (const char* kind : {"pause", "fail"}) {
    teach(kind, [this](const PlanFault& fault) {
      world_.points()->begin({.id = fault.id,
                              .machine = fault.target,
                              .point = find_point(fault.other),
                              .odds = {static_cast<std::uint32_t>(fault.number("ppm", 1'000'000))},
                              .delay = Duration::nanoseconds(fault.number("delay_ns", 0)),
                              .fails = fault.kind == "fail"});
      later(fault, [this, id = fault.id] { world_.points()->end(id); });
    });
  }
}

// ---- the network ----

std::vector<std::pair<Machine*, Machine*>> Nemesis::ways(const PlanFault& fault, bool both) {
  std::vector<std::pair<Machine*, Machine*>> found;
  Machine& target = world_.machine(fault.target);
  for (const std::unique_ptr<Machine>& other : world_.machines()) {
    if (other.get() != &target && (fault.other == "*" || fault.other == other->name())) {
      found.emplace_back(&target, other.get());
      if (both) {
        found.emplace_back(other.get(), &target);
      }
    }
  }
  return found;
}

void Nemesis::teach_network() {
  teach("partition", [this](const PlanFault& fault) {
    const bool one_way = fault.number("one_way", 0) != 0;
    const auto covered = ways(fault, !one_way);
    world_.fault_fired(one_way ? "one-way partition" : "partition", mix_text(fault.target));
    for (const auto& [from, to] : covered) {
      world_.network().block(*from, *to);
    }
    later(fault, [this, covered] {
      for (const auto& [from, to] : covered) {
        world_.network().unblock(*from, *to);
      }
    });
  });
  teach("clog", [this](const PlanFault& fault) {
    world_.fault_fired("clog", mix_text(fault.target));
    for (const auto& [from, to] : ways(fault, false)) {
      world_.network().link(*from, *to).clog_until(world_.now() + duration_of(fault));
    }
  });
  teach("slow", [this](const PlanFault& fault) {
    const auto covered = ways(fault, true);
    world_.fault_fired("slow link", mix_text(fault.target));
    for (const auto& [from, to] : covered) {
      world_.network().link(*from, *to).set_extra_delay(Duration::nanoseconds(fault.number("delay_ns", 100'000'000)));
    }
    later(fault, [this, covered] {
      for (const auto& [from, to] : covered) {
        world_.network().link(*from, *to).set_extra_delay(Duration::zero());
      }
    });
  });
  teach("slow-channel", [this](const PlanFault& fault) {
    const auto covered = ways(fault, true);
    const auto port = static_cast<std::uint16_t>(fault.number("port", 0));
    world_.fault_fired("slow channel", mix_text(fault.target));
    for (const auto& [from, to] : covered) {
      world_.network().link(*from, *to).set_extra_delay_of(port, Duration::nanoseconds(fault.number("delay_ns", 0)));
    }
    later(fault, [this, covered, port] {
      for (const auto& [from, to] : covered) {
        world_.network().link(*from, *to).set_extra_delay_of(port, Duration::zero());
      }
    });
  });
  teach("thin", [this](const PlanFault& fault) {
    const auto covered = ways(fault, true);
    world_.fault_fired("thin link", mix_text(fault.target));
    for (const auto& [from, to] : covered) {
      world_.network().link(*from, *to).set_bytes_per_second(fault.number("bytes_per_second", 10'000));
    }
    later(fault, [this, covered] {
      for (const auto& [from, to] : covered) {
        world_.network().widen(world_.network().link(*from, *to));
      }
    });
  });
  teach("reset", [this](const PlanFault& fault) {
    Draws draws = world_.decisions().draws("fault", fault.id);
    const bool half_open = fault.number("half_open", 0) != 0;
    if (world_.network().break_a_connection(draws, !half_open)) {
      world_.fault_fired(half_open ? "half-open connection" : "connection reset", mix_text(fault.target));
    }
  });
}

}  // namespace chronik::sim
