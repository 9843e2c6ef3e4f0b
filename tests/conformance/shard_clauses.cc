// What clock, random, mailbox and process promise, and the echo program, which uses everything together.
#include <set>
#include <utility>

#include "tests/conformance/clause.h"
#include "tests/conformance/echo_program.h"

namespace chronik::conformance {

namespace {

template <typename Check>
bool in_main(ConformanceWorld& world, Check check) {
  bool observed = false;
  const RunEnd end = world.run([&](Ports& ports, fiber::FiberScope&) { observed = check(ports); });
  EXPECT_TRUE(end.finished);
  return observed;
}

// ---- clock ----

bool time_stands_still(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    const MonotonicTime first = ports.clock.monotonic();
    const WallTime wall = ports.clock.wall();
    volatile std::uint64_t work = 0;
    for (std::uint64_t i = 0; i < 3'000'000; ++i) {  // longer than a step of the wall clock
      work = work + i;
    }
    return ports.clock.monotonic() == first && ports.clock.wall() == wall && first == fiber::Scheduler::current().now();
  });
}

bool time_goes_back(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    MonotonicTime last = ports.clock.monotonic();
    bool went_back = false;
    for (int i = 0; i < 20; ++i) {
      CHECK_OK(fiber::sleep(Duration::milliseconds(1)));
      went_back = went_back || ports.clock.monotonic() < last;
      last = ports.clock.monotonic();
    }
    return went_back;
  });
}

bool a_sleep_lasts(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    for (const std::int64_t length : {1, 5, 30}) {
      const MonotonicTime begin = ports.clock.monotonic();
      CHECK_OK(fiber::sleep(Duration::milliseconds(length)));
      const Duration slept = ports.clock.monotonic() - begin;
      if (slept < Duration::milliseconds(length) || slept > Duration::seconds(5)) {
        return false;
      }
    }
    return true;
  });
}

bool the_wall_clock_is_of_our_century(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) { return ports.clock.wall().milliseconds() > 946'684'800'000; });
}

// ---- random ----

bool numbers_repeat(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 2'000; ++i) {
      seen.insert(ports.random.next());
    }
    return seen.size() != 2'000;
  });
}

bool every_bit_is_drawn(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    std::uint64_t ever_set = 0;
    std::uint64_t always_set = ~std::uint64_t{0};
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t drawn = ports.random.next();
      ever_set |= drawn;
      always_set &= drawn;
    }
    return ever_set == ~std::uint64_t{0} && always_set == 0;
  });
}

// ---- mailbox ----

struct Numbered final : MailboxMessage {
  explicit Numbered(int n) : number(n) {}
  int number;
};

bool send(Ports& ports, int number) {
  std::unique_ptr<MailboxMessage> message = std::make_unique<Numbered>(number);
  return ports.mailbox.try_send(current_shard(), message);
}

bool messages_keep_their_order(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(send(ports, i));
    }
    for (int i = 0; i < 10; ++i) {
      const auto message = ports.mailbox.receive(soon());
      if (!message.ok() || static_cast<const Numbered&>(**message).number != i) {
        return false;
      }
    }
    return true;
  });
}

bool a_message_wakes_its_receiver(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    fiber::FiberScope scope;
    int got = 0;
    scope.spawn({"receiver"}, [&] {
      const auto message = ports.mailbox.receive(soon());
      got = message.ok() ? static_cast<const Numbered&>(**message).number : -1;
    });
    CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    EXPECT_TRUE(send(ports, 7));
    CHECK_OK(scope.join(soon()));
    return got == 7;
  });
}

bool a_full_mailbox_refuses(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    int sent = 0;
    while (sent < 1'000'000 && send(ports, sent)) {
      ++sent;
    }
    std::unique_ptr<MailboxMessage> message = std::make_unique<Numbered>(1);
    const bool taken = ports.mailbox.try_send(current_shard(), message);
    EXPECT_TRUE(message != nullptr);
    EXPECT_TRUE(ports.mailbox.receive(soon()).ok());
    EXPECT_TRUE(ports.mailbox.try_send(current_shard(), message));
    EXPECT_TRUE(message == nullptr);
    return sent > 0 && !taken;
  });
}

bool nobody_gets_mail(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    std::unique_ptr<MailboxMessage> message = std::make_unique<Numbered>(1);
    return ports.mailbox.try_send(ShardId(12345), message) || message == nullptr;
  });
}

bool an_empty_mailbox_expires(ConformanceWorld& world) {
  return in_main(world, [](Ports& ports) {
    EXPECT_EQ(ports.mailbox.receive(shortly()).status().code(), absl::StatusCode::kDeadlineExceeded);
    fiber::FiberScope scope;
    absl::StatusCode heard = absl::StatusCode::kOk;
    scope.spawn({"receiver"}, [&] { heard = ports.mailbox.receive(fiber::for_ever()).status().code(); });
    CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    scope.cancel_and_join();
    EXPECT_TRUE(send(ports, 3));  // a receiver that left has left nothing behind
    return heard == absl::StatusCode::kCancelled && ports.mailbox.receive(soon()).ok();
  });
}

// ---- process ----

bool fatal_ends_at_once(ConformanceWorld& world) {
  const RunEnd end = world.run_to_fatal([](Ports& ports, fiber::FiberScope& scope) {
    auto file = ports.disk.open("before", OpenMode::kCreate, DiskLane::kLog, soon()).value();
    FileBatch batch;
    batch.writes.push_back({.offset = 0, .parts = {Slice::copy_of("kept")}});
    batch.sync = true;
    CHECK_OK(file->run(std::move(batch), soon()));
    CHECK_OK(ports.disk.sync_directory("", soon()));
    scope.spawn({"bystander"}, [&ports] {
      CHECK_OK(fiber::sleep(Duration::milliseconds(1)));
      static_cast<void>(ports.disk.open("after", OpenMode::kCreate, DiskLane::kLog, soon()));
    });
    ports.process.fatal(ExitStatus::kDiskFailed, "as the clause wants it");
  });
  EXPECT_TRUE(end.fatal == ExitStatus::kDiskFailed);
  return in_main(world, [](Ports& ports) {
    const auto file = ports.disk.open("before", OpenMode::kRead, DiskLane::kBulk, soon());
    if (!file.ok()) {
      return false;
    }
    const auto text = (*file)->read(0, 100, soon());
    return text.ok() && text->text() == "kept" &&
           ports.disk.open("after", OpenMode::kRead, DiskLane::kBulk, soon()).status().code() ==
               absl::StatusCode::kNotFound;
  });
}

// ---- echo ----

bool echo(ConformanceWorld& world) {
  EchoOutcome outcome;
  const EchoLoad load{.clients = 8, .messages = 20, .message_bytes = 5000};
  const RunEnd end =
      world.run([&](Ports& ports, fiber::FiberScope&) { outcome = run_echo_program(ports, world.here(), load); });
  EXPECT_EQ(outcome.trouble, "");
  return end.finished && outcome.echoed == load.clients * load.messages;
}

bool echo_in_pieces(ConformanceWorld& world) {
  world.limit_transfers(3);
  EchoOutcome outcome;
  const EchoLoad load{.clients = 2, .messages = 5, .message_bytes = 100};
  const RunEnd end =
      world.run([&](Ports& ports, fiber::FiberScope&) { outcome = run_echo_program(ports, world.here(), load); });
  EXPECT_EQ(outcome.trouble, "");
  return end.finished && outcome.echoed == load.clients * load.messages;
}

}  // namespace

std::vector<Clause> clock_clauses() {
  return {
      {"time_stands_still_within_a_turn", Mark::kAlways, &time_stands_still},
      {"the_monotonic_clock_goes_back", Mark::kNever, &time_goes_back},
      {"a_sleep_lasts_as_long_as_it_was_asked_for", Mark::kAlways, &a_sleep_lasts},
      {"the_wall_clock_is_of_our_century", Mark::kAlways, &the_wall_clock_is_of_our_century},
  };
}

std::vector<Clause> random_clauses() {
  return {
      {"a_random_number_comes_twice_in_thousands", Mark::kNever, &numbers_repeat},
      {"every_bit_of_a_random_number_is_drawn", Mark::kAlways, &every_bit_is_drawn},
  };
}

std::vector<Clause> mailbox_clauses() {
  return {
      {"messages_keep_their_order", Mark::kAlways, &messages_keep_their_order},
      {"a_message_wakes_its_receiver", Mark::kAlways, &a_message_wakes_its_receiver},
      {"a_full_mailbox_refuses_and_leaves_the_message", Mark::kAlways, &a_full_mailbox_refuses},
      {"a_message_to_a_shard_that_is_not_there_is_taken", Mark::kNever, &nobody_gets_mail},
      {"an_empty_mailbox_expires_and_is_cancelled", Mark::kAlways, &an_empty_mailbox_expires},
  };
}

std::vector<Clause> process_clauses() {
  return {{"fatal_ends_with_its_status_and_nothing_runs_after_it", Mark::kAlways, &fatal_ends_at_once}};
}

std::vector<Clause> echo_clauses() {
  return {
      {"the_echo_program_gets_every_byte_back", Mark::kAlways, &echo},
      {"the_echo_program_gets_every_byte_back_in_pieces", Mark::kAlways, &echo_in_pieces},
  };
}

}  // namespace chronik::conformance
