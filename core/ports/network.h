// Port: byte streams between addresses.
//
// What may go wrong, and therefore does in the simulator: bytes arrive late, in pieces of any size, or never; a
// connection is reset at any time; the peer closes one direction only; a connection is half-open (the peer is gone and
// nothing says so); connecting hangs, is refused, or succeeds to a peer that dies at once. Bytes that arrive are right
// and in order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/deadline.h"
#include "core/base/slice.h"
#include "core/base/status.h"

namespace chronik {

// An IPv6 address (IPv4 as ::ffff:a.b.c.d) and a port.
struct Address {
  std::array<std::uint8_t, 16> ip{};
  std::uint16_t port = 0;

  static Address ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint16_t port);
  bool is_ipv4() const;
  bool is_loopback() const;
  std::string host() const;       // "127.0.0.1", "::1"
  std::string to_string() const;  // "127.0.0.1:9092", "[::1]:9092"
  std::uint64_t key() const;      // for wait keys: the same on every node
  friend auto operator<=>(const Address&, const Address&) = default;
};

// One stream, both directions. At most one read and one write or try_write are under way at a time (checked).
// Destroying it closes both directions at once, without suspending; bytes accepted by write() may still be delivered.
class Connection {
 public:
  virtual ~Connection() = default;

  // Waits for at least one byte and reads what is there, up to into.size(). 0: the peer has closed its direction.
  // An expired or cancelled read has consumed nothing. Errors: kUnavailable (reset), kDeadlineExceeded, kCancelled,
  // kAborted. May suspend even where bytes are there.
  virtual StatusOr<std::size_t> read(MutableByteSpan into, const Deadline& deadline) = 0;

  // Hands all parts to the transport, in order, waiting for room. Success says nothing about arrival. On any error,
  // expiry included, an unknown prefix was handed over and the connection is closed.
  virtual Status write(std::span<const Slice> parts, const Deadline& deadline) = 0;

  // Hands over what goes without waiting, from the first byte on, and says how many bytes that were: any number from
  // none to all. Never suspends. kUnavailable, as for write(): the connection is closed then.
  virtual StatusOr<std::size_t> try_write(std::span<const Slice> parts) = 0;

  // Says "no more bytes" to the peer; reading goes on.
  virtual void shutdown_write() = 0;
  // Resets the connection: reads and writes under way return kUnavailable.
  virtual void close() = 0;

  virtual Address local() const = 0;
  virtual Address peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;  // connections that were not accepted are reset
  // Errors: kDeadlineExceeded, kCancelled, kAborted, kResourceExhausted (no descriptor left; the caller may try later).
  virtual StatusOr<std::unique_ptr<Connection>> accept(const Deadline& deadline) = 0;
  virtual Address local() const = 0;  // with the real port where 0 was asked for
};

class Network {
 public:
  virtual ~Network() = default;
  // kFailedPrecondition: the address is in use or not ours. Does not suspend.
  virtual StatusOr<std::unique_ptr<Listener>> listen(const Address& at) = 0;
  // kUnavailable: refused or unreachable.
  virtual StatusOr<std::unique_ptr<Connection>> connect(const Address& to, const Deadline& deadline) = 0;
  // Addresses of a host name, in the resolver's order; numeric hosts are answered at once. kNotFound: no such host.
  virtual StatusOr<std::vector<Address>> resolve(std::string_view host, std::uint16_t port,
                                                 const Deadline& deadline) = 0;
};

}  // namespace chronik
