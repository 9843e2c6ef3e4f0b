#include "runtime/tcp_network.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
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

// Asks the system's resolver, which may read files and wait for servers.
class Resolution final : public HelperJob {
 public:
  Resolution(std::string_view host, std::uint16_t port) : host_(host), port_(port) {}
  std::int64_t run() override {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host_.c_str(), nullptr, &hints, &found);
    if (error != 0 && host_ == "localhost") {
      // A bare machine may have neither file nor server that knows it; the name is special all the same (RFC
      // 6761, 6.3).
      addresses_.push_back(Address::ipv4(127, 0, 0, 1, port_));
      return 0;
    }
    if (error != 0) {
      return error;
    }
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
      if (at->ai_family == AF_INET || at->ai_family == AF_INET6) {
        SocketAddress address;
        std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
        addresses_.push_back(from_socket_address(address));
        addresses_.back().port = port_;
      }
    }
    ::freeaddrinfo(found);
    return 0;
  }
  std::vector<Address> take() { return std::move(addresses_); }

 private:
  std::string host_;
  std::uint16_t port_;
  std::vector<Address> addresses_;
};

std::optional<Address> numeric_address(const std::string& host, std::uint16_t port) {
  std::array<std::uint8_t, 16> ip{};
  if (::inet_pton(AF_INET, host.c_str(), ip.data()) == 1) {
    return Address::ipv4(ip[0], ip[1], ip[2], ip[3], port);
  }
  if (::inet_pton(AF_INET6, host.c_str(), ip.data()) == 1) {
    return Address{.ip = ip, .port = port};
  }
  return std::nullopt;
}

}  // namespace

TcpNetwork::TcpNetwork(EventLoop& loop, SystemCalls& calls)
    : loop_(loop), calls_(calls), resolvers_(loop, "resolver", 2) {}

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
  RETURN_IF_ERROR(cannot_begin(deadline));
  if (const std::optional<Address> numeric = numeric_address(std::string(host), port)) {
    return std::vector<Address>{*numeric};
  }
  auto resolution = std::make_unique<Resolution>(host, port);
  ASSIGN_OR_RETURN(const std::int64_t error,
                   resolvers_.run_as(resolution, {WaitKind::kConnect, "look up", host}, deadline));
  if (error != 0) {
    return absl::NotFoundError(std::string(host) + ": " + ::gai_strerror(static_cast<int>(error)));
  }
  return resolution->take();
}

}  // namespace chronik::runtime
