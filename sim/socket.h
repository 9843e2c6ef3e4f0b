// The bottom of the simulated network (rule S18): non-blocking byte streams between two sockets, with readiness.
//
// A Stream is one connection seen from outside; its two sides are what the kernels at both ends know of it. Bytes are
// copied when they are written (rule S16) and delivered in order, in segments of drawn size after drawn delays. Where
// the way is blocked they wait and are sent again once it is free. A side whose process is gone may linger, or be gone
// without a word.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "core/base/slice.h"
#include "core/ports/network.h"
#include "sim/byte_queue.h"
#include "sim/decision.h"
#include "sim/event_queue.h"
#include "sim/virtual_time.h"

namespace chronik::sim {

class Link;
class Machine;
class NetworkFabric;
class StreamStory;

// Told when a socket may be worth another try. Called outside every fiber or from within another's call: must not
// suspend.
class SocketWatcher {
 public:
  virtual ~SocketWatcher() = default;
  virtual void on_readable() = 0;
  virtual void on_writable() = 0;
};

class Stream;

// One end. A process holds it from connect() or accept() until it closes it.
class Socket {
 public:
  enum class State : std::uint8_t {
    kConnecting,
    kOpen,
    kFailed,  // reset, refused, timed out: reads and writes say so
    kClosed,  // by its own process, or gone with its machine
  };
  enum class Result : std::uint8_t { kDone, kWouldBlock, kEnd, kError };
  struct Transfer {
    Result result = Result::kWouldBlock;
    std::size_t bytes = 0;
  };

  State state() const { return state_; }
  const Address& local() const { return local_; }
  const Address& remote() const { return remote_; }
  bool readable() const { return state_ == State::kFailed || !received_.empty() || end_received_; }
  bool writable() const;
  Transfer read(MutableByteSpan into);  // kEnd: the peer has closed its direction
  Transfer write(ByteSpan from);        // takes what fits
  void shutdown_write();
  void close();   // no more reads or writes; what was written may still arrive; unread bytes make it a reset
  void reset();   // at once, and the peer is told
  void vanish();  // the machine lost its power: the peer is told nothing
  void watch(SocketWatcher* watcher) { watcher_ = watcher; }
  // Names this end in decisions and in the trace.
  std::uint64_t lineage() const { return lineage_; }

 private:
  friend class Stream;
  friend class NetworkFabric;

  Stream* stream_ = nullptr;
  std::uint32_t side_ = 0;
  Machine* machine_ = nullptr;
  Address local_;
  Address remote_;
  std::uint64_t lineage_ = 0;
  State state_ = State::kConnecting;
  SocketWatcher* watcher_ = nullptr;
  ByteQueue received_;
  ByteQueue to_send_;
  bool end_received_ = false;
  bool end_queued_ = false;  // shutdown_write() or close()
  bool end_sent_ = false;
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(NetworkFabric& fabric, Machine& client, const Address& local, const Address& remote, std::uint64_t lineage);
  ~Stream();

  Socket& side(std::uint32_t index) { return sides_[index]; }
  const Socket& side(std::uint32_t index) const { return sides_[index]; }
  // Nothing more will happen to it.
  bool over() const;

  // ---- for the fabric ----
  void begin();                    // sends the SYN
  void abandon();                  // the client gave up connecting
  void retry(std::uint32_t from);  // the way from this side is free again
  void hurry(const Link& wide);    // it is wide again
  // A fault: one side is reset; the other hears of it only where `tell`.
  void break_off(std::uint32_t side, bool tell);

 private:
  friend class Socket;
  struct Segment {
    std::vector<std::uint8_t> bytes;
    bool end = false;
  };
  // What is under way from one side to the other.
  struct Way {
    std::deque<Segment> segments;
    std::size_t bytes = 0;
    std::size_t stalled = 0;  // arrivals that found the way blocked
    bool window_stalled = false;
    VirtualTime last_arrival;
    EventId give_up;
  };

  Link& link(std::uint32_t from);
  Duration draw_delay();
  VirtualTime arrival(std::uint32_t from, std::size_t bytes);
  void send_syn();
  void syn_arrives();
  void syn_answered(bool accepted);
  void pump(std::uint32_t from);
  void send(std::uint32_t from, Segment segment);
  void arrive(std::uint32_t from);
  void deliver(std::uint32_t to, Segment segment);
  void stall(std::uint32_t from);
  void await_power(std::uint32_t from);
  void expect(std::uint32_t from, std::size_t arrivals);
  void arm_give_up(std::uint32_t from);
  void window_opens(std::uint32_t from);
  void send_reset(std::uint32_t from);
  void fail(std::uint32_t side);
  std::size_t segment_size(std::size_t available);

  NetworkFabric& fabric_;
  Draws draws_;
  Socket sides_[2];
  Way ways_[2];  // [0]: from the client
  std::size_t segment_most_;
  std::uint64_t carried_ = 0;
  std::uint32_t syns_ = 0;
  bool syn_accepted_ = false;
  bool abandoned_ = false;
  std::unique_ptr<StreamStory> story_;  // where the run has one
};

}  // namespace chronik::sim
