#include "core/broker/connection.h"

#include <utility>
#include <vector>

#include "core/base/log_line.h"
#include "core/base/slices.h"
#include "core/broker/forwarding.h"

namespace chronik::broker {

namespace {
// One vectored write takes at most so many parts and stops gathering at so many bytes.
constexpr std::size_t kPartsPerWrite = 512;
constexpr std::size_t kBytesPerWrite = 1 << 20;
}  // namespace

// ---- Answer ----

Answer::~Answer() {
  if (connection_ == nullptr || connection_->scope_.scheduler().dying()) {
    return;
  }
  // A scope that is called off ends its requests without answers; any other way out is a bug.
  if (!connection_->closing_) {
    log_error("request was never answered", field("correlation_id", slot().correlation_id.value()));
  }
  close("a request was never answered");
}

ResponseSlot& Answer::slot() {
  CHECK(connection_ != nullptr);
  return connection_->slot(slot_);
}

void Answer::send(protocol::Frame frame, fiber::Budget::Hold hold) {
  ResponseSlot& kept = slot();
  kept.frame = std::move(frame);
  kept.hold = std::move(hold);
  kept.state = ResponseSlot::State::kReady;
  std::exchange(connection_, nullptr)->settle();
}

void Answer::prepare(protocol::Frame frame) { slot().frame = std::move(frame); }

const protocol::Frame& Answer::prepared() { return slot().frame; }

void Answer::send_prepared() {
  slot().state = ResponseSlot::State::kReady;
  std::exchange(connection_, nullptr)->settle();
}

void Answer::comes(std::unique_ptr<LateAnswer> late) {
  slot().late = std::move(late);
  connection_->settle();
}

void Answer::ready() {
  CHECK(connection_ != nullptr);
  connection_->settle();
}

void Answer::nothing() {
  slot().state = ResponseSlot::State::kNothing;
  std::exchange(connection_, nullptr)->settle();
}

void Answer::close(const char* reason) {
  slot().state = ResponseSlot::State::kNothing;
  std::exchange(connection_, nullptr)->close(reason);
}

void Answer::refuse(const Status& why) {
  log_warn("request cannot be answered", field("peer", connection_->peer().to_string()),
           field("why", std::string(why.message())), field("bytes_max", bytes_max()));
  close("it cannot be answered");
}

std::size_t Answer::bytes_max() const { return connection_->limits().answer_bytes_max; }

// ---- ClientConnection ----

ClientConnection::ClientConnection(const ConnectionContext& context, std::unique_ptr<Connection> stream,
                                   std::uint64_t number)
    : context_(context),
      stream_(std::move(stream)),
      number_(number),
      key_{WaitKind::kNetworkRead, stream_->local().key(), stream_->peer().key(), 0},
      frames_(*stream_) {}

ClientConnection::~ClientConnection() = default;

ClientForwards& ClientConnection::forwards() {
  if (forwards_ == nullptr) {
    forwards_ = std::make_unique<ClientForwards>();
  }
  return *forwards_;
}

void ClientConnection::run() {
  Status served = ok();
  while (served.ok()) {
    served = read_request();
  }
  log_debug("connection ended", field("peer", peer().to_string()), field("why", std::string(served.message())));
  close("connection ended");
  scope_.cancel_and_join();
}

Status ClientConnection::read_request() {
  while (is_full() && !closing_) {
    RETURN_IF_ERROR(room_.wait(key_, fiber::within(context_.limits.request + context_.limits.write, Expiry::kPeer)));
  }
  if (closing_) {
    return absl::CancelledError("closing");
  }
  const StatusOr<std::int32_t> next = frames_.length(fiber::within(context_.limits.idle, Expiry::kNormal));
  if (absl::IsDeadlineExceeded(next.status()) && !slots_.empty()) {
    return ok();  // it is not idle: its client waits for us
  }
  ASSIGN_OR_RETURN(const std::int32_t size, next);
  if (size < 0 || size > context_.limits.frame_bytes_max) {
    log_warn("frame refused: socket.request.max.bytes", field("peer", peer().to_string()), field("bytes", size),
             field("max", context_.limits.frame_bytes_max));
    return absl::InvalidArgumentError("frame size");
  }
  ASSIGN_OR_RETURN(fiber::Budget::Hold hold,
                   context_.request_bytes.take(static_cast<std::uint64_t>(size),
                                               fiber::within(context_.limits.request, Expiry::kPeer)));
  ASSIGN_OR_RETURN(const Slice frame,
                   frames_.body(static_cast<std::size_t>(size), fiber::within(context_.limits.frame, Expiry::kPeer)));
  ASSIGN_OR_RETURN(protocol::ReceivedRequest received, protocol::decode_request_header(frame));
  const std::uint64_t slot = first_slot_ + slots_.size();
  slots_.push({}).correlation_id = received.header.correlation_id;
  context_.handler.handle(Request{.header = std::move(received.header),
                                  .body = std::move(received.body),
                                  .received = scope_.scheduler().now(),
                                  .answer = Answer(*this, slot),
                                  .connection = *this,
                                  .frame_hold = std::move(hold)});
  return ok();
}

// An answer that is not the first in line waits for those before it.
void ClientConnection::settle() {
  if (sending_ || closing_) {
    return;
  }
  std::size_t silent = 0;
  while (silent < slots_.size() && slots_[silent].state == ResponseSlot::State::kNothing) {
    ++silent;
  }
  drop(silent);
  if (!slots_.empty() && slots_.front().may_go()) {
    context_.sender.add(*this);
  }
}

void ClientConnection::close(const char* reason) {
  if (closing_) {
    return;
  }
  closing_ = true;
  log_debug("closing connection", field("peer", peer().to_string()), field("reason", std::string_view(reason)));
  stream_->close();
  scope_.cancel();
  room_.notify_all();
}

// The answers that can go out together, up to the bounds of one write. Those without a frame cost nothing.
ClientConnection::Gathered ClientConnection::gather_ready(std::vector<Slice>& parts) {
  Gathered gathered;
  parts.clear();
  for (; gathered.slots < slots_.size() && parts.size() < kPartsPerWrite && gathered.bytes < kBytesPerWrite;
       ++gathered.slots) {
    ResponseSlot& slot = slots_[gathered.slots];
    if (!slot.may_go()) {
      break;
    }
    if (slot.late != nullptr) {
      const std::unique_ptr<LateAnswer> late = std::move(slot.late);
      late->give();
      CHECK(slot.state != ResponseSlot::State::kWaiting);
    }
    gathered.bytes += slot.frame.size;
    for (Slice& part : slot.frame.parts) {
      parts.push_back(std::move(part));
    }
  }
  return gathered;
}

void ClientConnection::drop(std::size_t slots) {
  if (slots > 0) {
    slots_.pop_front(slots);
    first_slot_ += slots;
    room_.notify_all();
  }
}

void ClientConnection::send_ready(std::vector<Slice>& parts) {
  if (sending_ || closing_) {
    return;
  }
  sending_ = true;
  const Gathered gathered = gather_ready(parts);
  const StatusOr<std::size_t> taken = parts.empty() || closing_ ? std::size_t{0} : stream_->try_write(parts);
  if (!taken.ok() || closing_) {
    return close("the client is gone");
  }
  if (*taken == gathered.bytes) {
    drop(gathered.slots);
    sending_ = false;
    return settle();
  }
  // The slots, and what they hold, stay until the client has taken their answers.
  scope_.spawn({"writer", number_},
               [this, rest = slices_behind(parts, *taken), slots = gathered.slots] { write_rest(rest, slots); });
}

void ClientConnection::write_rest(std::span<const Slice> parts, std::size_t slots) {
  if (!stream_->write(parts, fiber::within(context_.limits.write, Expiry::kPeer)).ok()) {
    return close("the client did not take its answers");
  }
  drop(slots);
  sending_ = false;
  settle();
}

}  // namespace chronik::broker
