#include "runtime/tcp_connection.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "core/base/check.h"
#include "runtime/socket_address.h"
#include "runtime/system_error.h"

namespace chronik::runtime {

namespace {

constexpr std::size_t kPartsPerSend = 64;
constexpr std::size_t kBytesPerTurn = 256 << 10;

// The next parts to send, from byte `offset` of parts[0] on.
struct Gathered {
  std::array<iovec, kPartsPerSend> vectors;
  std::size_t count = 0;
  std::size_t bytes = 0;

  Gathered(std::span<const Slice> parts, std::size_t offset) {
    for (const Slice& part : parts) {
      if (count == kPartsPerSend) {
        return;
      }
      if (part.size() > offset) {
        vectors[count++] = {const_cast<std::uint8_t*>(part.data()) + offset,
                            part.size() - offset};  // NOLINT: only read
        bytes += part.size() - offset;
      }
      offset = 0;
    }
  }
};

}  // namespace

// What a write has not handed over yet.
struct TcpConnection::Unsent {
  std::span<const Slice> parts;
  std::size_t offset = 0;  // in the first of them
  std::size_t sent = 0;

  void skip(std::size_t bytes) {
    sent += bytes;
    offset += bytes;
    while (!parts.empty() && offset >= parts.front().size()) {
      offset -= parts.front().size();
      parts = parts.subspan(1);
    }
  }
};

// One read or write at a time in each direction.
class TcpConnection::Use {
 public:
  explicit Use(Direction& direction) : direction_(direction) {
    CHECK(!direction.in_use);
    direction.in_use = true;
  }
  ~Use() { direction_.in_use = false; }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  Direction& direction_;
};

TcpConnection::TcpConnection(EventLoop& loop, SystemCalls& calls, Descriptor socket, const Address& peer)
    : loop_(loop), calls_(calls), socket_(std::move(socket)), peer_(peer) {}

TcpConnection::~TcpConnection() { CHECK(!input_.in_use && !output_.in_use); }

Status TcpConnection::start() {
  const int one = 1;
  // Fails only for a peer that is gone already, which the first read or write will tell.
  ::setsockopt(socket_.number(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  learn_addresses();
  return loop_.watch(socket_.number(), *this) ? ok() : absl::ResourceExhaustedError("no room to watch a socket");
}

void TcpConnection::learn_addresses() {
  local_ = local_address(socket_.number());
  read_key_ = {WaitKind::kNetworkRead, local_.key(), peer_.key(), 0};
  write_key_ = {WaitKind::kNetworkWrite, local_.key(), peer_.key(), 0};
}

void TcpConnection::on_ready(std::uint32_t events, std::vector<fiber::Completion>& batch) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    hung_up_ = true;
  }
  const auto became_ready = [&](Direction& direction) {
    direction.ready = true;
    if (direction.waiting != nullptr) {
      batch.push_back({direction.waiting->number(), 0});
    }
  };
  if (hung_up_ || (events & EPOLLIN) != 0) {
    became_ready(input_);
  }
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    became_ready(output_);
  }
}

Status TcpConnection::await(Direction& direction, const WaitKey& key, const Deadline& deadline) {
  IoWait wait;
  direction.waiting = &wait;
  struct Leave {
    Direction& direction;
    ~Leave() { direction.waiting = nullptr; }
  } const leave{direction};
  return wait.wait(key, deadline, this);
}

bool TcpConnection::used_its_share(Direction& direction) const {
  const std::uint64_t turn = fiber::Scheduler::current().turns();
  if (direction.turn != turn) {
    direction.turn = turn;
    direction.moved = 0;
  }
  return direction.moved >= kBytesPerTurn;
}

StatusOr<std::size_t> TcpConnection::read(MutableByteSpan into, const Deadline& deadline) {
  CHECK(!into.empty());
  const Use use(input_);
  RETURN_IF_ERROR(cannot_begin(deadline));
  for (;;) {
    if (closed_) {
      return absl::UnavailableError("connection closed");
    }
    if (!input_.ready) {
      RETURN_IF_ERROR(await(input_, read_key_, deadline));
      continue;
    }
    if (used_its_share(input_)) {
      IoWait next_turn;
      loop_.post({next_turn.number(), 0});
      RETURN_IF_ERROR(next_turn.wait(read_key_, deadline, this));
      continue;
    }
    const std::int64_t got = calls_.receive(socket_.number(), into.data(), into.size());
    if (got >= 0) {
      // A stream that gave less than it was asked for has no more, unless its end is what comes next.
      input_.ready = static_cast<std::size_t>(got) == into.size() || hung_up_;
      input_.moved += static_cast<std::size_t>(got);
      return static_cast<std::size_t>(got);
    }
    if (got == -EAGAIN) {
      input_.ready = false;
    } else if (got != -EINTR) {
      return absl::UnavailableError(describe_error("recv", static_cast<int>(-got)));
    }
  }
}

Status TcpConnection::send_some(Unsent& unsent) {
  for (unsent.skip(0); !unsent.parts.empty();) {
    if (closed_) {
      return absl::UnavailableError("connection closed");
    }
    Gathered gathered(unsent.parts, unsent.offset);
    msghdr message{};
    message.msg_iov = gathered.vectors.data();
    message.msg_iovlen = gathered.count;
    const std::int64_t sent = calls_.send(socket_.number(), message);
    if (sent == -EAGAIN) {
      return ok();
    }
    if (sent >= 0) {
      unsent.skip(static_cast<std::size_t>(sent));
    } else if (sent != -EINTR) {
      close();
      return absl::UnavailableError(describe_error("send", static_cast<int>(-sent)));
    }
  }
  return ok();
}

StatusOr<std::size_t> TcpConnection::try_write(std::span<const Slice> parts) {
  const Use use(output_);
  Unsent unsent{.parts = parts};
  RETURN_IF_ERROR(send_some(unsent));
  return unsent.sent;
}

Status TcpConnection::write(std::span<const Slice> parts, const Deadline& deadline) {
  const Use use(output_);
  if (Status status = cannot_begin(deadline); !status.ok()) {
    close();
    return status;
  }
  Unsent unsent{.parts = parts};
  for (;;) {
    RETURN_IF_ERROR(send_some(unsent));
    if (unsent.parts.empty()) {
      return ok();
    }
    if (Status status = await(output_, write_key_, deadline); !status.ok()) {
      close();
      return status;
    }
  }
}

Status TcpConnection::finish_connect(const Deadline& deadline) {
  const Use use(output_);
  const WaitKey key{WaitKind::kConnect, 0, peer_.key(), 0};
  while (!output_.ready) {
    RETURN_IF_ERROR(await(output_, key, deadline));
  }
  int error = 0;
  socklen_t size = sizeof(error);
  CHECK_EQ(::getsockopt(socket_.number(), SOL_SOCKET, SO_ERROR, &error, &size), 0);
  if (error != 0) {
    return absl::UnavailableError(describe_error("connect", error));
  }
  learn_addresses();
  // A port of the ephemeral range on which nobody listens can be given to the connecting socket itself.
  return local_ == peer_ ? absl::UnavailableError("connect: reached itself") : ok();
}

void TcpConnection::shutdown_write() {
  if (!closed_) {
    ::shutdown(socket_.number(), SHUT_WR);
  }
}

void TcpConnection::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  // With nothing to linger for, closing resets: the peer hears that this was no orderly end.
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.number(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  socket_.reset();
  for (Direction* direction : {&input_, &output_}) {
    if (direction->waiting != nullptr) {
      loop_.post({direction->waiting->number(), 0});
    }
  }
}

}  // namespace chronik::runtime
