// What the runtime adds to its ports: signals, the lock, the watchdog, the cost of being idle.
#include <absl/cleanup/cleanup.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "runtime/shard_runtime.h"
#include "runtime/socket_address.h"
#include "runtime/stderr_log.h"
#include "tests/runtime/real_world.h"

namespace chronik::runtime {
namespace {

class LinesKept final : public LogSink {
 public:
  void write(LogLevel /*level*/, std::string_view line) override {
    const std::lock_guard lock(mutex_);
    lines_ += std::string(line) + "\n";
  }
  std::string lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::string lines_;
};

class ShardTest : public testing::Test {
 protected:
  std::unique_ptr<ShardRuntime> open_shard(LogSink* log = nullptr) {
    auto shard = ShardRuntime::open({.data_directory = directory_.path() + "/data", .log = log}, mailboxes_);
    CHECK_OK(shard.status());
    return *std::move(shard);
  }
  template <typename Main>
  void run(ShardRuntime& shard, Main main) {
    shard.run([&main](Ports& ports, fiber::FiberScope& scope) { main(ports, scope); }, ShardRuntime::Ending::kJoin);
  }

  TemporaryDirectory directory_;
  Mailboxes mailboxes_{16};
};

// ---- the data directory ----

TEST_F(ShardTest, directories_above_the_data_directory_are_made) {
  for (const char* path : {"/a/b/c", "/a/b//d/", "/a/b/c"}) {
    Mailboxes others(1);
    const auto shard = ShardRuntime::open({.data_directory = directory_.path() + path}, others);
    EXPECT_TRUE(shard.ok()) << path << ": " << shard.status();
  }
  const std::string file = directory_.path() + "/a/b/c/.lock/e";
  Mailboxes others(1);
  const auto below_a_file = ShardRuntime::open({.data_directory = file}, others);
  EXPECT_NE(below_a_file.status().message().find(file), std::string::npos) << below_a_file.status();
}

TEST_F(ShardTest, a_data_directory_in_use_is_refused_by_name) {
  const auto first = open_shard();
  Mailboxes others(1);
  const auto second = ShardRuntime::open({.data_directory = directory_.path() + "/data"}, others);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().message().find(directory_.path() + "/data"), std::string::npos) << second.status();
}

TEST_F(ShardTest, a_data_directory_is_free_after_its_process) {
  open_shard();
  EXPECT_TRUE(open_shard() != nullptr);
}

TEST_F(ShardTest, an_empty_shard_opens_in_a_few_milliseconds) {
  open_shard();
  const MonotonicTime begin = SystemClock::read_monotonic();
  open_shard();
  // A goal of 50 ms on an idle machine; what is asserted leaves room for a busy one.
  EXPECT_LT((SystemClock::read_monotonic() - begin).milliseconds(), 2'000);
  RecordProperty("open_and_close_us", static_cast<int>((SystemClock::read_monotonic() - begin).microseconds()));
}

// ---- stopping ----

TEST_F(ShardTest, a_request_from_another_thread_stops_a_waiting_shard) {
  const auto shard = open_shard();
  std::thread asker;
  bool cancelled = false;
  run(*shard, [&](Ports& ports, fiber::FiberScope&) {
    asker = std::thread([&shard] { shard->stop().ask(); });
    const Deadline until_stopped(MonotonicTime::never(), Expiry::kNormal, shard->stop().flag().source());
    cancelled = absl::IsCancelled(ports.mailbox.receive(until_stopped).status());
  });
  asker.join();
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(shard->stop().flag().asked());
}

// ---- the watchdog ----

TEST_F(ShardTest, a_turn_that_lasts_too_long_is_reported_while_it_lasts) {
  LinesKept log;
  const auto shard = open_shard(&log);
  run(*shard, [&](Ports&, fiber::FiberScope& scope) {
    scope.spawn({"hog", 7}, [&] {
      // As code that computes for ever would.
      const MonotonicTime begin = SystemClock::read_monotonic();
      while (shard->watchdog().overdue_turns() == 0 && SystemClock::read_monotonic() - begin < Duration::seconds(30)) {
        ::usleep(1000);
      }
    });
    CHECK_OK(scope.join(fiber::within(Duration::seconds(60), Expiry::kNever)));
  });
  EXPECT_EQ(shard->watchdog().overdue_turns(), 1u);
  EXPECT_NE(log.lines().find("turn overdue fiber=hog-7"), std::string::npos) << log.lines();
}

// ---- the loop ----

// Says when a helper writes.
class WritesSeen final : public SystemCalls {
 public:
  std::int64_t write(int file, const iovec* parts, int count, std::uint64_t offset) override {
    seen_.store(true);
    return SystemCalls::write(file, parts, count, offset);
  }
  bool seen() const { return seen_.load(); }

 private:
  std::atomic<bool> seen_ = false;
};

TEST_F(ShardTest, the_disk_works_while_the_turn_goes_on) {
  WritesSeen calls;
  auto shard = ShardRuntime::open({.data_directory = directory_.path() + "/data", .calls = &calls}, mailboxes_);
  ASSERT_TRUE(shard.ok()) << shard.status();
  bool seen_in_this_turn = false;
  run(**shard, [&](Ports& ports, fiber::FiberScope& scope) {
    const Deadline deadline = fiber::within(Duration::seconds(60), Expiry::kNormal);
    auto file = ports.disk.open("file", OpenMode::kCreate, DiskLane::kLog, deadline);
    ASSERT_TRUE(file.ok()) << file.status();
    // Runs in the turn in which the write waits.
    scope.spawn({"beside", 0}, [&] {
      const auto begin = std::chrono::steady_clock::now();
      while (!calls.seen() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(10)) {
        std::this_thread::yield();
      }
      seen_in_this_turn = calls.seen();
    });
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("bytes")}});
    EXPECT_TRUE((*file)->run(std::move(batch), deadline).ok());
  });
  EXPECT_TRUE(seen_in_this_turn);
}

TEST_F(ShardTest, an_idle_shard_sleeps_until_its_timer) {
  const auto shard = open_shard();
  run(*shard, [&](Ports&, fiber::FiberScope&) {
    CHECK_OK(fiber::sleep(Duration::milliseconds(50)));  // what opening has stirred up settles
    const std::uint64_t waits = shard->loop().waits();
    rusage before{};
    ::getrusage(RUSAGE_SELF, &before);
    CHECK_OK(fiber::sleep(Duration::milliseconds(300)));
    rusage after{};
    ::getrusage(RUSAGE_SELF, &after);
    EXPECT_LE(shard->loop().waits() - waits, 2u);
    EXPECT_LE(after.ru_nvcsw - before.ru_nvcsw, 8);  // of all threads: the loop's one, and the watchdog dozing off
  });
}

TEST_F(ShardTest, a_stream_that_never_ends_does_not_starve_its_shard) {
  const auto shard = open_shard();
  run(*shard, [&](Ports& ports, fiber::FiberScope& scope) {
    const auto soon = fiber::within(Duration::seconds(20), Expiry::kPeer);
    const auto listener = ports.network.listen(Address::ipv4(127, 0, 0, 1, 0)).value();
    std::atomic<bool> stop{false};
    const Address at = listener->local();
    std::thread flood([at, &stop] {
      const Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
      const SocketAddress to = to_socket_address(at);
      CHECK_EQ(::connect(socket.number(), to.get(), to.size), 0);
      const std::vector<char> bytes(1 << 18);
      while (!stop && ::send(socket.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
      }
    });
    const auto connection = listener->accept(soon).value();
    scope.spawn({"reader"}, [&] {
      std::vector<std::uint8_t> buffer(1 << 14);
      while (connection->read(buffer, soon).ok()) {
      }
    });
    for (int i = 0; i < 20; ++i) {
      CHECK_OK(fiber::sleep(Duration::milliseconds(2)));
    }
    stop = true;
    connection->close();
    flood.join();
    scope.cancel_and_join();  // the reader uses the connection
  });
  EXPECT_EQ(shard->watchdog().overdue_turns(), 0u);
}

TEST_F(ShardTest, accepting_without_descriptors_left_says_so_and_goes_on_later) {
  class NoDescriptors final : public SystemCalls {
   public:
    int accept(int socket, sockaddr* peer, socklen_t* size) override {
      return left-- > 0 ? -EMFILE : SystemCalls::accept(socket, peer, size);
    }
    int left = 1;
  } calls;
  auto shard = ShardRuntime::open({.data_directory = directory_.path() + "/data", .calls = &calls}, mailboxes_).value();
  run(*shard, [&](Ports& ports, fiber::FiberScope& scope) {
    const auto soon = fiber::within(Duration::seconds(10), Expiry::kPeer);
    const auto listener = ports.network.listen(Address::ipv4(127, 0, 0, 1, 0)).value();
    scope.spawn({"client"}, [&] { CHECK_OK(ports.network.connect(listener->local(), soon).status()); });
    EXPECT_TRUE(absl::IsResourceExhausted(listener->accept(soon).status()));
    EXPECT_TRUE(listener->accept(soon).ok());
  });
}

// ---- the loop is shared ----

TEST_F(ShardTest, who_walks_through_a_file_in_memory_leaves_the_loop_to_others) {
  constexpr std::size_t kPiece = 64 << 10;
  constexpr std::size_t kFile = 8 << 20;
  const auto shard = open_shard();
  run(*shard, [&](Ports& ports, fiber::FiberScope&) {
    const auto soon = fiber::within(Duration::seconds(10), Expiry::kPeer);
    const auto file = ports.disk.open("file", OpenMode::kCreate, DiskLane::kBulk, soon).value();
    CHECK_OK(file->fill(0, kFile, soon));
    const std::uint64_t before = fiber::Scheduler::current().turns();
    for (std::size_t at = 0; at < kFile; at += kPiece) {
      const auto read = file->read(at, kPiece, soon);
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_EQ(read->size(), kPiece);
    }
    EXPECT_GE(fiber::Scheduler::current().turns() - before, 7u);
    const auto expired = fiber::within(Duration::zero(), Expiry::kPeer);
    EXPECT_TRUE(absl::IsDeadlineExceeded(file->read(0, kPiece, expired).status()));
  });
}

// ---- names ----

// A name server that answers for one name when it is let to, and at once for all others.
class SlowNames final : public SystemCalls {
 public:
  int look_up(const char* host, const addrinfo* hints, addrinfo** found) override {
    if (std::string_view(host) != "slow.invalid") {
      return SystemCalls::look_up("localhost", hints, found);
    }
    ++asked;
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return answers_; });
    return EAI_NONAME;
  }
  void answer() {
    {
      const std::lock_guard lock(mutex_);
      answers_ = true;
    }
    released_.notify_all();
  }
  std::atomic<int> asked = 0;

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  bool answers_ = false;
};

TEST_F(ShardTest, a_name_that_nobody_answers_for_holds_up_no_other) {
  SlowNames calls;
  auto shard = ShardRuntime::open({.data_directory = directory_.path() + "/data", .calls = &calls}, mailboxes_).value();
  const absl::Cleanup released = [&calls] { calls.answer(); };  // also where something below fails
  run(*shard, [&](Ports& ports, fiber::FiberScope&) {
    for (int i = 0; i < 5; ++i) {
      const auto impatient = fiber::within(Duration::milliseconds(20), Expiry::kPeer);
      EXPECT_TRUE(absl::IsDeadlineExceeded(ports.network.resolve("slow.invalid", 1, impatient).status()));
    }
    const auto soon = fiber::within(Duration::seconds(10), Expiry::kPeer);
    const auto found = ports.network.resolve("quick.invalid", 9092, soon);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->front().port, 9092);
    EXPECT_EQ(calls.asked, 1);
    calls.answer();
    EXPECT_TRUE(absl::IsNotFound(ports.network.resolve("slow.invalid", 1, soon).status()));
  });
}

TEST_F(ShardTest, the_name_of_this_machine_resolves_on_a_helper) {
  const auto shard = open_shard();
  run(*shard, [&](Ports& ports, fiber::FiberScope&) {
    const auto found = ports.network.resolve("localhost", 9092, fiber::within(Duration::seconds(10), Expiry::kPeer));
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_FALSE(found->empty());
    EXPECT_TRUE(found->front().is_loopback());
    EXPECT_EQ(found->front().port, 9092);
  });
}

TEST_F(ShardTest, ipv6_connections_work_where_the_machine_has_them) {
  const auto shard = open_shard();
  run(*shard, [&](Ports& ports, fiber::FiberScope& scope) {
    const auto soon = fiber::within(Duration::seconds(10), Expiry::kPeer);
    Address any;  // "[::]"
    const auto listener = ports.network.listen(any);
    if (!listener.ok()) {
      GTEST_SKIP() << listener.status();
    }
    for (const Address& host :
         {Address::ipv4(127, 0, 0, 1, 0), Address{.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}}) {
      Address to = host;
      to.port = (*listener)->local().port;
      scope.spawn({"client"}, [&ports, to, &soon] { CHECK_OK(ports.network.connect(to, soon).status()); });
      const auto accepted = (*listener)->accept(soon);
      ASSERT_TRUE(accepted.ok()) << accepted.status();
      EXPECT_TRUE((*accepted)->peer().is_loopback()) << (*accepted)->peer().to_string();
    }
  });
}

TEST(StderrLog, writes_a_line_with_time_and_level) {
  testing::internal::CaptureStderr();
  StderrLog log;
  log.write(LogLevel::kWarn, "something happened times=3");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("warning"), std::string::npos) << text;
  EXPECT_NE(text.find("something happened times=3\n"), std::string::npos) << text;
}

TEST(SystemRandom, draws_across_its_buffers_without_repeating) {
  SystemRandom random;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 100; ++i) {
    seen.insert(random.next());
  }
  EXPECT_EQ(seen.size(), 100u);
}

}  // namespace
}  // namespace chronik::runtime
