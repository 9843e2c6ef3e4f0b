// A node's part in its group: how the group begins, the links to the others, and the driver.
//
// Links follow the members. Each connection begins with who dials it, and of which group with which members. A node
// that hears of no leader, or is no member yet, announces itself to all that it knows of once a second besides; whoever
// has a group answers with its members and where they are. So one that waits to be added is known to those who add it,
// one that was away learns of those who came meanwhile, and one that was removed learns that (rule R15). What comes
// from a directory that is an older copy of itself is not heard; it is told that, and its process ends.
//
// Usage: form(), then open() with the machine that applies the log, then start(). A node without peers is a group of
// its own.
#pragma once

#include <map>
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
  MemberAddress address;   // where the others find this one; without a host: where their configuration says
  PeerLinksOptions links;  // no peers: the node is alone, and needs no address
  DriverOptions driver;
  Duration announce = Duration::milliseconds(200);  // while the group forms
  Duration announce_again = Duration::seconds(1);   // without a leader
};

class GroupOwner {
 public:
  virtual ~GroupOwner() = default;
  // The group has told this node that it is a member no more. Once; must not suspend.
  virtual void on_removed() = 0;
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
  // The group has told it that it is a member no more.
  bool removed() const { return removed_; }
  // Outlives it.
  void attach(GroupOwner& owner) { owner_ = &owner; }
  // This one, and those of which something came lately.
  std::size_t nodes_heard() const { return 1 + (alone() ? 0 : links_->heard_lately()); }

 private:
  bool accepts(NodeId from, const Life& life, Rival rival) override;
  void on_peer_message(NodeId from, const Life& life, PeerMessage message) override;
  void on_peer_gone(NodeId node) override;
  void on_stranger(NodeId from, const PeerMessage& message) override;
  std::optional<PeerMessage> greeting() const override;
  void send(NodeId to, const PeerMessage& message) override;
  void on_group_change() override;
  const MemberAddress* configured_address_of(NodeId node) const override;
  std::optional<Member> find_stranger(NodeId node) const override;
  void seek(const MemberAddress& at) override;
  Status agree(Identity& identity, const Deadline& deadline);
  void announce();
  Announcement formed_announcement() const;
  Announcement lost_announcement() const;
  void hear_formed(const Announcement& announcement);
  void hear_lost(const Announcement& announcement);
  bool is_lost() const;
  // Whether it is said for the first time that this life is not heard.
  bool is_news(NodeId from, const Life& life);
  void put_off(NodeId from, const Life& life, const std::string& why);
  void refuse(NodeId from, const Life& life, const std::string& why);
  void hear_of_own_copy(NodeId from, const OlderCopy& told);
  void announce_while_lost();
  void follow_members();

  KeyValueStore& store_;
  Process& process_;
  GroupOptions options_;
  std::unique_ptr<PeerLinks> links_;
  std::optional<Formation> formation_;  // while the group forms
  fiber::Event heard_;
  Membership first_;
  Uuid cluster_;
  Life life_;
  KnownLives lives_;
  std::map<NodeId, Uuid> refused_;  // incarnations that were said to be refused
  std::unique_ptr<Driver> driver_;
  const StateMachine* machine_ = nullptr;
  bool started_ = false;
  struct Stranger {
    Announcement said;
    MonotonicTime heard;
  };
  std::map<NodeId, Stranger> strangers_;  // who announced themselves and are no members
  std::map<NodeId, MemberAddress> told_;  // where others say that members are
  LogIndex told_as_of_{0};
  std::optional<MemberAddress> sought_;  // of who is about to be added
  bool removed_ = false;
  bool older_copy_ = false;  // it has been told so, says nothing more, and is about to end
  GroupOwner* owner_ = nullptr;
  fiber::Event group_changed_;
  fiber::FiberScope driver_scope_;
};

}  // namespace chronik::raft
