#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/logged_parts.h"

namespace chronik::runtime {

namespace {

using logged::give;
using logged::put;
using logged::take;
using logged::value_of;

struct Ends {
  Address local;
  Address peer;
};

class LoggedConnection final : public Connection {
 public:
  LoggedConnection(LogSession& session, std::unique_ptr<Connection> real, const Ends& ends)
      : session_(session), real_(std::move(real)), ends_(ends), object_(session.next_object()) {}

  StatusOr<std::size_t> read(MutableByteSpan into, const Deadline& deadline) override {
    const PortReturn returned = session_.call(PortCall::kRead, mix(object_, into.size()), &deadline, [&] {
      const StatusOr<std::size_t> got = real_->read(into, deadline);
      return got.ok() ? PortReturn{ok(), std::string(as_text(into.first(*got)))} : PortReturn{got.status()};
    });
    RETURN_IF_ERROR(returned.status);
    std::copy(returned.data.begin(), returned.data.end(), into.begin());
    return returned.data.size();
  }

  Status write(std::span<const Slice> parts, const Deadline& deadline) override {
    return session_
        .call(PortCall::kWrite, print_of(parts), &deadline, [&] { return PortReturn{real_->write(parts, deadline)}; })
        .status;
  }

  StatusOr<std::size_t> try_write(std::span<const Slice> parts) override {
    const PortReturn returned = session_.call(PortCall::kTryWrite, print_of(parts), nullptr, [&] {
      const StatusOr<std::size_t> taken = real_->try_write(parts);
      return taken.ok() ? give(*taken) : PortReturn{taken.status()};
    });
    RETURN_IF_ERROR(returned.status);
    return value_of<std::size_t>(returned);
  }

  void shutdown_write() override {
    session_.call(PortCall::kShutdownWrite, object_, nullptr, [&] {
      real_->shutdown_write();
      return PortReturn{};
    });
  }
  void close() override {
    session_.call(PortCall::kClose, object_, nullptr, [&] {
      real_->close();
      return PortReturn{};
    });
  }

  Address local() const override { return ends_.local; }
  Address peer() const override { return ends_.peer; }

 private:
  std::uint64_t print_of(std::span<const Slice> parts) const {
    std::uint64_t print = object_;
    for (const Slice& part : parts) {
      print = mix(print, logged::print(part));
    }
    return print;
  }

  LogSession& session_;
  std::unique_ptr<Connection> real_;
  Ends ends_;
  std::uint64_t object_;
};

// A call that makes a connection.
template <typename Make>
StatusOr<std::unique_ptr<Connection>> make_connection(LogSession& session, PortCall kind, std::uint64_t arguments,
                                                      const Deadline& deadline, Make make) {
  std::unique_ptr<Connection> real;
  const PortReturn returned = session.call(kind, arguments, &deadline, [&] {
    StatusOr<std::unique_ptr<Connection>> made = make();
    if (!made.ok()) {
      return PortReturn{made.status()};
    }
    real = *std::move(made);
    return give(Ends{real->local(), real->peer()});
  });
  RETURN_IF_ERROR(returned.status);
  return std::make_unique<LoggedConnection>(session, std::move(real), value_of<Ends>(returned));
}

class LoggedListener final : public Listener {
 public:
  LoggedListener(LogSession& session, std::unique_ptr<Listener> real, const Address& local)
      : session_(session), real_(std::move(real)), local_(local), object_(session.next_object()) {}

  StatusOr<std::unique_ptr<Connection>> accept(const Deadline& deadline) override {
    return make_connection(session_, PortCall::kAccept, object_, deadline, [&] { return real_->accept(deadline); });
  }
  Address local() const override { return local_; }

 private:
  LogSession& session_;
  std::unique_ptr<Listener> real_;
  Address local_;
  std::uint64_t object_;
};

class LoggedNetwork final : public Network {
 public:
  LoggedNetwork(LogSession& session, Network* real) : session_(session), real_(real) {}

  StatusOr<std::unique_ptr<Listener>> listen(const Address& at) override {
    std::unique_ptr<Listener> made;
    const PortReturn returned = session_.call(PortCall::kListen, at.key(), nullptr, [&] {
      StatusOr<std::unique_ptr<Listener>> listener = real_->listen(at);
      if (!listener.ok()) {
        return PortReturn{listener.status()};
      }
      made = *std::move(listener);
      return give(made->local());
    });
    RETURN_IF_ERROR(returned.status);
    return std::make_unique<LoggedListener>(session_, std::move(made), value_of<Address>(returned));
  }

  StatusOr<std::unique_ptr<Connection>> connect(const Address& to, const Deadline& deadline) override {
    return make_connection(session_, PortCall::kConnect, to.key(), deadline,
                           [&] { return real_->connect(to, deadline); });
  }

  StatusOr<std::vector<Address>> resolve(std::string_view host, std::uint16_t port, const Deadline& deadline) override {
    const PortReturn returned = session_.call(PortCall::kResolve, mix(logged::print(host), port), &deadline, [&] {
      const StatusOr<std::vector<Address>> found = real_->resolve(host, port, deadline);
      PortReturn out{found.status()};
      if (found.ok()) {
        for (const Address& address : *found) {
          put(out.data, address);
        }
      }
      return out;
    });
    RETURN_IF_ERROR(returned.status);
    std::vector<Address> addresses;
    for (std::string_view data = returned.data; !data.empty();) {
      addresses.push_back(take<Address>(data));
    }
    return addresses;
  }

 private:
  LogSession& session_;
  Network* real_;
};

}  // namespace

std::unique_ptr<Network> make_logged_network(LogSession& session, Network* real) {
  return std::make_unique<LoggedNetwork>(session, real);
}

}  // namespace chronik::runtime
