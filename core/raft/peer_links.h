// The connections between the nodes of a group: each node dials every other, and what it says goes over its own
// connection. Answers come over the other's.
//
// A peer that is down costs the others nothing: each has a queue and a fiber of its own, and what cannot be sent is
// dropped, as Raft expects of a network. Dialling goes on with a pause that stays short, so that a peer is found within
// a second of its return. Each frame says how many the peer has had; a connection whose frames do not arrive, whatever
// comes over the other one, is taken for half-open and dialled anew. Peers come and go while it runs. Lifetime: made
// within a fiber, whose scope it lives under; stop() before it is destroyed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/counted.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait.h"
#include "core/ports/network.h"
#include "core/raft/membership.h"
#include "core/raft/peer_message.h"

namespace chronik::raft {

using PeerAddress = MemberAddress;

struct PeerLinksOptions {
  NodeId self;
  Address bind;
  std::vector<PeerAddress> peers;           // the others, at first
  std::size_t queue_bytes_max = 8 << 20;    // for one peer; what is beyond it is dropped
  std::int32_t frame_bytes_max = 64 << 20;  // of one that comes in
  std::size_t connections_max = 64;         // that come in
  Duration connect = Duration::seconds(1);
  Duration write = Duration::seconds(2);            // of what waits for one peer
  Duration frame = Duration::seconds(30);           // from its length to its end
  Duration introduction = Duration::seconds(5);     // until a connection that comes in has said who it is
  Duration idle = Duration::seconds(600);           // of a connection that comes in
  Duration silence = Duration::milliseconds(1500);  // of a peer that is being sent something and says it has nothing
  Duration pause_min = Duration::milliseconds(50);  // between two attempts to connect
  Duration pause_max = Duration::milliseconds(500);
};

class PeerListener {
 public:
  virtual ~PeerListener() = default;
  // Before each message: whether what is said in that life is to be heard, where another life of that node is on the
  // line as `rival` says. False ends the connection. Must not suspend.
  virtual bool accepts(NodeId from, const Life& life, Rival rival) = 0;
  // From a peer, as far as it says so itself. Must not suspend.
  virtual void on_peer_message(NodeId from, const Life& life, PeerMessage message) = 0;
  // From a node that is no peer. Where it is put() now, it is heard as one from this message on; else its connection is
  // closed. Must not suspend.
  virtual void on_stranger(NodeId from, const PeerMessage& message) = 0;
  // What a new connection to a node begins with, after its Introduction; null: nothing. Must not suspend.
  virtual std::optional<PeerMessage> greeting() const = 0;
  // It has been heard before; now its connections have ended, and its machine refuses new ones: again and again, until
  // it is heard. Must not suspend.
  virtual void on_peer_gone(NodeId node) = 0;
};

class PeerLinks {
 public:
  // All outlive it.
  PeerLinks(Network& network, const PeerLinksOptions& options, PeerListener& listener);
  ~PeerLinks();
  PeerLinks(const PeerLinks&) = delete;
  PeerLinks& operator=(const PeerLinks&) = delete;

  // self: whose life connections are begun in. kFailedPrecondition: the address is in use or not ours.
  Status start(const Life& self);
  void stop() { scope_.cancel_and_join(); }

  // From now on it is a peer, at that address; in the place of another. May be called while a message is heard.
  void put(const PeerAddress& peer);
  // No longer: what waits for it is dropped.
  void drop(NodeId node);
  // Null: it is no peer. Good until the next put() or drop().
  const PeerAddress* find(NodeId node) const;
  std::vector<NodeId> peers() const;

  // How many peers have sent something in the last seconds.
  std::size_t heard_lately() const;

  // Does not wait. In order, or not at all.
  void send(NodeId to, const PeerMessage& message);

 private:
  // One life of a peer, on the connections that come in from it.
  struct Voice {
    std::size_t connections = 0;
    MonotonicTime latest;  // when a frame came last
  };
  struct Link : Counted {
    PeerAddress peer;
    std::deque<Slice> queue;
    std::size_t queued_bytes = 0;
    fiber::Event arrived;
    std::map<Uuid, Voice> voices;  // by incarnation, of the connections on which it has said who it is
    bool suspect = false;          // the last of them has ended: is it still there?
    std::uint64_t received = 0;    // frames from it
    MonotonicTime latest;          // of them
    std::uint64_t answered = 0;    // how many of ours it says it has had
    MonotonicTime heard;           // when that last changed
    bool dropped = false;
  };
  void start_link(const Ref<Link>& link);
  void run(Link& link);
  // Returns when the connection has broken, the peer has become suspect, or its time has come.
  Status serve(Link& link, Connection& connection);
  Status greet(const Link& link, Connection& connection);
  // What a connection that comes in is known to be: whose, and in which life.
  struct Incoming {
    Ref<Link> link = {};
    std::optional<Life> life = {};
    ~Incoming();
  };
  // Another life than that one.
  Rival rival_of(const Link& link, const Uuid& incarnation) const;
  // False: the connection is to end.
  bool take(Incoming& incoming, PeerFrame frame, const Connection& connection);
  Status wait_for_work(Link& link);
  void drop_queue(Link& link);
  void accept_all();
  void read_all(Connection& connection);

  Network& network_;
  PeerLinksOptions options_;
  PeerListener& peer_listener_;
  std::map<NodeId, Ref<Link>> links_;  // each also held by the fibers that use it
  bool started_ = false;
  Life self_;
  std::unique_ptr<Listener> listener_;
  std::size_t connections_ = 0;
  std::uint64_t accepted_ = 0;
  fiber::FiberScope scope_;
};

}  // namespace chronik::raft
