#include "sim/network_port.h"

#include <utility>

#include "core/fiber/wait.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/shard.h"
#include "sim/world.h"

namespace chronik::sim {

namespace network_port {

inline Status dying() { return Status(absl::StatusCode::kAborted, {}); }

// A wait that is over before it begins moves nothing, also where something is there.
inline Status still_on(const Deadline& deadline) {
  if (deadline.cancelled()) {
    return Status(absl::StatusCode::kCancelled, {});
  }
  return deadline.at() <= fiber::Scheduler::current().now() ? Status(absl::StatusCode::kDeadlineExceeded, {}) : ok();
}

// Waits until somebody calls ready() on it: a socket's readiness as an operation of the shard.
class Readiness {
 public:
  explicit Readiness(Shard& shard) : shard_(shard) {}

  bool busy() const { return operation_ != nullptr; }
  void ready() {
    if (operation_ != nullptr && !reported_) {
      reported_ = true;
      shard_.complete(operation_->number(), 0);
    }
  }
  Status wait(const WaitKey& key, const Deadline& deadline, const WaitDetail* detail) {
    CHECK(operation_ == nullptr);
    fiber::PendingOperation operation;
    shard_.scheduler().begin_operation(operation);
    operation_ = &operation;
    reported_ = false;
    struct Leave {
      Readiness& readiness;
      ~Leave() { readiness.operation_ = nullptr; }
    } const leave{*this};
    const Status waited = operation.wait(key, deadline, detail);
    if (!operation.done()) {
      shard_.scheduler().forget_operation(operation);
    }
    return waited;
  }

 private:
  Shard& shard_;
  fiber::PendingOperation* operation_ = nullptr;
  bool reported_ = false;
};

// One call at a time, checked.
class Busy {
 public:
  explicit Busy(bool& flag) : flag_(flag) {
    CHECK(!flag_);
    flag_ = true;
  }
  ~Busy() { flag_ = false; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  bool& flag_;
};

}  // namespace network_port

using network_port::Busy;
using network_port::dying;
using network_port::Readiness;
using network_port::still_on;

// ---- a connection ----

class FiberConnection final : public Connection,
                              public ListHook<LiveConnectionTag>,
                              private SocketWatcher,
                              private WaitDetail {
 public:
  FiberConnection(NetworkPort& port, std::shared_ptr<Stream> stream, std::uint32_t side)
      : port_(port),
        stream_(std::move(stream)),
        socket_(stream_->side(side)),
        readable_(port.shard_),
        writable_(port.shard_) {
    socket_.watch(this);
    port_.connections_.push_back(*this);
    ++port_.handles_;
  }
  ~FiberConnection() override {
    if (!port_.detached_) {
      socket_.watch(nullptr);
      socket_.close();
    }
    --port_.handles_;
  }

  // Returns when the connection is made, or why it is not.
  Status await_open(const Deadline& deadline) {
    while (socket_.state() == Socket::State::kConnecting) {
      RETURN_IF_ERROR(writable_.wait(WaitKey{WaitKind::kConnect, 0, socket_.remote().key(), 0}, deadline, this));
    }
    return socket_.state() == Socket::State::kOpen ? ok() : absl::UnavailableError("connection refused");
  }

  StatusOr<std::size_t> read(MutableByteSpan into, const Deadline& deadline) override {
    const Busy busy(reading_);
    if (port_.detached_) {
      return dying();
    }
    fiber::maybe_suspend();
    RETURN_IF_ERROR(still_on(deadline));
    for (;;) {
      if (closed_) {
        return absl::UnavailableError("closed");
      }
      const Socket::Transfer transfer = socket_.read(into);
      switch (transfer.result) {
        case Socket::Result::kDone: return transfer.bytes;
        case Socket::Result::kEnd: return std::size_t{0};
        case Socket::Result::kError: return absl::UnavailableError("connection reset");
        case Socket::Result::kWouldBlock: break;
      }
      RETURN_IF_ERROR(readable_.wait(key(WaitKind::kNetworkRead), deadline, this));
    }
  }

  Status write(std::span<const Slice> parts, const Deadline& deadline) override {
    const Busy busy(writing_);
    if (port_.detached_) {
      return dying();
    }
    fiber::maybe_suspend();
    for (const Slice& part : parts) {
      const Status written = write_all(part.bytes(), deadline);
      if (!written.ok()) {
        close();
        return written;
      }
    }
    return ok();
  }

  StatusOr<std::size_t> try_write(std::span<const Slice> parts) override {
    const Busy busy(writing_);
    if (port_.detached_) {
      return dying();
    }
    if (closed_) {
      return absl::UnavailableError("closed");
    }
    // A kernel may take less than there is room for.
    std::size_t most = port_.draws_.below(8) == 0 ? port_.draws_.below(64) : SIZE_MAX;
    std::size_t taken = 0;
    for (const Slice& part : parts) {
      const ByteSpan bytes = part.bytes().first(std::min(part.size(), most));
      const Socket::Transfer transfer = bytes.empty() ? Socket::Transfer{} : socket_.write(bytes);
      if (transfer.result == Socket::Result::kError) {
        close();
        return absl::UnavailableError("connection reset");
      }
      taken += transfer.bytes;
      most -= transfer.bytes;
      if (transfer.bytes < part.size()) {
        break;
      }
    }
    return taken;
  }

  void shutdown_write() override {
    if (!port_.detached_ && !closed_) {
      socket_.shutdown_write();
    }
  }

  void close() override {
    if (port_.detached_ || closed_) {
      return;
    }
    closed_ = true;
    socket_.reset();
    readable_.ready();
    writable_.ready();
  }

  Address local() const override { return socket_.local(); }
  Address peer() const override { return socket_.remote(); }

  // The process ends: what its kernel does with the socket.
  void detach(Death how) {
    socket_.watch(nullptr);
    if (how == Death::kPowerLoss) {
      socket_.vanish();
    } else if (how == Death::kProcessKill && port_.draws_.below(4) == 0) {
      socket_.reset();
    } else {
      socket_.close();
    }
  }

 private:
  Status write_all(ByteSpan bytes, const Deadline& deadline) {
    while (!bytes.empty()) {
      if (closed_) {
        return absl::UnavailableError("closed");
      }
      const Socket::Transfer transfer = socket_.write(bytes);
      if (transfer.result == Socket::Result::kError) {
        return absl::UnavailableError("connection reset");
      }
      bytes = bytes.subspan(transfer.bytes);
      if (transfer.result == Socket::Result::kWouldBlock) {
        RETURN_IF_ERROR(writable_.wait(key(WaitKind::kNetworkWrite), deadline, this));
      }
    }
    return ok();
  }
  std::string describe_wait() const override { return "with " + socket_.remote().to_string(); }
  WaitKey key(WaitKind kind) const { return {kind, socket_.local().key(), socket_.remote().key(), 0}; }

  void on_readable() override { readable_.ready(); }
  void on_writable() override { writable_.ready(); }

  NetworkPort& port_;
  std::shared_ptr<Stream> stream_;
  Socket& socket_;
  Readiness readable_;
  Readiness writable_;
  bool reading_ = false;
  bool writing_ = false;
  bool closed_ = false;
};

// ---- a listener ----

class FiberListener final : public Listener,
                            public ListHook<LiveListenerTag>,
                            private SocketWatcher,
                            private WaitDetail {
 public:
  FiberListener(NetworkPort& port, std::shared_ptr<ListenSocket> socket)
      : port_(port), socket_(std::move(socket)), ready_(port.shard_) {
    socket_->watch(this);
    port_.listeners_.push_back(*this);
    ++port_.handles_;
  }
  ~FiberListener() override {
    if (!port_.detached_) {
      port_.shard_.world().network().unlisten(port_.shard_.machine(), *socket_, false);
    }
    --port_.handles_;
  }

  StatusOr<std::unique_ptr<Connection>> accept(const Deadline& deadline) override {
    const Busy busy(accepting_);
    if (port_.detached_) {
      return dying();
    }
    fiber::maybe_suspend();
    RETURN_IF_ERROR(still_on(deadline));
    for (;;) {
      NetworkFabric& fabric = port_.shard_.world().network();
      if (socket_->readable() && port_.draws_.chance(fabric.knobs().no_descriptor)) {
        port_.shard_.world().fault_fired("network no descriptor", socket_->local().port);
        return absl::ResourceExhaustedError("too many open files");
      }
      if (std::shared_ptr<Stream> stream = socket_->take(); stream != nullptr) {
        return std::make_unique<FiberConnection>(port_, std::move(stream), 1);
      }
      RETURN_IF_ERROR(ready_.wait(WaitKey{WaitKind::kAccept, socket_->local().key(), 0, 0}, deadline, this));
    }
  }
  Address local() const override { return socket_->local(); }
  std::string describe_wait() const override { return "at " + socket_->local().to_string(); }

  void detach(Death how) {
    port_.shard_.world().network().unlisten(port_.shard_.machine(), *socket_, how == Death::kPowerLoss);
  }

 private:
  void on_readable() override { ready_.ready(); }
  void on_writable() override {}

  NetworkPort& port_;
  std::shared_ptr<ListenSocket> socket_;
  Readiness ready_;
  bool accepting_ = false;
};

// ---- the port ----

NetworkPort::NetworkPort(Shard& shard) : shard_(shard), draws_(shard.draws("network port")) {}

NetworkPort::~NetworkPort() { CHECK_EQ(handles_, std::size_t{0}); }

StatusOr<std::unique_ptr<Listener>> NetworkPort::listen(const Address& at) {
  if (detached_) {
    return dying();
  }
  ASSIGN_OR_RETURN(std::shared_ptr<ListenSocket> socket, shard_.world().network().listen(shard_.machine(), at));
  return std::make_unique<FiberListener>(*this, std::move(socket));
}

StatusOr<std::unique_ptr<Connection>> NetworkPort::connect(const Address& to, const Deadline& deadline) {
  if (detached_) {
    return dying();
  }
  const std::uint64_t lineage = mix(shard_.lineage(), mix_text("connection"), connections_made_++);
  auto connection =
      std::make_unique<FiberConnection>(*this, shard_.world().network().connect(shard_.machine(), to, lineage), 0);
  RETURN_IF_ERROR(connection->await_open(deadline));
  return connection;
}

StatusOr<std::vector<Address>> NetworkPort::resolve(std::string_view host, std::uint16_t port,
                                                    const Deadline& deadline) {
  if (detached_) {
    return dying();
  }
  NetworkFabric& fabric = shard_.world().network();
  if (const std::optional<Address> numeric = NetworkFabric::numeric(host, port); numeric.has_value()) {
    return std::vector<Address>{*numeric};  // nobody is asked
  }
  std::vector<Address> found = fabric.resolve(host, port);
  fiber::PendingOperation answer;
  const OpNumber number = shard_.scheduler().begin_operation(answer);
  shard_.world().after(draws_.heavy_tailed(fabric.knobs().delay * 2, fabric.knobs().resolve_most),
                       [&world = shard_.world(), id = shard_.id(), number] { world.complete(id, number, 0); });
  const Status waited = answer.wait(WaitKey{WaitKind::kConnect, 0, mix_text(host), 0}, deadline);
  if (!answer.done()) {
    shard_.scheduler().forget_operation(answer);
  }
  RETURN_IF_ERROR(waited);
  if (found.empty()) {
    return absl::NotFoundError("no such host");
  }
  return found;
}

void NetworkPort::detach(Death how) {
  CHECK(!detached_);
  connections_.for_each([how](FiberConnection& connection) { connection.detach(how); });
  listeners_.for_each([how](FiberListener& listener) { listener.detach(how); });
  detached_ = true;
}

}  // namespace chronik::sim
