#include "sim/scenarios/frozen_node.h"

#include <fmt/core.h>

#include <array>
#include <utility>

#include "core/base/endian.h"
#include "sim/obligations.h"
#include "sim/story.h"

namespace chronik::sim {

namespace {

constexpr Duration kUntilGivenUp = Duration::seconds(60);
constexpr Duration kFrozenAfter = Duration::seconds(12);
constexpr std::size_t kChangesMost = 2;
constexpr std::uint16_t kForwardPort = 9;
constexpr WaitKey kChangeKey{WaitKind::kChannel, 1, 0, 0};

Deadline until_given_up() { return fiber::within(kUntilGivenUp, Expiry::kPeer); }

Status read_number(Connection& connection, std::uint64_t& into, const Deadline& deadline) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t got = 0; got < bytes.size();) {
    ASSIGN_OR_RETURN(const std::size_t more, connection.read(MutableByteSpan(bytes).subspan(got), deadline));
    if (more == 0) {
      return absl::UnavailableError("the peer closed");
    }
    got += more;
  }
  into = load_big<std::uint64_t>(bytes.data());
  return ok();
}

Status write_number(Connection& connection, std::uint64_t number) {
  const Slice bytes = Slice::allocate(8);
  store_big<std::uint64_t>(bytes.mutable_data(), number);
  return connection.write({&bytes, 1}, until_given_up());
}

WaitKey request_key(const Address& client, const Address& server, std::uint64_t number) {
  return {WaitKind::kRequest, client.key(), server.key(), number};
}

class RequestDetail final : public WaitDetail {
 public:
  explicit RequestDetail(const Address& server) : server_(server) {}
  std::string describe_wait() const override { return "forwarded to " + server_.to_string(); }

 private:
  Address server_;
};

// A client that is to be answered in time, or else NO-STUCK.
class Promise {
 public:
  Promise(World& world, std::string what)
      : world_(world), id_(world.obligations().open(std::move(what), kFrozenAfter)) {}
  ~Promise() { world_.obligations().settle(id_); }
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;

 private:
  World& world_;
  std::uint64_t id_;
};

}  // namespace

FrozenNode::FrozenNode(ProcessContext& process, const Address& other) : process_(process), other_(other) {
  other_.port = kForwardPort;
}

void FrozenNode::start() {
  scope_.spawn({"changes"}, [this] { consume_changes(); });
  scope_.spawn({"server"}, [this] { serve(); });
  StatusOr<std::unique_ptr<File>> file =
      process_.ports.disk.open("raft.log", OpenMode::kCreate, DiskLane::kLog, until_given_up());
  if (file.ok()) {
    file_ = *std::move(file);
  }
}

void FrozenNode::carry_out(const PlanOperation& operation) {
  static const std::map<std::string_view, void (FrozenNode::*)()> kVerbs{
      {"append", &FrozenNode::append},        {"flush", &FrozenNode::flush},
      {"apply", &FrozenNode::apply},          {"list-topics", &FrozenNode::list_topics},
      {"sync", &FrozenNode::append_and_sync}, {"metadata", &FrozenNode::metadata},
      {"publish", &FrozenNode::publish},      {"produce", &FrozenNode::produce}};
  takes_ = Duration::nanoseconds(operation.number("takes_ns"));
  (this->*kVerbs.at(operation.verb))();
}

// ---- Raft, log, Raft ----

void FrozenNode::append() {
  Pass raft;
  Pass log;
  if (enter(raft_, raft) && work() && enter(log_, log)) {
    static_cast<void>(work());
  }
}

void FrozenNode::flush() {
  Pass log;
  Pass raft;
  if (enter(log_, log) && work() && enter(raft_, raft)) {
    static_cast<void>(work());
  }
}

// ---- metadata, Raft, metadata ----

void FrozenNode::apply() {
  Pass raft;
  Pass machine;
  if (enter(raft_, raft) && work() && enter(machine_, machine)) {
    static_cast<void>(work());
  }
}

void FrozenNode::list_topics() {
  const Promise answered(process_.machine.world(), "the topics are listed");
  Pass machine;
  Pass raft;
  if (enter(machine_, machine) && work() && enter(raft_, raft)) {
    static_cast<void>(work());
  }
}

// ---- a sync that never returns ----

void FrozenNode::append_and_sync() {
  Pass raft;
  if (file_ != nullptr && enter(raft_, raft)) {
    tell("syncs the log of Raft");
    FileBatch batch;
    batch.sync = true;
    static_cast<void>(file_->run(std::move(batch), until_given_up()));
  }
}

void FrozenNode::metadata() {
  const Promise answered(process_.machine.world(), "a client is told of the topics");
  Pass raft;
  static_cast<void>(enter(raft_, raft));
}

// ---- a full queue ----

void FrozenNode::publish() {
  Pass raft;
  if (!enter(raft_, raft) || !work()) {
    return;
  }
  while (changes_ == kChangesMost) {
    tell("waits for a place in the queue of changes");
    if (!change_.wait(kChangeKey, until_given_up()).ok()) {
      return;
    }
  }
  ++changes_;
  change_.notify_all();
}

void FrozenNode::consume_changes() {
  const fiber::Provides places(kChangeKey);
  for (;;) {
    while (changes_ == 0) {
      if (!change_.wait({WaitKind::kWork, 0, 0, 0}, fiber::for_ever()).ok()) {
        return;
      }
    }
    Pass raft;
    if (!enter(raft_, raft) || !work()) {
      return;
    }
    --changes_;
    change_.notify_all();
  }
}

// ---- forwarding ----

void FrozenNode::produce() {
  const Promise answered(process_.machine.world(), "a record is acknowledged");
  static_cast<void>(forward());
}

bool FrozenNode::forward() {
  Pass link;
  if (!enter(link_, link)) {
    return false;
  }
  if (connection_ == nullptr) {
    StatusOr<std::unique_ptr<Connection>> connected = process_.ports.network.connect(other_, until_given_up());
    if (!connected.ok()) {
      return false;
    }
    connection_ = *std::move(connected);
    scope_.spawn({"answers"}, [this] { read_answers(); });
  }
  const std::uint64_t number = ++asked_.last;
  fiber::Latch& answer = asked_.answers[number];
  tell(fmt::format("forwards request {} to {}", number, other_.to_string()));
  const RequestDetail detail(other_);
  const bool answered =
      write_number(*connection_, number).ok() &&
      answer.wait(request_key(connection_->local(), connection_->peer(), number), until_given_up(), &detail).ok();
  asked_.answers.erase(number);
  return answered;
}

void FrozenNode::read_answers() {
  std::uint64_t number = 0;
  while (read_number(*connection_, number, fiber::for_ever()).ok()) {
    if (const auto found = asked_.answers.find(number); found != asked_.answers.end()) {
      found->second.set();
    }
  }
}

void FrozenNode::serve() {
  Address at = process_.machine.address();
  at.port = kForwardPort;
  const StatusOr<std::unique_ptr<Listener>> listener = process_.ports.network.listen(at);
  for (std::uint64_t i = 0; listener.ok(); ++i) {
    StatusOr<std::unique_ptr<Connection>> accepted = (*listener)->accept(fiber::for_ever());
    if (!accepted.ok()) {
      return;
    }
    scope_.spawn({"forwarded", i}, [this, connection = *std::move(accepted)] { serve_connection(*connection); });
  }
}

// The other takes this node for the leader, and this node the other.
void FrozenNode::serve_connection(Connection& connection) {
  std::uint64_t number = 0;
  while (read_number(connection, number, fiber::for_ever()).ok()) {
    const fiber::Provides provides(request_key(connection.peer(), connection.local(), number));
    if (!forward() || !write_number(connection, number).ok()) {
      return;
    }
  }
}

// ---- all of them ----

bool FrozenNode::enter(fiber::Turnstile& turnstile, Pass& pass) {
  tell(fmt::format("asks for {}", turnstile.name()));
  const bool entered = turnstile.enter(pass, until_given_up()).ok();
  if (entered) {
    tell(fmt::format("holds {}", turnstile.name()));
  }
  return entered;
}

bool FrozenNode::work() { return fiber::sleep(takes_).ok(); }

void FrozenNode::tell(std::string what) {
  if (Story* story = process_.machine.world().story(); story != nullptr) [[unlikely]] {
    story->tell(StoryKind::kOperation, std::move(what));
  }
}

}  // namespace chronik::sim
