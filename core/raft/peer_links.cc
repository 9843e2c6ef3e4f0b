#include "core/raft/peer_links.h"

#include <algorithm>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/client/dial.h"
#include "core/protocol/frame_reader.h"

namespace chronik::raft {

namespace {
constexpr Duration kAcceptPause = Duration::milliseconds(100);
constexpr Duration kLately = Duration::seconds(3);
}  // namespace

PeerLinks::PeerLinks(Network& network, const PeerLinksOptions& options, PeerListener& listener)
    : network_(network), options_(options), peer_listener_(listener) {
  for (const PeerAddress& peer : options.peers) {
    put(peer);
  }
}

PeerLinks::~PeerLinks() = default;

Status PeerLinks::start(const Life& self) {
  self_ = self;
  ASSIGN_OR_RETURN(listener_, network_.listen(options_.bind));
  scope_.spawn({"peer-acceptor", 0}, [this] { accept_all(); });
  started_ = true;
  for (const auto& [node, link] : links_) {
    start_link(link);
  }
  return ok();
}

void PeerLinks::start_link(const Ref<Link>& link) {
  scope_.spawn({"peer-link", static_cast<std::uint64_t>(link->peer.node.value())}, [this, link] { run(*link); });
}

// ---- who they are ----

void PeerLinks::put(const PeerAddress& peer) {
  CHECK(peer.node != options_.self);
  drop(peer.node);
  const auto link = Ref<Link>::make();
  link->peer = peer;
  links_[peer.node] = link;
  if (started_) {
    start_link(link);
  }
}

void PeerLinks::drop(NodeId node) {
  if (const auto found = links_.find(node); found != links_.end()) {
    drop_queue(*found->second);
    found->second->dropped = true;
    found->second->arrived.notify_all();
    links_.erase(found);
  }
}

const PeerAddress* PeerLinks::find(NodeId node) const {
  const auto found = links_.find(node);
  return found == links_.end() ? nullptr : &found->second->peer;
}

std::vector<NodeId> PeerLinks::peers() const {
  std::vector<NodeId> nodes;
  for (const auto& [node, link] : links_) {
    nodes.push_back(node);
  }
  return nodes;
}

std::size_t PeerLinks::heard_lately() const {
  const MonotonicTime now = fiber::Scheduler::current().now();
  return static_cast<std::size_t>(std::count_if(links_.begin(), links_.end(), [now](const auto& link) {
    return link.second->received > 0 && now - link.second->latest < kLately;
  }));
}

// ---- to the others ----

void PeerLinks::send(NodeId to, const PeerMessage& message) {
  const auto found = links_.find(to);
  if (found == links_.end()) {
    return;
  }
  Link& link = *found->second;
  Slice frame = encode_peer_frame({.from = options_.self, .received = link.received, .message = message});
  if (link.queued_bytes > 0 && link.queued_bytes + frame.size() > options_.queue_bytes_max) {
    return;
  }
  link.queued_bytes += frame.size();
  link.queue.push_back(std::move(frame));
  link.arrived.notify_all();
}

Status PeerLinks::wait_for_work(Link& link) {
  while (link.queue.empty() && !link.suspect && !link.dropped) {
    RETURN_IF_ERROR(link.arrived.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()));
  }
  return link.dropped ? absl::CancelledError("no longer a peer") : ok();
}

void PeerLinks::drop_queue(Link& link) {
  link.queue.clear();
  link.queued_bytes = 0;
}

void PeerLinks::run(Link& link) {
  Duration pause = options_.pause_min;
  bool told = false;
  // What a suspicion ends stays open until the next connection has said whose it is: else the peer, which would see the
  // only one end, would suspect in turn, and both would go on with that for ever.
  std::unique_ptr<Connection> before;
  while (wait_for_work(link).ok()) {
    link.suspect = false;
    StatusOr<std::unique_ptr<Connection>> connection =
        client::dial(network_, link.peer.host, link.peer.port, fiber::within(options_.connect, Expiry::kPeer));
    Status status = connection.ok() ? greet(link, **connection) : connection.status();
    before.reset();
    if (connection.ok() && status.ok()) {
      told = false;
      pause = options_.pause_min;
      status = serve(link, **connection);
    }
    if (absl::IsCancelled(status) || absl::IsAborted(status) || link.dropped) {
      return;
    }
    if (!connection.ok() && absl::IsUnavailable(status) && link.voices.empty() && link.received > 0) {
      peer_listener_.on_peer_gone(link.peer.node);
    }
    if (connection.ok() && link.suspect) {
      before = *std::move(connection);
    } else {
      drop_queue(link);
      if (!std::exchange(told, true)) {
        log_warn("peer not reached", field("node", link.peer.node), field("why", status.ToString()));
      }
    }
    if (!fiber::sleep(pause).ok()) {
      return;
    }
    pause = std::min(pause * 2, options_.pause_max);
  }
}

Status PeerLinks::serve(Link& link, Connection& connection) {
  const fiber::Scheduler& scheduler = fiber::Scheduler::current();
  link.heard = scheduler.now();  // it may be silent for as long as any other
  MonotonicTime asked = MonotonicTime::never();
  for (;;) {
    RETURN_IF_ERROR(wait_for_work(link));
    if (link.suspect) {
      return absl::UnavailableError("its own connection has ended");
    }
    // Silence counts from the first word that went unanswered.
    asked = asked == MonotonicTime::never() || link.heard >= asked ? scheduler.now() : asked;
    if (scheduler.now() - asked > options_.silence) {
      return absl::UnavailableError("it does not answer");
    }
    std::vector<Slice> parts(link.queue.begin(), link.queue.end());
    link.queue.clear();
    link.queued_bytes = 0;
    sim_pause("raft.before_peer_write");
    RETURN_IF_ERROR(connection.write(parts, fiber::within(options_.write, Expiry::kPeer)));
  }
}

Status PeerLinks::greet(const Link& link, Connection& connection) {
  const auto frame_of = [&](PeerMessage message) {
    return encode_peer_frame({.from = options_.self, .received = link.received, .message = std::move(message)});
  };
  std::vector<Slice> frames{frame_of(Introduction{self_})};
  if (std::optional<PeerMessage> greeting = peer_listener_.greeting(); greeting.has_value()) {
    frames.push_back(frame_of(*std::move(greeting)));
  }
  return connection.write(frames, fiber::within(options_.write, Expiry::kPeer));
}

// ---- from the others ----

void PeerLinks::accept_all() {
  for (;;) {
    StatusOr<std::unique_ptr<Connection>> accepted = listener_->accept(fiber::for_ever());
    if (absl::IsResourceExhausted(accepted.status())) {
      if (!fiber::sleep(kAcceptPause).ok()) {
        return;
      }
      continue;
    }
    if (!accepted.ok()) {
      return;
    }
    if (connections_ >= options_.connections_max) {
      log_warn("peer refused: too many connections", field("peer", (*accepted)->peer().to_string()));
      continue;
    }
    ++connections_;
    scope_.spawn({"peer", ++accepted_}, [this, connection = *std::move(accepted)] {
      read_all(*connection);
      --connections_;
    });
  }
}

PeerLinks::Incoming::~Incoming() {
  if (!link) {
    return;
  }
  const auto voice = link->voices.find(life->incarnation);
  if (--voice->second.connections == 0) {
    link->voices.erase(voice);
  }
  if (link->voices.empty()) {
    link->suspect = true;
    link->arrived.notify_all();
  }
}

Rival PeerLinks::rival_of(const Link& link, const Uuid& incarnation) const {
  Rival rival = Rival::kNone;
  for (const auto& [other, voice] : link.voices) {
    if (other != incarnation) {
      const bool speaks = fiber::Scheduler::current().now() - voice.latest <= options_.silence;
      rival = std::max(rival, speaks ? Rival::kSpeaks : Rival::kOpen);
    }
  }
  return rival;
}

void PeerLinks::read_all(Connection& connection) {
  Incoming incoming;
  protocol::FrameReader frames(connection);
  for (;;) {
    const Duration patience = incoming.link ? options_.idle : options_.introduction;
    const StatusOr<std::int32_t> length = frames.length(fiber::within(patience, Expiry::kNormal));
    if (!length.ok()) {
      return;
    }
    if (*length <= 0 || *length > options_.frame_bytes_max) {
      log_warn("peer closed: a frame of that length", field("peer", connection.peer().to_string()),
               field("bytes", *length));
      return;
    }
    const StatusOr<Slice> bytes =
        frames.body(static_cast<std::size_t>(*length), fiber::within(options_.frame, Expiry::kPeer));
    if (!bytes.ok()) {
      return;
    }
    StatusOr<PeerFrame> frame = decode_peer_frame(bytes->bytes());
    if (!frame.ok()) {
      log_warn("peer closed", field("peer", connection.peer().to_string()), field("why", frame.status().ToString()));
      return;
    }
    if (!take(incoming, *std::move(frame), connection)) {
      return;
    }
  }
}

bool PeerLinks::take(Incoming& incoming, PeerFrame frame, const Connection& connection) {
  const auto refuse = [&](std::string_view why) {
    log_warn("peer closed", field("peer", connection.peer().to_string()), field("node", frame.from), field("why", why));
    return false;
  };
  auto* introduction = std::get_if<Introduction>(&frame.message);
  const bool introduces_itself = introduction != nullptr;
  if (introduces_itself == incoming.life.has_value()) {
    return refuse(introduces_itself ? "it introduces itself again" : "it has not introduced itself");
  }
  if (introduces_itself) {
    if (!may_be_life(introduction->life)) {
      return refuse("it introduces itself with what no start has");
    }
    incoming.life = std::move(introduction->life);
  }
  const auto known = links_.find(frame.from);
  const Rival rival = known == links_.end() ? Rival::kNone : rival_of(*known->second, incoming.life->incarnation);
  if (!peer_listener_.accepts(frame.from, *incoming.life, rival)) {
    return false;
  }
  if (!links_.contains(frame.from)) {
    if (introduces_itself) {
      return true;  // what it says next tells what it wants
    }
    peer_listener_.on_stranger(frame.from, frame.message);
  }
  const auto peer = links_.find(frame.from);
  if (peer == links_.end()) {
    return refuse("not a node of this cluster");
  }
  const Ref<Link> held = peer->second;
  Link& link = *held;
  if (incoming.link && incoming.link->dropped) {
    return false;  // it dials again, and is heard as whoever it is now
  }
  if (incoming.link && !(incoming.link == held)) {
    return refuse("it says to be another node");
  }
  Voice& voice = link.voices[incoming.life->incarnation];
  voice.connections += !incoming.link ? 1U : 0U;
  incoming.link = held;
  ++link.received;
  link.latest = voice.latest = fiber::Scheduler::current().now();
  if (std::exchange(link.answered, frame.received) != frame.received) {
    link.heard = fiber::Scheduler::current().now();
  }
  if (!introduces_itself) {
    peer_listener_.on_peer_message(frame.from, *incoming.life, std::move(frame.message));
  }
  return true;
}

}  // namespace chronik::raft
