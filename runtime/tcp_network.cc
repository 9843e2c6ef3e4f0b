#include "runtime/tcp_network.h"

#include <cerrno>
#include <string>
#include <utility>

#include "core/base/check.h"
#include "runtime/socket_address.h"
#include "runtime/system_error.h"
#include "runtime/tcp_connection.h"

namespace chronik::runtime {

namespace {

constexpr int kBacklog = 1024;  // the kernel cuts it to net.core.somaxconn

class TcpListener final : public Listener, private ReadinessTarget, private WaitDetail {
 public:
  TcpListener(EventLoop& loop, SystemCalls& calls, Descriptor socket)
      : loop_(loop), calls_(calls), socket_(std::move(socket)), local_(local_address(socket_.number())) {}
  Status start() {
    return loop_.watch(socket_.number(), *this) ? ok() : absl::ResourceExhaustedError("no room to watch a socket");
  }

  StatusOr<std::unique_ptr<Connection>> accept(const Deadline& deadline) override;
  Address local() const override { return local_; }

 private:
  void on_ready(std::uint32_t /*events*/, std::vector<fiber::Completion>& batch) override {
    ready_ = true;
    if (waiting_ != nullptr) {
      batch.push_back({waiting_->number(), 0});
    }
  }
  std::string describe_wait() const override { return "at " + local_.to_string(); }
  Status await(const Deadline& deadline) {
    CHECK(waiting_ == nullptr);
    IoWait wait;
    waiting_ = &wait;
    struct Leave {
      IoWait*& waiting;
      ~Leave() { waiting = nullptr; }
    } const leave{waiting_};
    return wait.wait({WaitKind::kAccept, local_.key(), 0, 0}, deadline, this);
  }

  EventLoop& loop_;
  SystemCalls& calls_;
  Descriptor socket_;
  Address local_;
  IoWait* waiting_ = nullptr;
  bool ready_ = true;
};

StatusOr<std::unique_ptr<Connection>> TcpListener::accept(const Deadline& deadline) {
  RETURN_IF_ERROR(cannot_begin(deadline));
  for (;;) {
    if (!ready_) {
      RETURN_IF_ERROR(await(deadline));
      continue;
    }
    SocketAddress peer;
    const int accepted = calls_.accept(socket_.number(), peer.get(), &peer.size);
    if (accepted >= 0) {
      auto connection = std::make_unique<TcpConnection>(loop_, calls_, Descriptor(accepted), from_socket_address(peer));
      RETURN_IF_ERROR(connection->start());
      return connection;
    }
    switch (-accepted) {
      case EAGAIN: ready_ = false; break;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM: return absl::ResourceExhaustedError(describe_error("accept", -accepted));
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
      case EOPNOTSUPP:
      case EFAULT: check_failed(__FILE__, __LINE__, "accept", describe_error("accept", -accepted));
      default: break;  // that connection is gone already; the next one may be there
    }
  }
}

StatusOr<Descriptor> open_socket(int family) {
  Descriptor socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.open()) {
    return absl::ResourceExhaustedError(describe_error("socket", errno));
  }
  return socket;
}

}  // namespace

TcpNetwork::TcpNetwork(EventLoop& loop, SystemCalls& calls) : loop_(loop), calls_(calls), names_(loop, calls) {}

StatusOr<std::unique_ptr<Listener>> TcpNetwork::listen(const Address& at) {
  const SocketAddress address = to_socket_address(at);
  ASSIGN_OR_RETURN(Descriptor socket, open_socket(address.family()));
  const int one = 1;
  const int zero = 0;
  CHECK_EQ(::setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
  if (address.family() == AF_INET6) {
    // "[::]" is every address, of both kinds.
    CHECK_EQ(::setsockopt(socket.number(), IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)), 0);
  }
  if (::bind(socket.number(), address.get(), address.size) != 0 || ::listen(socket.number(), kBacklog) != 0) {
    return absl::FailedPreconditionError(describe_error("listen on " + at.to_string(), errno));
  }
  auto listener = std::make_unique<TcpListener>(loop_, calls_, std::move(socket));
  RETURN_IF_ERROR(listener->start());
  return listener;
}

StatusOr<std::unique_ptr<Connection>> TcpNetwork::connect(const Address& to, const Deadline& deadline) {
  RETURN_IF_ERROR(cannot_begin(deadline));
  const SocketAddress address = to_socket_address(to);
  ASSIGN_OR_RETURN(Descriptor socket, open_socket(address.family()));
  const int error = calls_.connect(socket.number(), address.get(), address.size);
  if (error != 0 && error != -EINPROGRESS && error != -EINTR) {
    return absl::UnavailableError(describe_error("connect to " + to.to_string(), -error));
  }
  auto connection = std::make_unique<TcpConnection>(loop_, calls_, std::move(socket), to);
  RETURN_IF_ERROR(connection->start());
  RETURN_IF_ERROR(connection->finish_connect(deadline));
  return connection;
}

StatusOr<std::vector<Address>> TcpNetwork::resolve(std::string_view host, std::uint16_t port,
                                                   const Deadline& deadline) {
  return names_.look_up(host, port, deadline);
}

}  // namespace chronik::runtime
