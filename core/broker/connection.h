// One client's connection: a reader fiber that takes requests off it, and a writer fiber that sends answers in the
// order of the requests. Between the two stand the slots, one for each request in flight.
//
// The reader stops where the connection has as many requests in flight as it may, or the node holds as many bytes of
// frames as it may: a client that does not read its answers fills its own slots and no more.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "core/broker/limits.h"
#include "core/broker/request.h"
#include "core/fiber/scope.h"
#include "core/protocol/frame_reader.h"

namespace chronik::broker {

struct ResponseSlot {
  enum class State : std::uint8_t { kWaiting, kReady, kNothing } state = State::kWaiting;
  CorrelationId correlation_id;
  protocol::Frame frame;
  fiber::Budget::Hold hold;
  std::unique_ptr<LateAnswer> late;  // while it waits: the writer is to wait for it

  bool writers_turn() const { return state != State::kWaiting || late != nullptr; }
};

// What all connections of a node share. Outlives them.
struct ConnectionContext {
  const Limits& limits;
  RequestHandler& handler;
  fiber::Budget& request_bytes;
  fiber::Budget& response_bytes;
};

class ClientConnection {
 public:
  // number: which connection of its listener, for names. Made and run() in one fiber.
  ClientConnection(const ConnectionContext& context, std::unique_ptr<Connection> stream, std::uint64_t number);
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  // Serves until either side closes, a deadline passes or the scope is cancelled.
  void run();

  // For handlers that wait: runs body() in a fiber that ends with the connection.
  template <typename Body>
  void spawn(const char* kind, Body&& body) {
    scope_.spawn({kind, next_request_++}, std::forward<Body>(body));
  }
  Address peer() const { return stream_->peer(); }
  Address local() const { return stream_->local(); }
  std::uint64_t number() const { return number_; }
  fiber::Budget& response_bytes() { return context_.response_bytes; }
  const Limits& limits() const { return context_.limits; }

 private:
  friend class Answer;
  Status read_request();
  void write_answers();
  std::size_t gather_ready(std::vector<Slice>& parts);
  static void give(ResponseSlot& slot);
  void settle();
  void close(const char* reason);

  const ConnectionContext& context_;
  std::unique_ptr<Connection> stream_;
  std::uint64_t number_;
  WaitKey key_;  // of waits for the client or for its requests
  std::uint64_t next_request_ = 0;
  bool closing_ = false;
  fiber::Event answered_;  // the first slot may have become ready, or the connection is closing
  fiber::Event room_;      // a slot has become free
  protocol::FrameReader frames_;
  fiber::FiberScope scope_;
  std::deque<ResponseSlot> slots_;  // references stay valid: pushed at the back, popped at the front
};

}  // namespace chronik::broker
