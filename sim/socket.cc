#include "sim/socket.h"

#include <algorithm>
#include <utility>

#include "core/base/crc32c.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/story_frames.h"
#include "sim/world.h"

namespace chronik::sim {

namespace {
constexpr std::uint32_t kSynsMax = 7;
constexpr Duration kRetransmit = Duration::seconds(1);
// A stream whose bytes travel one by one does so for its first bytes only: megabytes would be millions of events.
constexpr std::uint64_t kTinySegmentBytes = 4096;
constexpr std::size_t kUsualSegment = 1460;
}  // namespace

// ---- one end ----

bool Socket::writable() const {
  return state_ == State::kFailed || (state_ == State::kOpen && to_send_.size() < stream_->fabric_.knobs().send_buffer);
}

Socket::Transfer Socket::read(MutableByteSpan into) {
  if (state_ == State::kFailed || state_ == State::kClosed) {
    return {Result::kError, 0};
  }
  if (received_.empty()) {
    return {end_received_ ? Result::kEnd : Result::kWouldBlock, 0};
  }
  const std::size_t most = stream_->fabric_.knobs().transfer_most;
  const std::size_t n = received_.pop(most == 0 ? into : into.first(std::min(into.size(), most)));
  stream_->fabric_.world().trace().record(Record::kBytesIn, lineage_, n, crc32c(into.first(n)));
  stream_->window_opens(1 - side_);
  return {Result::kDone, n};
}

Socket::Transfer Socket::write(ByteSpan from) {
  if (state_ != State::kOpen || end_queued_) {
    return {state_ == State::kConnecting ? Result::kWouldBlock : Result::kError, 0};
  }
  const NetworkKnobs& knobs = stream_->fabric_.knobs();
  const std::size_t room = knobs.send_buffer - std::min(knobs.send_buffer, to_send_.size());
  std::size_t n = std::min(from.size(), room);
  if (knobs.transfer_most != 0) {
    n = std::min(n, knobs.transfer_most);
  }
  if (n == 0) {
    return {Result::kWouldBlock, 0};
  }
  to_send_.push(from.first(n));
  stream_->fabric_.world().trace().record(Record::kBytesOut, lineage_, n, crc32c(from.first(n)));
  if (stream_->story_ != nullptr) [[unlikely]] {
    stream_->story_->written(side_, from.first(n));
  }
  stream_->pump(side_);
  return {Result::kDone, n};
}

void Socket::shutdown_write() {
  if (state_ == State::kOpen && !end_queued_) {
    end_queued_ = true;
    stream_->pump(side_);
  }
}

void Socket::close() {
  if (state_ == State::kConnecting) {
    stream_->abandon();
    return;
  }
  if (state_ != State::kOpen) {
    state_ = State::kClosed;
    return;
  }
  if (!received_.empty()) {
    reset();
    return;
  }
  state_ = State::kClosed;
  end_queued_ = true;
  stream_->pump(side_);
}

void Socket::reset() {
  const bool open = state_ == State::kOpen;
  if (stream_->story_ != nullptr) [[unlikely]] {
    stream_->story_->lost(side_, "its sender has reset the connection", to_send_.size());
  }
  if (state_ == State::kConnecting) {
    stream_->abandon();
  }
  state_ = State::kClosed;
  received_.clear();
  to_send_.clear();
  if (open) {
    stream_->send_reset(side_);
  }
}

void Socket::vanish() {
  if (stream_->story_ != nullptr) [[unlikely]] {
    stream_->story_->lost(side_, "its sender has lost its power", to_send_.size());
  }
  state_ = State::kClosed;
  received_.clear();
  to_send_.clear();
  if (side_ == 0) {
    stream_->abandoned_ = true;
  }
}

// ---- both ----

Stream::Stream(NetworkFabric& fabric, Machine& client, const Address& local, const Address& remote,
               std::uint64_t lineage)
    : fabric_(fabric),
      draws_(fabric.world().decisions().draws("stream", lineage)),
      segment_most_(fabric.knobs().segment_most) {
  for (std::uint32_t i = 0; i < 2; ++i) {
    sides_[i].stream_ = this;
    sides_[i].side_ = i;
    sides_[i].lineage_ = mix(lineage, i);
  }
  sides_[0].machine_ = &client;
  sides_[0].local_ = sides_[1].remote_ = local;
  sides_[0].remote_ = sides_[1].local_ = remote;
  sides_[1].machine_ = fabric.machine_at(remote, client);
  sides_[1].state_ = Socket::State::kClosed;  // until a SYN is accepted
  if (Story* story = fabric.world().story(); story != nullptr) [[unlikely]] {
    const auto end = [](const Machine* machine) {
      return machine == nullptr ? StreamStory::End{}
                                : StreamStory::End{.machine = static_cast<std::int32_t>(machine->index()),
                                                   .node = machine->options().disk != nullptr};
    };
    story_ = std::make_unique<StreamStory>(*story, end(&client), end(sides_[1].machine_));
  }
}

Stream::~Stream() = default;

bool Stream::over() const {
  const auto ended = [](const Socket& socket) {
    return socket.state_ == Socket::State::kClosed || socket.state_ == Socket::State::kFailed;
  };
  return ended(sides_[0]) && ended(sides_[1]);
}

Link& Stream::link(std::uint32_t from) { return fabric_.link(*sides_[from].machine_, *sides_[1 - from].machine_); }

Duration Stream::draw_delay() {
  const NetworkKnobs& knobs = fabric_.knobs();
  return sides_[0].machine_ == sides_[1].machine_ ? draws_.heavy_tailed(knobs.loopback_delay, knobs.loopback_delay * 10)
                                                  : draws_.heavy_tailed(knobs.delay, knobs.delay_most);
}

VirtualTime Stream::arrival(std::uint32_t from, std::size_t bytes) {
  const Duration delay = draw_delay() + link(from).extra_delay_of(sides_[0].remote_.port);
  Way& way = ways_[from];
  way.last_arrival = std::max(
      way.last_arrival, link(from).arrival(fabric_.world().now(), bytes, delay, fabric_.knobs().bytes_per_second));
  return way.last_arrival;
}

// ---- connecting ----

void Stream::begin() {
  if (sides_[1].machine_ != nullptr) {
    send_syn();
  }
}

void Stream::send_syn() {
  World& world = fabric_.world();
  const NetworkKnobs& knobs = fabric_.knobs();
  const bool lost = syns_ == 0 && draws_.chance(knobs.lost_syn);
  if (lost) {
    world.fault_fired("network lost connect", sides_[0].lineage_);
  } else {
    world.at(arrival(0, 0), [self = shared_from_this()] { self->syn_arrives(); });
  }
  if (++syns_ < kSynsMax) {
    world.after(knobs.syn_retry * (std::int64_t{1} << (syns_ - 1)), [self = shared_from_this()] {
      if (self->sides_[0].state_ == Socket::State::kConnecting && !self->abandoned_) {
        self->send_syn();
      }
    });
  }
}

void Stream::syn_arrives() {
  Machine& target = *sides_[1].machine_;
  if (abandoned_ || link(0).blocked() || !target.powered()) {
    return;
  }
  bool accepted = syn_accepted_;
  if (!accepted) {
    ListenSocket* listener = fabric_.listener_at(target, sides_[1].local_);
    const bool refused = draws_.chance(fabric_.knobs().refuse);
    if (refused && listener != nullptr) {
      fabric_.world().fault_fired("network refuse", sides_[0].lineage_);
    }
    if (listener != nullptr && !refused) {
      if (listener->waiting_.size() >= fabric_.knobs().backlog) {
        return;  // the SYN is lost; the client tries again
      }
      accepted = syn_accepted_ = true;
      sides_[1].state_ = Socket::State::kOpen;
      listener->waiting_.push_back(shared_from_this());
      if (listener->watcher_ != nullptr) {
        listener->watcher_->on_readable();
      }
    }
  }
  fabric_.world().at(arrival(1, 0), [self = shared_from_this(), accepted] {
    if (!self->link(1).blocked() && self->sides_[0].machine_->powered()) {
      self->syn_answered(accepted);
    }
  });
}

void Stream::syn_answered(bool accepted) {
  Socket& client = sides_[0];
  if (client.state_ != Socket::State::kConnecting) {
    return;
  }
  client.state_ = accepted ? Socket::State::kOpen : Socket::State::kFailed;
  if (story_ != nullptr) [[unlikely]] {
    story_->connected(accepted);
  }
  if (client.watcher_ != nullptr) {
    client.watcher_->on_writable();
  }
}

void Stream::abandon() {
  abandoned_ = true;
  if (story_ != nullptr) [[unlikely]] {
    story_->lost(0, "its sender has given up");
  }
  sides_[0].state_ = Socket::State::kClosed;
  if (syn_accepted_) {
    send_reset(0);
  }
}

// ---- bytes ----

std::size_t Stream::segment_size(std::size_t available) {
  const std::size_t most =
      segment_most_ < kUsualSegment && carried_ > kTinySegmentBytes ? kUsualSegment : segment_most_;
  const std::size_t n = std::min(available, most);
  // As often as not everything that fits, as a kernel would; else a part, cut anywhere.
  return n <= 1 || draws_.below(2) == 0 ? n : static_cast<std::size_t>(draws_.between(1, static_cast<std::int64_t>(n)));
}

void Stream::pump(std::uint32_t from) {
  Socket& socket = sides_[from];
  Way& way = ways_[from];
  const std::size_t before = socket.to_send_.size();
  while (!socket.to_send_.empty()) {
    const std::size_t used = way.bytes + sides_[1 - from].received_.size();
    const std::size_t window = fabric_.knobs().receive_buffer - std::min(fabric_.knobs().receive_buffer, used);
    if (window == 0) {
      way.window_stalled = true;
      break;
    }
    Segment segment;
    segment.bytes.resize(segment_size(std::min(socket.to_send_.size(), window)));
    CHECK_EQ(socket.to_send_.pop(segment.bytes), segment.bytes.size());
    carried_ += segment.bytes.size();
    send(from, std::move(segment));
  }
  if (socket.to_send_.empty() && socket.end_queued_ && !socket.end_sent_) {
    socket.end_sent_ = true;
    send(from, Segment{.bytes = {}, .end = true});
  }
  if (socket.to_send_.size() < before && socket.watcher_ != nullptr) {
    socket.watcher_->on_writable();
  }
}

void Stream::send(std::uint32_t from, Segment segment) {
  Way& way = ways_[from];
  const std::size_t bytes = segment.bytes.size();
  way.bytes += bytes;
  way.segments.push_back(std::move(segment));
  fabric_.world().at(arrival(from, bytes), [self = shared_from_this(), from] { self->arrive(from); });
}

void Stream::arrive(std::uint32_t from) {
  Way& way = ways_[from];
  if (way.segments.empty()) {
    return;  // the sender gave up
  }
  const bool blocked = link(from).blocked();
  const bool stays = blocked || !sides_[1 - from].machine_->powered();
  if (stays && story_ != nullptr) [[unlikely]] {
    story_->held(from);
  }
  if (blocked) {
    stall(from);
    return;
  }
  if (stays) {
    await_power(from);
    return;
  }
  fabric_.world().cancel(std::exchange(way.give_up, {}));
  Segment segment = std::move(way.segments.front());
  way.segments.pop_front();
  way.bytes -= segment.bytes.size();
  const NetworkKnobs& knobs = fabric_.knobs();
  if (knobs.reset.value > 0 && draws_.chance(knobs.reset)) {
    fabric_.world().fault_fired("network reset", sides_[0].lineage_);
    break_off(from, true);
    return;
  }
  if (knobs.half_open.value > 0 && draws_.chance(knobs.half_open)) {
    fabric_.world().fault_fired("network half-open", sides_[0].lineage_);
    break_off(1 - from, false);
    return;
  }
  deliver(1 - from, std::move(segment));
}

void Stream::deliver(std::uint32_t to, Segment segment) {
  Socket& socket = sides_[to];
  if (socket.state_ == Socket::State::kClosed || socket.state_ == Socket::State::kFailed) {
    if (story_ != nullptr) [[unlikely]] {
      story_->lost(1 - to, "nobody is there to read it");
    }
    if (!segment.bytes.empty()) {
      send_reset(to);  // nobody is there to read
    }
    return;
  }
  if (socket.state_ == Socket::State::kConnecting) {
    syn_answered(true);  // bytes tell it as well as the lost answer would have
  }
  if (story_ != nullptr) [[unlikely]] {
    story_->delivered(1 - to, segment.bytes.size());
  }
  socket.received_.push(segment.bytes);
  socket.end_received_ = socket.end_received_ || segment.end;
  if (socket.watcher_ != nullptr) {
    socket.watcher_->on_readable();
  }
}

void Stream::arm_give_up(std::uint32_t from) {
  Way& way = ways_[from];
  if (!way.give_up.is_set()) {
    way.give_up = fabric_.world().after(fabric_.knobs().give_up, [self = shared_from_this(), from] {
      self->ways_[from].give_up = {};
      self->ways_[from].segments.clear();
      self->ways_[from].bytes = 0;
      if (self->story_ != nullptr) [[unlikely]] {
        self->story_->lost(from, "its sender has given up sending it again");
      }
      self->fail(from);
    });
  }
}

void Stream::stall(std::uint32_t from) {
  ++ways_[from].stalled;
  link(from).waiting_.emplace_back(weak_from_this(), from);
  arm_give_up(from);
}

void Stream::await_power(std::uint32_t from) {
  arm_give_up(from);
  fabric_.world().after(kRetransmit, [self = shared_from_this(), from] { self->arrive(from); });
}

void Stream::retry(std::uint32_t from) { expect(from, std::exchange(ways_[from].stalled, 0)); }

// The arrivals that were planned before find nothing, or what was sent since, then.
void Stream::hurry(const Link& wide) {
  for (const std::uint32_t from : {0U, 1U}) {
    if (sides_[1].machine_ != nullptr && &link(from) == &wide) {
      Way& way = ways_[from];
      way.last_arrival = std::min(way.last_arrival, fabric_.world().now());
      expect(from, way.segments.size() - std::min(way.segments.size(), way.stalled));
    }
  }
}

void Stream::expect(std::uint32_t from, std::size_t arrivals) {
  for (; arrivals > 0; --arrivals) {
    fabric_.world().at(arrival(from, 0), [self = shared_from_this(), from] { self->arrive(from); });
  }
}

void Stream::window_opens(std::uint32_t from) {
  if (!std::exchange(ways_[from].window_stalled, false)) {
    return;
  }
  const Duration delay = draw_delay();
  fabric_.world().after(delay, [self = shared_from_this(), from] { self->pump(from); });
}

// ---- ends ----

void Stream::send_reset(std::uint32_t from) {
  fabric_.world().at(arrival(from, 0), [self = shared_from_this(), from] {
    if (!self->link(from).blocked()) {
      self->fail(1 - from);
    }
  });
}

void Stream::fail(std::uint32_t side) {
  Socket& socket = sides_[side];
  if (story_ != nullptr) [[unlikely]] {
    story_->lost(side, "the connection has ended", socket.to_send_.size());
  }
  socket.to_send_.clear();
  if (socket.state_ == Socket::State::kClosed) {
    return;
  }
  socket.received_.clear();
  socket.state_ = Socket::State::kFailed;
  if (socket.watcher_ != nullptr) {
    socket.watcher_->on_readable();
    socket.watcher_->on_writable();
  }
}

void Stream::break_off(std::uint32_t side, bool tell) {
  // What it had under way is lost with it: bytes that arrived behind a gap would be wrong bytes.
  if (story_ != nullptr) [[unlikely]] {
    story_->lost(side, tell ? "the connection is reset" : "the connection is half open");
  }
  ways_[side].segments.clear();
  ways_[side].bytes = 0;
  fail(side);
  if (tell) {
    send_reset(side);
  }
}

}  // namespace chronik::sim
