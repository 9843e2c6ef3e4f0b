// A connection from this node to another, over which it forwards what its clients ask of partitions that the other
// leads. It is made when the first request goes out, and lives until it breaks or nothing has gone over it for so long
// that it is idle.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/intrusive_list.h"
#include "core/client/client.h"
#include "core/cluster/image.h"
#include "core/ports/network.h"

namespace chronik::broker {

class ClientConnection;
class ForwardLink;

// That requests of one client go over a link: all of them over the same one, which keeps their order (rule R17).
class ForwardPin : public ListHook<struct ForwardPinTag> {
 public:
  // client: null where no client's requests go over it, but the node's own. Both outlive it.
  ForwardPin(ForwardLink& link, ClientConnection* client);
  ~ForwardPin();

  ForwardLink& link() const { return *link_; }
  ClientConnection* client() const { return client_; }
  // A request that is not answered (acks=0) has gone over it: with the link its outcome is lost, and the client learns
  // from its closed connection.
  void note_unanswered() { unanswered_ = true; }
  bool unanswered() const { return unanswered_; }

 private:
  ForwardLink* link_;
  ClientConnection* client_;
  bool unanswered_ = false;
};

class ForwardLink {
 public:
  struct Options {
    cluster::Endpoint endpoint;
    Duration connect;  // for it to be connected
    client::ClientOptions client;
  };
  // Does not suspend: it connects when there is something to be sent. `network` and `parent` outlive it.
  ForwardLink(Network& network, CancelSource& parent, const Options& options);
  ~ForwardLink();  // suspends; nobody uses it any more
  ForwardLink(const ForwardLink&) = delete;
  ForwardLink& operator=(const ForwardLink&) = delete;

  client::Client& client() { return client_; }
  bool broken() const { return client_.broken(); }
  // Whether it was ever connected. Where not, nothing of what was sent over it has left this node.
  bool reached() const { return reached_; }
  // When it broke, where it is broken.
  MonotonicTime ended() const { return ended_; }
  std::size_t users() const { return users_; }
  // Whether somebody uses it who shares it with nobody: a request of the node's own that may wait for long.
  bool alone() const { return alone_; }
  // Requests whose answers have not come, whether or not anybody still waits for them.
  std::size_t unanswered() const { return unanswered_; }
  // Breaks it.
  void close() { client_.close(); }

 private:
  friend class ForwardPin;
  friend class ForwardCall;
  friend class LinkConnection;
  void on_closed();

  Options options_;
  Network& network_;
  bool reached_ = false;
  MonotonicTime ended_;
  std::size_t users_ = 0;
  bool alone_ = false;
  std::size_t unanswered_ = 0;
  IntrusiveList<ForwardPin, ForwardPinTag> pins_;
  client::Client client_;
};

// A forwarded request whose answer is waited for.
class ForwardCall : public client::Client::Call {
 public:
  // Its link, which outlives it while it is under way. As Client::start().
  template <typename Request>
  Status start(ForwardLink& link, const Request& request, std::int16_t version) {
    RETURN_IF_ERROR(link.client().start(request, version, *this));
    link_ = &link;
    ++link.unanswered_;
    return ok();
  }
  void on_answer(StatusOr<Slice> body) final;

 protected:
  // As Client::Call::on_answer(); kFailedPrecondition: it has never left this node.
  virtual void on_forwarded(StatusOr<Slice> body) = 0;

 private:
  ForwardLink* link_ = nullptr;
};

// The same for a fiber that waits.
class AwaitedCall final : public ForwardCall {
 public:
  // kDeadlineExceeded: no answer has come, and none will be taken any more.
  StatusOr<Slice> wait(const Deadline& deadline);
  bool done() const { return settled_.is_set(); }

 private:
  void on_forwarded(StatusOr<Slice> body) override;

  StatusOr<Slice> answer_ = Slice();
  fiber::Latch settled_;
};

}  // namespace chronik::broker
