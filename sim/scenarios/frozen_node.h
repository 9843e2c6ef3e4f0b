// The predecessor's node, as its field reports describe it: one lock around Raft, one around the state machine, one
// around the write-ahead log, a bounded queue whose sender waits, a connection to the leader that a forwarded request
// holds. Each suspicion about why a node was once frozen for 3 h 40 min is a few calls of it (frozen.cc,
// docs/FROZEN.md).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/fiber/scope.h"
#include "core/fiber/turnstile.h"
#include "sim/machine.h"
#include "sim/plan.h"
#include "sim/world.h"

namespace chronik::sim {

class FrozenNode {
 public:
  // other: the node that this one takes for the leader.
  FrozenNode(ProcessContext& process, const Address& other);

  void start();
  // Does what the operation's verb says: one of the functions below.
  void carry_out(const PlanOperation& operation);

 private:
  using Pass = std::optional<fiber::Turnstile::Pass>;
  // A request to the other node, by its number on the connection.
  struct Asked {
    std::map<std::uint64_t, fiber::Latch> answers;
    std::uint64_t last = 0;
  };

  void append();           // the Raft loop: raft, then the log
  void flush();            // the log's committer: the log, then raft ("who leads?")
  void apply();            // the Raft loop: raft, then the state machine
  void list_topics();      // a request: the state machine, then raft ("am I the leader?")
  void append_and_sync();  // the Raft loop: raft, and the disk
  void metadata();         // a request: raft
  void publish();          // the Raft loop: raft, and a place in the queue of changes
  void produce();          // a request for a partition that the other leads: its connection, and its answer
  void consume_changes();  // the queue's consumer: each change takes raft
  void serve();            // takes what the other forwards
  void serve_connection(Connection& connection);
  void read_answers();
  bool forward();

  bool enter(fiber::Turnstile& turnstile, Pass& pass);
  bool work();
  void tell(std::string what);

  ProcessContext& process_;
  Address other_;
  Duration takes_ = Duration::milliseconds(1);  // of each step
  fiber::Turnstile raft_{"raft", 1};
  fiber::Turnstile machine_{"state machine", 2};
  fiber::Turnstile log_{"write-ahead log", 3};
  fiber::Turnstile link_{"connection to the leader", 4};
  std::size_t changes_ = 0;
  fiber::Event change_;  // there is one, or a place has become free
  std::unique_ptr<File> file_;
  std::unique_ptr<Connection> connection_;
  Asked asked_;
  fiber::FiberScope scope_;
};

}  // namespace chronik::sim
