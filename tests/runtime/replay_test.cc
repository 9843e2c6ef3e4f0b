// A shard that was recorded under real sockets and a real disk, run again from its log alone (rule S1).
#include <gtest/gtest.h>

#include <string>

#include "runtime/replay.h"
#include "tests/conformance/echo_program.h"
#include "tests/runtime/real_world.h"

namespace chronik::runtime {
namespace {

struct Word final : MailboxMessage {
  explicit Word(std::string_view t) : text(t) {}
  std::string text;
};

class WordCodec final : public MessageCodec {
 public:
  std::string encode(const MailboxMessage& message) const override { return static_cast<const Word&>(message).text; }
  std::unique_ptr<MailboxMessage> decode(std::string_view bytes) const override {
    return std::make_unique<Word>(bytes);
  }
};

constexpr conformance::EchoLoad kLoad{.clients = 4, .messages = 10, .message_bytes = 3000};

// Uses every port. What it saw goes to `seen`.
void use_everything(Ports& ports, std::string& seen, const conformance::EchoLoad& load) {
  const auto soon = [] { return fiber::within(Duration::seconds(10), Expiry::kPeer); };
  const auto outcome = conformance::run_echo_program(ports, Address::ipv4(127, 0, 0, 1, 0), load);
  seen += fmt::format("echoed {} {}\n", outcome.echoed, outcome.trouble);
  seen += fmt::format("random {} wall {}\n", ports.random.next(), ports.clock.wall().milliseconds());
  seen +=
      fmt::format("refused {}\n", ports.network.connect(Address::ipv4(127, 0, 0, 1, 1), soon()).status().ToString());
  const std::vector<std::string> names = ports.disk.list_directory("", soon()).value();
  for (const std::string& name : names) {
    seen += name + "\n";
  }
  seen += fmt::format("free {}\n", ports.disk.free_bytes(soon()).value());
  StoreBatch batch;
  batch.put("key", "value");
  batch.put("other", "thing");
  CHECK_OK(ports.store.commit(std::move(batch), true, soon()));
  const auto snapshot = ports.store.snapshot(soon()).value();
  const std::vector<StoreEntry> entries = snapshot->scan("a", "z", 10, soon()).value();
  for (const auto& [key, value] : entries) {
    seen += key + "=" + value + "\n";
  }
  seen += ports.store.get("key", soon()).value().value_or("none") + "\n";
  std::unique_ptr<MailboxMessage> message = std::make_unique<Word>("to myself");
  CHECK(ports.mailbox.try_send(current_shard(), message));
  seen += static_cast<const Word&>(*ports.mailbox.receive(soon()).value()).text + "\n";
  // A wait that expires, and time that passes.
  seen += ports.mailbox.receive(fiber::within(Duration::milliseconds(3), Expiry::kNormal)).status().ToString() + "\n";
}

struct Recording {
  TurnLog log;
  std::string seen;
};

void record(Recording& recording) {
  TemporaryDirectory directory;
  const WordCodec codec;
  LogSession session(recording.log, LogSession::Mode::kRecord);
  Mailboxes mailboxes(8);
  const auto shard = ShardRuntime::open(
      {.data_directory = directory.path() + "/data", .record = &session, .record_codec = &codec}, mailboxes);
  ASSERT_TRUE(shard.ok()) << shard.status();
  (*shard)->run([&](Ports& ports, fiber::FiberScope&) { use_everything(ports, recording.seen, kLoad); },
                ShardRuntime::Ending::kJoin);
}

ReplayOutcome replay(TurnLog& log, std::string& seen, const conformance::EchoLoad& load) {
  const WordCodec codec;
  ShardContext context{.shard = ShardId(0), .node = NodeId::none()};
  StopFlag stop;
  return replay_shard(log, context, {}, &codec, stop,
                      [&](Ports& ports, fiber::FiberScope&) { use_everything(ports, seen, load); });
}

TEST(Replay, does_the_same_resumes_and_calls_as_the_recorded_shard) {
  Recording recording;
  record(recording);
  EXPECT_NE(recording.seen.find("echoed 40 \n"), std::string::npos) << recording.seen;
  EXPECT_GT(recording.log.turns.size(), 10u);
  EXPECT_GT(recording.log.calls.size(), 160u);

  std::string seen;
  const ReplayOutcome outcome = replay(recording.log, seen, kLoad);
  EXPECT_EQ(outcome.divergence, "");
  EXPECT_TRUE(outcome.finished);
  EXPECT_EQ(outcome.fingerprint, recording.log.fingerprint);
  EXPECT_EQ(seen, recording.seen);
}

TEST(Replay, replays_twice_alike) {
  Recording recording;
  record(recording);
  std::string first;
  std::string second;
  EXPECT_EQ(replay(recording.log, first, kLoad).fingerprint, replay(recording.log, second, kLoad).fingerprint);
  EXPECT_EQ(first, second);
}

TEST(Replay, says_where_a_changed_program_leaves_its_log) {
  Recording recording;
  record(recording);
  std::string seen;
  conformance::EchoLoad other = kLoad;
  other.message_bytes = 2999;
  const ReplayOutcome outcome = replay(recording.log, seen, other);
  EXPECT_FALSE(outcome.finished);
  EXPECT_NE(outcome.divergence.find("write"), std::string::npos) << outcome.divergence;
}

TEST(Replay, notices_a_byte_that_a_call_returned_differently) {
  Recording recording;
  record(recording);
  for (LoggedCall& call : recording.log.calls) {
    if (call.kind == PortCall::kRead && call.returned.has_value() && !call.returned->data.empty()) {
      call.returned->data[0] = static_cast<char>(call.returned->data[0] + 1);
      break;
    }
  }
  std::string seen;
  EXPECT_NE(replay(recording.log, seen, kLoad).fingerprint, recording.log.fingerprint);
}

}  // namespace
}  // namespace chronik::runtime
