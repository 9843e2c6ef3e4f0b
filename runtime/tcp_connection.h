// Connection on a non-blocking TCP socket.
//
// In steady state a request costs one recv and one sendmsg: the loop reports edges, a read that was given less than it
// asked for knows that nothing is left, and a write is tried before it is waited for. Lifetime: belongs to one shard;
// outlived by its network.
#pragma once

#include <cstdint>

#include "core/ports/network.h"
#include "runtime/descriptor.h"
#include "runtime/event_loop.h"
#include "runtime/io_wait.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

class TcpConnection final : public Connection, private ReadinessTarget, private WaitDetail {
 public:
  // Takes a connected or connecting socket. start() must be called before anything else.
  TcpConnection(EventLoop& loop, SystemCalls& calls, Descriptor socket, const Address& peer);
  ~TcpConnection() override;  // nobody may be reading or writing

  // Begins to watch the socket. kResourceExhausted.
  Status start();
  // For a socket that is connecting: waits until it has.
  Status finish_connect(const Deadline& deadline);

  StatusOr<std::size_t> read(MutableByteSpan into, const Deadline& deadline) override;
  Status write(std::span<const Slice> parts, const Deadline& deadline) override;
  StatusOr<std::size_t> try_write(std::span<const Slice> parts) override;
  void shutdown_write() override;
  void close() override;
  Address local() const override { return local_; }
  Address peer() const override { return peer_; }

 private:
  // What is known of one direction, and who waits for it.
  struct Direction {
    bool ready = false;
    bool in_use = false;
    IoWait* waiting = nullptr;
    std::uint64_t turn = 0;  // the turn in which `moved` was counted
    std::size_t moved = 0;   // bytes in this turn
  };
  class Use;
  struct Unsent;

  // Sends until nothing is left or the socket is full. Fails where it is closed.
  Status send_some(Unsent& unsent);
  void on_ready(std::uint32_t events, std::vector<fiber::Completion>& batch) override;
  Status await(Direction& direction, const WaitKey& key, const Deadline& deadline);
  // A stream that is faster than its reader must not keep a turn for itself.
  bool used_its_share(Direction& direction) const;
  void learn_addresses();
  std::string describe_wait() const override { return "with " + peer_.to_string(); }

  EventLoop& loop_;
  SystemCalls& calls_;
  Descriptor socket_;
  Address local_;
  Address peer_;
  WaitKey read_key_;
  WaitKey write_key_;
  Direction input_;
  Direction output_;
  bool hung_up_ = false;  // the kernel said that the peer is done or gone
  bool closed_ = false;
};

}  // namespace chronik::runtime
