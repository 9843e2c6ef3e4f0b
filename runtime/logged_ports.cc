#include "runtime/logged_ports.h"

#include <utility>

#include "runtime/logged_parts.h"

namespace chronik::runtime {

namespace {

using logged::give;
using logged::value_of;

class LoggedClock final : public Clock {
 public:
  LoggedClock(LogSession& session, Clock* real) : session_(session), real_(real) {}
  MonotonicTime monotonic() const override {
    return value_of<MonotonicTime>(
        session_.call(PortCall::kMonotonic, 0, nullptr, [&] { return give(real_->monotonic()); }));
  }
  WallTime wall() const override {
    return value_of<WallTime>(session_.call(PortCall::kWall, 0, nullptr, [&] { return give(real_->wall()); }));
  }

 private:
  LogSession& session_;
  Clock* real_;
};

class LoggedRandom final : public Random {
 public:
  LoggedRandom(LogSession& session, Random* real) : session_(session), real_(real) {}
  std::uint64_t next() override {
    return value_of<std::uint64_t>(session_.call(PortCall::kRandom, 0, nullptr, [&] { return give(real_->next()); }));
  }

 private:
  LogSession& session_;
  Random* real_;
};

class LoggedMailbox final : public Mailbox {
 public:
  LoggedMailbox(LogSession& session, Mailbox* real, const MessageCodec* codec)
      : session_(session), real_(real), codec_(codec) {}

  bool try_send(ShardId to, std::unique_ptr<MailboxMessage>& message) override {
    const PortReturn returned = session_.call(PortCall::kMailSend, static_cast<std::uint64_t>(to.value()), nullptr,
                                              [&] { return give(real_->try_send(to, message)); });
    const bool sent = value_of<bool>(returned);
    if (sent) {
      message.reset();  // in a replay nobody took it
    }
    return sent;
  }

  StatusOr<std::unique_ptr<MailboxMessage>> receive(const Deadline& deadline) override {
    CHECK(codec_ != nullptr);
    const PortReturn returned = session_.call(PortCall::kMailReceive, 0, &deadline, [&] {
      const StatusOr<std::unique_ptr<MailboxMessage>> got = real_->receive(deadline);
      return got.ok() ? PortReturn{ok(), codec_->encode(**got)} : PortReturn{got.status()};
    });
    RETURN_IF_ERROR(returned.status);
    return codec_->decode(returned.data);
  }

 private:
  LogSession& session_;
  Mailbox* real_;
  const MessageCodec* codec_;
};

class LoggedProcess final : public Process {
 public:
  LoggedProcess(LogSession& session, Process* real) : session_(session), real_(real) {}
  [[noreturn]] void fatal(ExitStatus status, std::string_view reason) override {
    // Recording, this does not come back; replaying, it parks the fiber, as a call that never returned.
    session_.call(PortCall::kFatal, static_cast<std::uint64_t>(status), nullptr, [&]() -> PortReturn {
      real_->fatal(status, reason);
      UNREACHABLE("the process went on after its exit");
    });
    UNREACHABLE("the process went on after its exit");
  }

 private:
  LogSession& session_;
  Process* real_;
};

}  // namespace

struct LoggedPorts::All {
  std::unique_ptr<Clock> clock;
  std::unique_ptr<Random> random;
  std::unique_ptr<Network> network;
  std::unique_ptr<Disk> disk;
  std::unique_ptr<KeyValueStore> store;
  std::unique_ptr<Mailbox> mailbox;
  std::unique_ptr<Process> process;
};

LoggedPorts::LoggedPorts(LogSession& session, Ports* real, const MessageCodec* codec) : all_(new All) {
  const bool recording = real != nullptr;
  CHECK_EQ(recording, !session.replaying());
  all_->clock = std::make_unique<LoggedClock>(session, recording ? &real->clock : nullptr);
  all_->random = std::make_unique<LoggedRandom>(session, recording ? &real->random : nullptr);
  all_->network = make_logged_network(session, recording ? &real->network : nullptr);
  all_->disk = make_logged_disk(session, recording ? &real->disk : nullptr);
  all_->store = make_logged_store(session, recording ? &real->store : nullptr);
  all_->mailbox = std::make_unique<LoggedMailbox>(session, recording ? &real->mailbox : nullptr, codec);
  all_->process = std::make_unique<LoggedProcess>(session, recording ? &real->process : nullptr);
  ports_.emplace(Ports{.clock = *all_->clock,
                       .random = *all_->random,
                       .network = *all_->network,
                       .disk = *all_->disk,
                       .store = *all_->store,
                       .mailbox = *all_->mailbox,
                       .process = *all_->process});
}

LoggedPorts::~LoggedPorts() = default;

}  // namespace chronik::runtime
