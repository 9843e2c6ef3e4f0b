// What nodes of one group say to each other, and its bytes. docs/formats/peers.md draws them.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/raft/lives.h"
#include "core/raft/message.h"

namespace chronik::raft {

// To the leader: propose this. What becomes of it is seen by its being applied.
struct ProposalForLeader {
  Slice command;
  static void fields(auto& op, auto& m) { op(m.command); }
};

// To the leader: as of which index does a read show everything that is committed by now (thesis 6.4)?
struct ReadQuestion {
  std::uint64_t context = 0;
  static void fields(auto& op, auto& m) { op(m.context); }
};
struct ReadReply {
  std::uint64_t context = 0;
  std::optional<LogIndex> index;  // null: not the leader
  static void fields(auto& op, auto& m) {
    op(m.context);
    op(m.index);
  }
};

// Who a node is, while its group forms, while it waits to be added, or hears of no leader (rule R15); and the answer to
// that, by one that has a group.
struct Announcement {
  Member self;
  std::string host = {};  // where it listens for the others; empty: where they know it to be
  std::uint16_t port = 0;
  Uuid cluster = {};      // formed: the group's; else what this node proposes
  bool formed = false;    // there is a group: there is no other first set of members
  Membership group = {};  // the members, or as voters all of whom it has heard; empty: it has not heard of all yet
  LogIndex index{0};      // formed: as of this index that is committed; 0: it may not be
  friend bool operator==(const Announcement&, const Announcement&) = default;
  static void fields(auto& op, auto& m) {
    op(m.self);
    op(m.host);
    op(m.port);
    op(m.cluster);
    op(m.formed);
    op(m.group);
    op(m.index);
  }
};

// To the leader, with the answer to a heartbeat: what the node's state machine says of it.
struct SignOfLife {
  Slice said;
  static void fields(auto& op, auto& m) { op(m.said); }
};

// What every connection begins with: all that comes over it is said in that life (rule R15).
struct Introduction {
  Life life;
  static void fields(auto& op, auto& m) { op(m.life); }
};

// To one that has introduced itself: its directory has gone on elsewhere, or has forgotten what it said. It ends
// itself.
struct OlderCopy {
  Uuid incarnation;  // of the life that is meant
  std::string why;   // for people
  static void fields(auto& op, auto& m) {
    op(m.incarnation);
    op(m.why);
  }
};

using PeerMessage = std::variant<Message, ProposalForLeader, ReadQuestion, ReadReply, Announcement, SignOfLife,
                                 Introduction, OlderCopy>;

struct PeerFrame {
  NodeId from;
  std::uint64_t received = 0;  // frames that it has had from the addressee: without it, a connection that leads nowhere
                               // looks alive as long as the other one does
  PeerMessage message;
};
// With the length in front.
Slice encode_peer_frame(const PeerFrame& frame);
// Of a frame without its length. Total. kDataLoss: damaged, or of another version.
StatusOr<PeerFrame> decode_peer_frame(ByteSpan bytes);

}  // namespace chronik::raft
