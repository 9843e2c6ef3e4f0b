// Forwarding: for clients that can reach one node only, this node takes what they ask of partitions that other nodes
// lead to their leaders, and brings the answers back.
//
// It is decided by the image who leads; a request that was forwarded is not forwarded again (one hop), and nothing goes
// to oneself. A produce is sent once: whether to try again is the client's to decide, who alone has its sequence
// numbers (rule R17). A leader of which the image says that it is gone takes its links with it, so that nobody waits
// for a dead node.
//
// Links are pooled: a client's connection keeps the one that its requests to a leader go over, and leaves it to others
// when it ends. Usage: construct in the node's fiber, stop() when no client is connected any more.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/cancel.h"
#include "core/broker/forward_link.h"
#include "core/broker/limits.h"
#include "core/cluster/metadata.h"
#include "core/protocol/errors.h"
#include "core/protocol/messages/fetch.h"

namespace chronik::broker {

struct ForwardingOptions {
  std::size_t links_per_node_max = 1024;  // more clients than that share them
  std::size_t in_flight_max = 256;        // requests of one link without an answer; more are refused
  Duration connect = Duration::seconds(5);
  Duration pause = Duration::milliseconds(100);  // after a link could not be connected; requests are refused until then
};

// A fetch that waits at a leader while others wait for its partitions, too. It brings no records, only the news that
// there are some.
class ParkedFetch final : public Counted, private ForwardCall {
 public:
  ParkedFetch(ForwardLink& link, protocol::FetchRequest request);
  // Where the leader has not answered yet, breaks the link: it would delay whoever gets it next.
  ~ParkedFetch() override;

  Status send(std::int16_t version);
  bool done() const { return done_; }
  const protocol::FetchRequest& request() const { return request_; }
  fiber::Event& event() { return event_; }
  const WaitKey& wait_key() const { return key(); }

 private:
  void on_forwarded(StatusOr<Slice> body) override;

  std::unique_ptr<ForwardPin> pin_;
  protocol::FetchRequest request_;
  bool done_ = false;
  fiber::Event event_;
};

// What of forwarding belongs to one client's connection.
struct ClientForwards {
  std::map<NodeId, std::unique_ptr<ForwardPin>> pins;
  std::map<NodeId, Ref<ParkedFetch>> parked;
};

class Forwarding final : private cluster::MetadataListener {
 public:
  // References outlive it.
  Forwarding(Network& network, cluster::Metadata& metadata, NodeId self, const Limits& limits,
             const ForwardingOptions& options);
  ~Forwarding() override;
  Forwarding(const Forwarding&) = delete;
  Forwarding& operator=(const Forwarding&) = delete;

  void stop();

  // Whether a request with this client id comes from a node that forwards it.
  static bool is_forwarded(const std::optional<std::string>& client_id);

  // The pin by which the client's requests go to `leader`, in their order. Null: the leader is not known to live, or
  // could not be reached a moment ago. May suspend where a broken link is put away.
  ForwardPin* pinned(ClientConnection& client, NodeId leader);
  // A link that nobody else uses, for a fetch that waits; null: there is none.
  ForwardLink* unused(NodeId leader);

 private:
  struct Target {
    BrokerEpoch epoch;  // of the incarnation that the links lead to
    std::vector<std::unique_ptr<ForwardLink>> links;
    MonotonicTime not_before;
  };
  void on_metadata(const cluster::Delta& delta) override;
  ForwardLink* take(NodeId leader, bool shared_too);
  ForwardLink* choose(Target& target, const cluster::Broker& broker, bool shared_too);
  std::vector<std::unique_ptr<ForwardLink>> take_ended(Target& target) const;

  Network& network_;
  cluster::Metadata& metadata_;
  NodeId self_;
  const Limits& limits_;
  ForwardingOptions options_;
  CancelSource source_;  // of the links' fibers
  std::map<NodeId, Target> targets_;
};

}  // namespace chronik::broker
