// A node's part in its group: how the group begins, the links to the others, and the driver.
//
// Usage: form(), then open() with the machine that applies the log, then start(). A node without peers is a group of
// its own.
#pragma once

#include <memory>
#include <optional>

#include "core/fiber/scope.h"
#include "core/raft/driver.h"
#include "core/raft/formation.h"
#include "core/raft/identity.h"
#include "core/raft/peer_links.h"

namespace chronik::raft {

struct GroupOptions {
  Member self;
  PeerLinksOptions links;  // no peers: the node is alone, and needs no address
  DriverOptions driver;
  Duration announce = Duration::milliseconds(200);  // while the group forms
};

class GroupMember final : private PeerListener, private Peers {
 public:
  // All outlive it. Made within a fiber.
  GroupMember(Network& network, KeyValueStore& store, Process& process, const GroupOptions& options);
  ~GroupMember() override;

  // Waits until the group has begun, which takes all of its first voters; once that has been, returns at once. Sets
  // identity.cluster, durably. kDeadlineExceeded: they were not all there; kFailedPrecondition: the address is not
  // usable; and the store's errors.
  Status form(Identity& identity, const Deadline& deadline);
  Status open(StateMachine& machine, const Deadline& deadline);
  void start();
  void stop();

  Driver& driver() { return *driver_; }
  const Driver& driver() const { return *driver_; }
  bool alone() const { return links_ == nullptr; }
  // This one, and those of which something came lately.
  std::size_t nodes_heard() const { return 1 + (alone() ? 0 : links_->heard_lately()); }

 private:
  void on_peer_message(NodeId from, PeerMessage message) override;
  void on_peer_gone(NodeId node) override;
  void send(NodeId to, const PeerMessage& message) override;
  Status agree(Identity& identity, const Deadline& deadline);
  void announce();
  Announcement formed_announcement() const;

  KeyValueStore& store_;
  Process& process_;
  GroupOptions options_;
  std::unique_ptr<PeerLinks> links_;
  std::optional<Formation> formation_;  // while the group forms
  fiber::Event heard_;
  Membership first_;
  Uuid cluster_;
  std::unique_ptr<Driver> driver_;
  bool started_ = false;
  fiber::FiberScope driver_scope_;
};

}  // namespace chronik::raft
