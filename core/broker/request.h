// A request on its way through the broker, and the obligation to answer it.
#pragma once

#include <memory>
#include <utility>

#include "core/base/time.h"
#include "core/fiber/budget.h"
#include "core/ports/network.h"
#include "core/protocol/answer_errors.h"
#include "core/protocol/headers.h"
#include "core/protocol/message.h"

namespace chronik::broker {

class ClientConnection;
struct ResponseSlot;

// An answer that something else than a fiber has to wait for: requests that come one behind the other need no fiber
// each. It has a deadline of its own.
class LateAnswer {
 public:
  virtual ~LateAnswer() = default;
  // Whether there is nothing left to wait for. Becoming so, it calls Answer::ready().
  virtual bool ready() const = 0;
  // Keeps the request's Answer: called once ready(), when its turn among the connection's answers has come. Must not
  // suspend.
  virtual void give() = 0;
};

// Must be kept exactly once: destroying it unkept closes the connection and is reported as a bug, but on a dying node.
class Answer {
 public:
  Answer(ClientConnection& connection, std::uint64_t slot) : connection_(&connection), slot_(slot) {}
  Answer(Answer&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)), slot_(other.slot_) {}
  Answer& operator=(Answer&&) = delete;
  ~Answer();

  // Puts the frame where it will leave from with send_prepared(); another may take its place before.
  void prepare(protocol::Frame frame);
  const protocol::Frame& prepared();
  void send_prepared();
  // Leaves after the answers to all earlier requests of the connection. `hold`: response bytes to give back when sent.
  void send(protocol::Frame frame, fiber::Budget::Hold hold = {});
  // This object, which `late` owns, will be kept by late->give().
  void comes(std::unique_ptr<LateAnswer> late);
  // Said by it when it has become ready; before comes(), nobody hears.
  void ready();
  // The request wants no answer (acks=0).
  void nothing();
  // No answer would be right; the client learns from the closed connection.
  void close(const char* reason);
  // The same where one cannot be made, which the log tells.
  void refuse(const Status& why);
  std::size_t bytes_max() const;  // but for the records in it

 private:
  ResponseSlot& slot();

  ClientConnection* connection_;  // null: kept
  std::uint64_t slot_;            // its number
};

struct Request {
  protocol::RequestHeader header;
  Slice body;
  MonotonicTime received;
  Answer answer;
  ClientConnection& connection;
  fiber::Budget::Hold frame_hold;  // of the frame's bytes; given back when the request is done with

  // Its frame goes, unless somebody else has a part of it: who waits for others for long holds no room that requests
  // need.
  void let_go_of_frame() {
    body = Slice();
    frame_hold = fiber::Budget::Hold();
  }

  template <typename M>
  void reply(const M& message, fiber::Budget::Hold hold = {}) {
    protocol::note_errors(message);
    StatusOr<protocol::Frame> frame =
        protocol::encode_response(header.correlation_id, message, header.version, answer.bytes_max());
    if (!frame.ok()) {
      return answer.refuse(frame.status());
    }
    answer.send(*std::move(frame), std::move(hold));
  }
};

// Handles the requests of all connections. handle() is called in the order in which a connection's requests came, on
// the connection's reader: what must happen in that order (a produce's append) happens in it; what waits goes on in a
// fiber of the connection's scope.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual void handle(Request&& request) = 0;
};

}  // namespace chronik::broker
