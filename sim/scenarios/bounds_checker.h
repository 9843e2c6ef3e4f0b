// What a node takes, looked at ten times a second: checkers BOUNDED and NO-SPIN.
//
// BOUNDED: fibers, connections, bytes of requests and answers, open files and files of the write-ahead log stay below
// what the configuration allows at every moment, and files of the write-ahead log also across deaths, however many, of
// whatever kind; once no client is there, connections and their bytes are gone, too.
// NO-SPIN: once no client is there, a node takes at most kIdleTurns turns a second.
#pragma once

#include <string_view>

#include "sim/checkers.h"
#include "sim/world.h"

namespace chronik::sim {

struct OneNodeState;

class BoundsChecker final : public Checker {
 public:
  static constexpr std::uint64_t kIdleTurns = 20;  // a second

  BoundsChecker(World& world, OneNodeState& state);
  const char* id() const override { return "BOUNDED"; }
  void on_exit(Machine& machine, const Exit& exit) override;

 private:
  void look();
  std::uint64_t wal_files() const;
  void look_at_bounds();
  void look_at_rest();
  void expect(std::uint64_t amount, std::uint64_t most, std::string_view what);

  World& world_;
  OneNodeState& state_;
  VirtualTime alone_since_ = VirtualTime::never();  // no connection has been there since
  std::uint64_t turns_then_ = 0;
};

}  // namespace chronik::sim
