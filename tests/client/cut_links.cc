// A network between the nodes of a real cluster whose directed links can be cut, slowed, healed and broken.
//
//   cut_links 9191=9091:1:2 9291=9091:?:2
//
// What connects to port 9191 of the loopback is node 1 and is led to port 9091, node 2. `?`: the Kafka client id of its
// first request says who it is ("chronik-replica-3"); whoever is no node is 0. Commands come in lines, each is answered
// `ok`; the end of the input ends it:
//
//   cut 1 2       what 1 says to 2 does not arrive, and is kept: bytes, ends, resets. Nobody connects: over a port of
//                 one node connecting hangs, over one of all it seems to succeed
//   slow 1 2 50   it arrives 50 ms later
//   heal 1 2      it arrives, and so does what was kept: a real network sends it again
//   break 1 2     connections of 1 with 2, whoever began them, are reset
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <list>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/client/loopback_socket.h"

namespace chronik::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeldBytesMax = 256 * 1024;  // of one direction; then its sender has to wait
constexpr int kBacklog = 64;

struct Fault {
  bool cut = false;
  std::chrono::milliseconds delay{0};
};

// What one side has said and the other has not got yet.
struct Direction {
  struct Piece {
    std::string bytes;
    Clock::time_point due;
  };
  std::deque<Piece> pieces;
  std::size_t held = 0;
  bool ended = false;  // the side says no more
  bool reset = false;  // nor does it listen any more
  bool done = false;   // and the other side has got that
};

struct Listening {
  Fd fd;
  std::uint16_t port = 0;
  std::uint16_t target = 0;
  int from = 0;  // -1: the first request says it
  int to = 0;
  Fd filler;  // keeps its queue full while nobody may connect
  std::uint16_t filler_port = 0;
};

struct Link {
  Listening* listening = nullptr;
  int from = -1;
  std::array<Fd, 2> sides;              // who has connected, and the node to which
  std::array<Direction, 2> directions;  // from the side of that number
  bool connected = false;
  std::array<std::uint32_t, 2> wanted{};
};

class Links {
 public:
  explicit Links(std::vector<Listening> listening);
  void run();

 private:
  struct Watched {
    Listening* listening = nullptr;
    Link* link = nullptr;
    std::size_t side = 0;
  };
  Fault& fault(int from, int to) { return faults_[{from, to}]; }
  bool apart(int a, int b) { return fault(a, b).cut || fault(b, a).cut; }
  int speaker(const Link& link, std::size_t side) const { return side == 0 ? link.from : link.listening->to; }
  int hearer(const Link& link, std::size_t side) const { return side == 0 ? link.listening->to : link.from; }
  bool may_arrive(const Link& link, std::size_t side);

  bool obey();
  void carry_out(const std::string& line);
  void look_at_listening(Listening& listening);
  void accept_all(Listening& listening);
  void watch(int fd, const Watched& watched, std::uint32_t events);
  void drop(Fd& side, bool reset);
  void happen(Link& link, std::size_t side, std::uint32_t events);
  void read(Link& link, std::size_t side);
  void fail(Link& link, std::size_t side);
  void introduce(Link& link);
  void deliver(Link& link, std::size_t side);
  void look_at(Link& link);
  int patience() const;

  Fd epoll_;
  std::vector<Listening> listening_;
  std::list<Link> links_;
  std::map<std::pair<int, int>, Fault> faults_;
  std::map<int, Watched> watched_;
  std::string input_;
  std::array<char, 64 * 1024> buffer_{};
};

Links::Links(std::vector<Listening> listening)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), listening_(std::move(listening)) {
  for (Listening& one : listening_) {
    one.fd = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int yes = 1;
    ::setsockopt(one.fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const sockaddr_in address = loopback(one.port);
    if (::bind(one.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(one.fd.get(), kBacklog) != 0) {
      fmt::print(stderr, "cannot listen on port {}: error {}\n", one.port, errno);
      std::exit(2);
    }
    watch(one.fd.get(), {.listening = &one}, EPOLLIN);
  }
  watch(STDIN_FILENO, {}, EPOLLIN);
}

void Links::watch(int fd, const Watched& watched, std::uint32_t events) {
  const bool known = !watched_.insert_or_assign(fd, watched).second;
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  ::epoll_ctl(epoll_.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

void Links::drop(Fd& side, bool reset) {
  watched_.erase(side.get());
  if (reset) {
    reset_connection(side);
  } else {
    side.reset();
  }
}

// ---- what it is told ----

bool Links::obey() {
  std::array<char, 1024> buffer{};
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count <= 0) {
    return false;
  }
  input_.append(buffer.data(), static_cast<std::size_t>(count));
  for (std::size_t end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
    carry_out(input_.substr(0, end));
    input_.erase(0, end + 1);
    fmt::print("ok\n");
    static_cast<void>(std::fflush(stdout));
  }
  return true;
}

void Links::carry_out(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  int from = 0;
  int to = 0;
  int delay_ms = 0;
  words >> verb >> from >> to;
  if (!words || (verb == "slow" && !(words >> delay_ms))) {
    fmt::print(stderr, "not understood: {}\n", line);
    std::exit(2);
  }
  if (verb == "break") {
    for (Link& link : links_) {
      const std::pair<int, int> ends{link.from, link.listening->to};
      if (ends == std::pair(from, to) || ends == std::pair(to, from)) {
        for (Fd& side : link.sides) {
          drop(side, /*reset=*/true);
        }
      }
    }
  } else {
    fault(from, to) = {.cut = verb == "cut", .delay = std::chrono::milliseconds(delay_ms)};
  }
  for (Listening& listening : listening_) {
    look_at_listening(listening);
  }
}

// ---- connections ----

// Where connecting is to hang, the queue of connections that nobody has accepted is full.
void Links::look_at_listening(Listening& listening) {
  if (listening.from < 0) {
    return;
  }
  const bool closed = apart(listening.from, listening.to);
  if (closed && !listening.filler.open()) {
    accept_all(listening);
    watch(listening.fd.get(), {.listening = &listening}, 0);
    ::listen(listening.fd.get(), 0);
    listening.filler = connect_to(listening.port);
    listening.filler_port = local_port(listening.filler);
  } else if (!closed && listening.filler.open()) {
    reset_connection(listening.filler);
    ::listen(listening.fd.get(), kBacklog);
    watch(listening.fd.get(), {.listening = &listening}, EPOLLIN);
  }
}

void Links::accept_all(Listening& listening) {
  for (;;) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    Fd accepted(::accept4(listening.fd.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.open()) {
      return;
    }
    if (ntohs(peer.sin_port) == std::exchange(listening.filler_port, 0)) {
      continue;
    }
    const int yes = 1;
    ::setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    Link& link = links_.emplace_back();
    link.listening = &listening;
    link.from = listening.from;
    link.sides[0] = std::move(accepted);
  }
}

// Of a Kafka request: its length, API, version, correlation id, client id.
void Links::introduce(Link& link) {
  constexpr std::size_t kIdAt = 14;
  constexpr std::size_t kNull = 0xffff;
  constexpr std::string_view kOurs = "chronik-";
  std::string begin;
  for (const Direction::Piece& piece : link.directions[0].pieces) {
    begin += piece.bytes.substr(0, 256);
  }
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(begin[at])); };
  if (begin.size() < kIdAt) {
    return;
  }
  const std::size_t size = byte(kIdAt - 2) << 8U | byte(kIdAt - 1);
  if (size != kNull && begin.size() < kIdAt + size) {
    return;
  }
  const std::string id = size == kNull ? "" : begin.substr(kIdAt, size);
  const std::size_t digits = id.find_last_not_of("0123456789") + 1;
  link.from = id.starts_with(kOurs) && digits < id.size() ? std::atoi(id.c_str() + digits) : 0;
}

bool Links::may_arrive(const Link& link, std::size_t side) {
  const Direction& direction = link.directions.at(side);
  return link.connected && !fault(speaker(link, side), hearer(link, side)).cut &&
         (direction.pieces.empty() ? direction.ended : direction.pieces.front().due <= Clock::now());
}

void Links::read(Link& link, std::size_t side) {
  Direction& direction = link.directions.at(side);
  const ssize_t count = ::read(link.sides.at(side).get(), buffer_.data(), buffer_.size());
  if (count < 0) {
    if (errno != EAGAIN) {
      fail(link, side);
    }
    return;
  }
  direction.ended = count == 0;
  if (count > 0 && !link.directions.at(1 - side).reset) {
    std::string bytes(buffer_.data(), static_cast<std::size_t>(count));
    direction.held += bytes.size();
    Clock::time_point due = Clock::now() + fault(speaker(link, side), hearer(link, side)).delay;
    if (!direction.pieces.empty()) {
      due = std::max(due, direction.pieces.back().due);
    }
    direction.pieces.push_back({std::move(bytes), due});
  }
}

// Nothing goes to that side any more, and what it said before is still under way.
void Links::fail(Link& link, std::size_t side) {
  drop(link.sides.at(side), /*reset=*/false);
  link.directions.at(side).ended = link.directions.at(side).reset = true;
  Direction& other = link.directions.at(1 - side);
  other.pieces.clear();
  other.held = 0;
}

void Links::deliver(Link& link, std::size_t side) {
  Direction& direction = link.directions.at(side);
  Fd& to = link.sides.at(1 - side);
  while (!direction.pieces.empty() && may_arrive(link, side)) {
    std::string& bytes = direction.pieces.front().bytes;
    const ssize_t count =
        to.open() ? ::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) : static_cast<ssize_t>(bytes.size());
    if (count < 0) {
      if (errno != EAGAIN) {
        fail(link, 1 - side);
      }
      return;
    }
    direction.held -= static_cast<std::size_t>(count);
    bytes.erase(0, static_cast<std::size_t>(count));
    if (!bytes.empty()) {
      return;
    }
    direction.pieces.pop_front();
  }
  if (direction.pieces.empty() && !direction.done && may_arrive(link, side)) {
    direction.done = true;
    if (to.open() && direction.reset) {
      drop(to, /*reset=*/true);
    } else if (to.open()) {
      ::shutdown(to.get(), SHUT_WR);
    }
  }
}

void Links::happen(Link& link, std::size_t side, std::uint32_t events) {
  if (side == 1 && !link.connected && (events & (EPOLLERR | EPOLLHUP)) != 0) {
    drop(link.sides[1], /*reset=*/false);
    return drop(link.sides[0], /*reset=*/true);  // more it cannot be told: it is connected already
  }
  if (side == 1 && (events & EPOLLOUT) != 0) {
    link.connected = true;
  }
  if ((events & EPOLLIN) != 0) {
    read(link, side);
  } else if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && !link.directions.at(side).ended)) {
    fail(link, side);
  } else if ((events & EPOLLHUP) != 0) {
    drop(link.sides.at(side), /*reset=*/false);  // it has heard and said everything
  }
}

void Links::look_at(Link& link) {
  if (link.from < 0) {
    introduce(link);
  }
  if (link.from >= 0 && !link.sides[1].open() && !link.connected && link.sides[0].open() &&
      !apart(link.from, link.listening->to)) {
    link.sides[1] = connect_to(link.listening->target);
    link.wanted[1] = 0;
  }
  for (std::size_t side = 0; side < 2; ++side) {
    deliver(link, side);
  }
  for (std::size_t side = 0; side < 2; ++side) {
    if (!link.sides.at(side).open()) {
      continue;
    }
    const Direction& out = link.directions.at(side);
    const bool connects = side == 1 && !link.connected;
    const bool writes = connects || (!link.directions.at(1 - side).pieces.empty() && may_arrive(link, 1 - side));
    const bool reads = !out.ended && out.held < kHeldBytesMax && (side == 0 || link.connected);
    const std::uint32_t events = (reads ? EPOLLIN : 0U) | (writes ? EPOLLOUT : 0U);
    if (events != link.wanted.at(side) || !watched_.contains(link.sides.at(side).get())) {
      link.wanted.at(side) = events;
      watch(link.sides.at(side).get(), {.link = &link, .side = side}, events);
    }
  }
}

int Links::patience() const {
  constexpr int kForEver = -1;
  Clock::time_point next = Clock::time_point::max();
  for (const Link& link : links_) {
    for (const Direction& direction : link.directions) {
      if (!direction.pieces.empty() && direction.pieces.front().due > Clock::now()) {
        next = std::min(next, direction.pieces.front().due);
      }
    }
  }
  return next == Clock::time_point::max()
             ? kForEver
             : static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count());
}

void Links::run() {
  std::array<epoll_event, 64> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), patience());
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events.at(static_cast<std::size_t>(i));
      const auto found = watched_.find(event.data.fd);
      if (found == watched_.end()) {
        continue;
      }
      const Watched watched = found->second;
      if (watched.link != nullptr) {
        happen(*watched.link, watched.side, event.events);
      } else if (watched.listening != nullptr) {
        accept_all(*watched.listening);
      } else if (!obey()) {
        return;
      }
    }
    for (auto link = links_.begin(); link != links_.end();) {
      look_at(*link);
      const bool over =
          (!link->sides[0].open() && !link->sides[1].open()) || (link->directions[0].done && link->directions[1].done);
      if (over) {
        for (Fd& side : link->sides) {
          drop(side, /*reset=*/false);
        }
        link = links_.erase(link);
      } else {
        ++link;
      }
    }
  }
}

// "9191=9091:1:2"
Listening parse(const std::string& text) {
  std::string parts = text;
  std::replace_if(
      parts.begin(), parts.end(), [](char c) { return c == '=' || c == ':'; }, ' ');
  std::istringstream words(parts);
  Listening listening;
  std::string from;
  words >> listening.port >> listening.target >> from >> listening.to;
  if (!words) {
    fmt::print(stderr, "{}: must be PORT=PORT:FROM:TO\n", text);
    std::exit(2);
  }
  listening.from = from == "?" ? -1 : std::atoi(from.c_str());
  return listening;
}

}  // namespace
}  // namespace chronik::testing

int main(int argc, char** argv) {
  std::vector<chronik::testing::Listening> listening;
  for (int i = 1; i < argc; ++i) {
    listening.push_back(chronik::testing::parse(argv[i]));
  }
  chronik::testing::Links(std::move(listening)).run();
  return 0;
}
