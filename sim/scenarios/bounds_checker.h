// What a node takes, looked at ten times a second, of several nodes twice: checkers BOUNDED and NO-SPIN.
//
// BOUNDED: fibers, connections, bytes of requests and answers, open files and files of the write-ahead log stay below
// what the configuration allows at every moment, and files of the write-ahead log also across deaths, however many, of
// whatever kind; once no client is there, connections and their bytes are gone, too. A node of several keeps what it
// needs for the others; of it that is looked at in the end, where all clients have gone.
// NO-SPIN: once no client is there, a node alone takes at most kIdleTurns turns a second.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/node/node.h"

#include "sim/checkers.h"
#include "sim/world.h"

namespace chronik::sim {

class BoundsChecker final : public Checker {
 public:
  static constexpr std::uint64_t kIdleTurns = 20;  // a second

  struct Views {
    std::function<const node::Node*()> node;  // null: it does not serve
    std::function<const node::NodeConfig&()> config;
    std::function<bool()> rots = [] { return false; };  // a recovery may need one file more
    std::function<std::size_t()> peers = [] { return std::size_t{0}; };
    std::function<std::uint64_t()> idle_turns = [] { return kIdleTurns; };  // a second
    Duration between_looks = Duration::milliseconds(100);
    std::function<bool()> alone = nullptr;  // of several nodes: all clients have gone
  };
  // The machine runs nodes.
  BoundsChecker(World& world, Machine& machine, Views views);
  const char* id() const override { return "BOUNDED"; }
  void on_exit(Machine& machine, const Exit& exit) override;
  void at_end(World& world) override;

 private:
  void look();
  std::uint64_t wal_files() const;
  std::uint64_t fibers() const;
  std::uint64_t fibers_alone() const;
  void look_at_bounds();
  void look_at_rest();
  void expect(std::uint64_t amount, std::uint64_t most, std::string_view what);

  World& world_;
  Machine& machine_;
  Views views_;
  VirtualTime alone_since_ = VirtualTime::never();  // no connection has been there since
  std::uint64_t turns_then_ = 0;
  VirtualTime gone_since_ = VirtualTime::never();  // all clients of several nodes
};

// Whether more directories of partitions are on the machine's disk than the node has partitions, those that were set
// aside included; says which, or nothing. To be asked when all was healed for longer than they are kept.
std::string directories_left(Machine& machine, const node::Node& node);

}  // namespace chronik::sim
