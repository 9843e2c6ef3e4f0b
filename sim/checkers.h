// The judges of a world (rule S15): what they are told, and who tells them.
//
// A checker sees three things: what nodes believe (an Observer per shard), what travelled (the history that clients
// keep, a matter between a scenario and its checkers), and what is on disk. It says World::fail(id, message) when they
// disagree.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/observer.h"

namespace chronik::sim {

class Machine;
class Shard;
class StoryObserver;
class World;
struct Exit;

class Checker {
 public:
  virtual ~Checker() = default;
  // "ACK-DURABLE"; listed in docs/SIMULATION.md.
  virtual const char* id() const = 0;
  // Who listens to this shard from its start; null: this checker does not. Owned by the checker; lives until on_exit.
  virtual Observer* observe(Shard& /*shard*/) { return nullptr; }
  // A fault has really fired (World::fault_fired); perhaps from within a fiber. target: mix_text() of a machine's name,
  // where it befell one.
  virtual void on_fault(std::string_view /*kind*/, std::uint64_t /*target*/) {}
  // The process on this machine has ended; its observers hear nothing more.
  virtual void on_exit(Machine& /*machine*/, const Exit& /*exit*/) {}
  // The run is over, without a finding so far: the time for what can only be judged at the end.
  virtual void at_end(World& /*world*/) {}
};

class Checkers {
 public:
  explicit Checkers(World& world);
  ~Checkers();
  Checkers(const Checkers&) = delete;
  Checkers& operator=(const Checkers&) = delete;

  // Adds a checker; before any machine starts.
  template <typename T>
  T& add(std::unique_ptr<T> checker) {
    T& added = *checker;
    checkers_.push_back(std::move(checker));
    return added;
  }
  // One observer for the shard that tells every checker that listens; null where none does.
  Observer* observe(Shard& shard);
  void on_fault(std::string_view kind, std::uint64_t target);
  void on_exit(Machine& machine, const Exit& exit);
  void at_end();

 private:
  class Fan;
  World& world_;
  std::unique_ptr<StoryObserver> teller_;  // where the run has a story; hears before the checkers judge
  std::vector<std::unique_ptr<Checker>> checkers_;
  std::vector<std::pair<Machine*, std::unique_ptr<Fan>>> fans_;
};

}  // namespace chronik::sim
