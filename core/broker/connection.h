// One client's connection: a fiber that takes requests off it, and the answers on their way back, in the order of the
// requests. Between the two stand the slots, one for each request in flight. The node's AnswerSender sends what is
// ready; what the client does not take at once waits in a second fiber.
//
// The reader stops where the connection has as many requests in flight as it may, or the node holds as many bytes of
// frames as it may: a client that does not read its answers fills its own slots and no more.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/base/ring.h"
#include "core/broker/answer_sender.h"
#include "core/broker/limits.h"
#include "core/broker/produce_order.h"
#include "core/broker/request.h"
#include "core/fiber/scope.h"
#include "core/protocol/frame_reader.h"

namespace chronik::broker {

struct ResponseSlot {
  enum class State : std::uint8_t { kWaiting, kReady, kNothing } state = State::kWaiting;
  CorrelationId correlation_id;
  protocol::Frame frame;
  fiber::Budget::Hold hold;
  std::unique_ptr<LateAnswer> late;  // while it waits for something that needs no fiber

  bool may_go() const { return state != State::kWaiting || (late != nullptr && late->ready()); }
};

// What all connections of a node share. Outlives them.
struct ConnectionContext {
  const Limits& limits;
  RequestHandler& handler;
  fiber::Budget& request_bytes;
  fiber::Budget& response_bytes;
  AnswerSender& sender;
};

struct ClientForwards;

class ClientConnection : public Unsent {
 public:
  // number: which connection of its listener, for names. Made and run() in one fiber.
  ClientConnection(const ConnectionContext& context, std::unique_ptr<Connection> stream, std::uint64_t number);
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;
  ~ClientConnection();

  // Serves until either side closes, a deadline passes or the scope is cancelled.
  void run();

  // For handlers that wait: runs body(), which answers the request that came last, in a fiber that ends with the
  // connection.
  template <typename Body>
  void spawn(const char* kind, Body&& body) {
    ++fibers_;
    scope_.spawn({kind, next_request_++}, [this, key = request_key(), body = std::forward<Body>(body)]() mutable {
      const Leaving leaving{*this};
      const fiber::Provides provides(key);
      body();
    });
  }
  // What its client waits for: the answer to the request that came last.
  WaitKey request_key() const {
    return {WaitKind::kRequest, stream_->peer().key(), stream_->local().key(),
            static_cast<std::uint64_t>(slots_[slots_.size() - 1].correlation_id.value())};
  }
  // Hands over the answers that are ready, so far as the client takes them without waiting. `parts` is scratch memory.
  // Does not suspend.
  void send_ready(std::vector<Slice>& parts);
  // Ends it, with whatever is under way. Does not suspend.
  void close(const char* reason);
  // Kept for it from the first request on that is forwarded.
  ClientForwards& forwards();
  // A produce on it was refused because others may lead: the client is to be told so when it asks who leads.
  void send_elsewhere() { sent_elsewhere_ = true; }
  bool sent_elsewhere() const { return sent_elsewhere_; }
  ProduceOrder& produce_order() { return produce_order_; }
  Address peer() const { return stream_->peer(); }
  Address local() const { return stream_->local(); }
  std::uint64_t number() const { return number_; }
  fiber::Budget& response_bytes() { return context_.response_bytes; }
  const Limits& limits() const { return context_.limits; }

 private:
  friend class Answer;
  struct Leaving {
    ClientConnection& connection;
    ~Leaving() {
      --connection.fibers_;
      connection.room_.notify_all();
    }
  };
  bool is_full() const {
    return slots_.size() >= context_.limits.requests_per_connection || fibers_ >= context_.limits.fibers_per_connection;
  }
  // What one write takes of the answers in front.
  struct Gathered {
    std::size_t slots = 0;
    std::size_t bytes = 0;
  };

  ResponseSlot& slot(std::uint64_t number) { return slots_[number - first_slot_]; }
  Status read_request();
  Gathered gather_ready(std::vector<Slice>& parts);
  void write_rest(std::span<const Slice> parts, std::size_t slots);
  void drop(std::size_t slots);
  void settle();

  const ConnectionContext& context_;
  std::unique_ptr<Connection> stream_;
  std::uint64_t number_;
  WaitKey key_;  // of waits for the client or for its requests
  std::uint64_t next_request_ = 0;
  bool closing_ = false;
  bool sent_elsewhere_ = false;
  bool sending_ = false;    // answers are being gathered, or a fiber writes what the client did not take at once
  std::size_t fibers_ = 0;  // of spawn(), that are not over
  fiber::Event room_;       // it is not full any more
  protocol::FrameReader frames_;
  std::unique_ptr<ClientForwards> forwards_;
  ProduceOrder produce_order_;
  fiber::FiberScope scope_;
  Ring<ResponseSlot> slots_;
  std::uint64_t first_slot_ = 0;  // the number of the first of them
};

}  // namespace chronik::broker
