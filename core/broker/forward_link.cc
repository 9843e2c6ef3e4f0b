#include "core/broker/forward_link.h"

#include <memory>
#include <utility>

#include "core/base/log_line.h"
#include "core/base/sim_point.h"
#include "core/broker/connection.h"
#include "core/client/dial.h"

namespace chronik::broker {

// A stream that is connected by its first write: what is sent over it waits in order meanwhile, and whoever sends does
// not.
class LinkConnection final : public Connection {
 public:
  explicit LinkConnection(ForwardLink& link) : link_(link) {}

  StatusOr<std::size_t> read(MutableByteSpan into, const Deadline& deadline) override {
    while (stream_ == nullptr && !closed_) {
      RETURN_IF_ERROR(changed_.wait({WaitKind::kConnect, 0, 0, 0}, deadline));
    }
    return closed_ ? StatusOr<std::size_t>(absl::UnavailableError("closed")) : stream_->read(into, deadline);
  }
  Status write(std::span<const Slice> parts, const Deadline& deadline) override {
    if (stream_ == nullptr) {
      RETURN_IF_ERROR(connect());
    }
    return stream_->write(parts, deadline);
  }
  StatusOr<std::size_t> try_write(std::span<const Slice> parts) override {
    return stream_ == nullptr ? StatusOr<std::size_t>(std::size_t{0}) : stream_->try_write(parts);
  }
  void shutdown_write() override {
    if (stream_ != nullptr) {
      stream_->shutdown_write();
    }
  }
  void close() override {
    if (std::exchange(closed_, true)) {
      return;
    }
    if (stream_ != nullptr) {
      stream_->close();
    }
    changed_.notify_all();
    link_.on_closed();
  }
  Address local() const override { return stream_ == nullptr ? Address() : stream_->local(); }
  Address peer() const override { return stream_ == nullptr ? Address() : stream_->peer(); }

 private:
  Status connect() {
    sim_pause("forward.before_connect");
    const cluster::Endpoint& to = link_.options_.endpoint;
    StatusOr<std::unique_ptr<Connection>> stream =
        client::dial(link_.network_, to.host, to.port, fiber::within(link_.options_.connect, Expiry::kPeer));
    if (closed_) {
      return absl::UnavailableError("closed");
    }
    if (stream.ok()) {
      stream_ = *std::move(stream);
      link_.reached_ = true;
      changed_.notify_all();
      return ok();
    }
    log_warn("forwarding cannot reach a leader", field("host", to.host), field("port", to.port),
             field("why", stream.status().ToString()));
    return stream.status();
  }

  ForwardLink& link_;
  std::unique_ptr<Connection> stream_;
  bool closed_ = false;
  fiber::Event changed_;
};

// ---- ForwardPin ----

ForwardPin::ForwardPin(ForwardLink& link, ClientConnection* client) : link_(&link), client_(client) {
  ++link.users_;
  link.alone_ = client == nullptr;
  link.pins_.push_back(*this);
}

ForwardPin::~ForwardPin() {
  --link_->users_;
  link_->alone_ = false;
}

// ---- ForwardLink ----

ForwardLink::ForwardLink(Network& network, CancelSource& parent, const Options& options)
    : options_(options), network_(network), client_(std::make_unique<LinkConnection>(*this), options.client, parent) {}

ForwardLink::~ForwardLink() { CHECK_EQ(users_, std::size_t{0}); }

void ForwardLink::on_closed() {
  ended_ = fiber::Scheduler::current().now();
  pins_.for_each([](ForwardPin& pin) {
    if (pin.unanswered() && pin.client() != nullptr) {
      pin.client()->close("the fate of a produce with acks=0 is not known");
    }
  });
}

// ---- calls ----

void ForwardCall::on_answer(StatusOr<Slice> body) {
  --link_->unanswered_;
  if (!body.ok() && !link_->reached()) {
    body = absl::FailedPreconditionError(body.status().message());
  }
  on_forwarded(std::move(body));
}

StatusOr<Slice> AwaitedCall::wait(const Deadline& deadline) {
  if (!settled_.is_set()) {
    RETURN_IF_ERROR(settled_.wait(key(), deadline, this));
  }
  return std::move(answer_);
}

void AwaitedCall::on_forwarded(StatusOr<Slice> body) {
  answer_ = std::move(body);
  settled_.set();
}

}  // namespace chronik::broker
