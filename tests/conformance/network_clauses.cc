// What a network promises, and what it may do to you.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "core/base/slices.h"
#include "tests/conformance/clause.h"

namespace chronik::conformance {

namespace {

// Both ends of one connection, and the listener that made it.
struct Pair {
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Connection> client;
  std::unique_ptr<Connection> server;
};

Pair connect_pair(Ports& ports, const Address& at) {
  Pair pair;
  pair.listener = ports.network.listen(at).value();
  fiber::FiberScope scope;
  scope.spawn({"connect"}, [&] { pair.client = ports.network.connect(pair.listener->local(), soon()).value(); });
  pair.server = pair.listener->accept(soon()).value();
  CHECK_OK(scope.join(soon()));
  return pair;
}

Status write_text(Connection& connection, std::string_view text) {
  const Slice part = Slice::copy_of(text);
  return connection.write({&part, 1}, soon());
}

// `size` bytes, or what came before an end or an error.
std::string read_text(Connection& connection, std::size_t size) {
  std::string text;
  std::array<std::uint8_t, 4096> buffer{};
  while (text.size() < size) {
    const auto got = connection.read({buffer.data(), std::min(buffer.size(), size - text.size())}, soon());
    if (!got.ok() || *got == 0) {
      break;
    }
    text.append(reinterpret_cast<const char*>(buffer.data()), *got);
  }
  return text;
}

StatusOr<std::size_t> read_some(Connection& connection, const Deadline& deadline) {
  std::array<std::uint8_t, 64> buffer{};
  return connection.read(buffer, deadline);
}

absl::StatusCode code_of(const StatusOr<std::size_t>& result) { return result.status().code(); }

Slice pattern(std::size_t size, std::uint64_t salt) {
  Slice bytes = Slice::allocate(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes.mutable_data()[i] = static_cast<std::uint8_t>(i * 131 + (i >> 8) + salt);
  }
  return bytes;
}

// Runs `check(ports, pair)` and tells what it said.
template <typename Check>
bool with_pair(ConformanceWorld& world, Check check) {
  bool observed = false;
  const RunEnd end = world.run([&](Ports& ports, fiber::FiberScope&) {
    Pair pair = connect_pair(ports, world.here());
    observed = check(ports, pair);
  });
  EXPECT_TRUE(end.finished);
  return observed;
}

// ---- bytes ----

bool many_parts_arrive(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    std::vector<Slice> parts;
    std::string wanted;
    for (std::size_t i = 0; i < 300; ++i) {  // more than one system call takes; some of them empty
      parts.push_back(pattern(i % 7 == 0 ? 0 : i * 5, i));
      wanted += parts.back().text();
    }
    fiber::FiberScope scope;
    Status written;
    scope.spawn({"writer"}, [&] { written = pair.client->write(parts, soon()); });
    const std::string got = read_text(*pair.server, wanted.size());
    scope.cancel_and_join();
    return written.ok() && got == wanted;
  });
}

bool bytes_arrive_in_order(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    const Slice sent = pattern(1 << 18, 1);
    fiber::FiberScope scope;
    Status written;
    scope.spawn({"writer"}, [&] { written = pair.client->write({&sent, 1}, soon()); });
    const std::string got = read_text(*pair.server, sent.size());
    scope.cancel_and_join();
    return written.ok() && got == sent.text();
  });
}

bool short_transfers_are_continued(ConformanceWorld& world) {
  world.limit_transfers(7);
  return with_pair(world, [](Ports&, Pair& pair) {
    const std::vector<Slice> parts{pattern(1000, 1), pattern(3, 2), pattern(2000, 3)};
    fiber::FiberScope scope;
    Status written;
    scope.spawn({"writer"}, [&] { written = pair.client->write(parts, soon()); });
    const std::string got = read_text(*pair.server, 3003);
    scope.cancel_and_join();
    return written.ok() &&
           got == std::string(parts[0].text()) + std::string(parts[1].text()) + std::string(parts[2].text());
  });
}

std::size_t try_without_suspending(Connection& connection, std::span<const Slice> parts) {
  const fiber::NoSuspend none;
  const auto taken = connection.try_write(parts);
  EXPECT_TRUE(taken.ok()) << taken.status();
  return taken.value_or(0);
}

bool a_write_goes_on_behind_a_try(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    std::string wanted;
    std::vector<Slice> rest;
    for (std::size_t group = 0; rest.empty() && group < 200; ++group) {
      std::vector<Slice> parts;  // more than one system call takes; some of them empty
      for (std::size_t i = 0; i < 70; ++i) {
        parts.push_back(pattern(i % 7 == 0 ? 0 : i * 50, group + i));
        wanted += parts.back().text();
      }
      rest = slices_behind(parts, try_without_suspending(*pair.client, parts));
    }
    fiber::FiberScope scope;
    Status written;
    scope.spawn({"writer"}, [&] { written = pair.client->write(rest, soon()); });
    const std::string got = read_text(*pair.server, wanted.size());
    scope.cancel_and_join();
    return !rest.empty() && written.ok() && got == wanted;
  });
}

bool a_try_takes_no_more_than_there_is_room(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    const Slice much = pattern(1 << 20, 1);
    for (int i = 0; i < 200; ++i) {
      if (try_without_suspending(*pair.client, {&much, 1}) == 0) {
        return true;
      }
    }
    return false;
  });
}

bool trying_to_write_to_the_dead_fails(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    const Slice part = Slice::copy_of("hello");
    pair.client->close();
    EXPECT_EQ(code_of(pair.client->try_write({&part, 1})), absl::StatusCode::kUnavailable);
    for (int i = 0; i < 100; ++i) {
      if (const auto taken = pair.server->try_write({&part, 1}); !taken.ok()) {
        return code_of(taken) == absl::StatusCode::kUnavailable &&
               code_of(read_some(*pair.server, soon())) == absl::StatusCode::kUnavailable;
      }
      CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    }
    return false;
  });
}

bool a_read_gets_a_part(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    const Slice sent = pattern(512 * 1024, 1);
    fiber::FiberScope scope;
    scope.spawn({"writer"}, [&] { static_cast<void>(pair.client->write({&sent, 1}, soon())); });
    const Slice into = Slice::allocate(sent.size());
    const auto got = pair.server->read(into.mutable_bytes(), soon());
    scope.cancel();
    pair.client->close();
    scope.cancel_and_join();
    return got.ok() && *got > 0 && *got < sent.size();
  });
}

bool writing_copies(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    const Slice part = Slice::copy_of("before");
    const Status written = pair.client->write({&part, 1}, soon());
    std::fill_n(part.mutable_data(), part.size(), std::uint8_t{'x'});
    return written.ok() && read_text(*pair.server, 6) == "before";
  });
}

// ---- ends ----

bool half_close(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    EXPECT_TRUE(write_text(*pair.client, "last words").ok());
    pair.client->shutdown_write();
    EXPECT_EQ(read_text(*pair.server, 100), "last words");
    const auto end = read_some(*pair.server, soon());
    EXPECT_TRUE(write_text(*pair.server, "answer").ok());
    EXPECT_EQ(read_text(*pair.client, 6), "answer");
    return end.ok() && *end == 0;
  });
}

bool an_end_stays(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    pair.client->shutdown_write();
    for (int i = 0; i < 3; ++i) {
      const auto end = read_some(*pair.server, soon());
      if (!end.ok() || *end != 0) {
        return false;
      }
    }
    return true;
  });
}

bool reset_is_unavailable(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    pair.client->close();
    return code_of(read_some(*pair.server, soon())) == absl::StatusCode::kUnavailable;
  });
}

bool reset_wakes_a_reader(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    fiber::FiberScope scope;
    absl::StatusCode heard = absl::StatusCode::kOk;
    scope.spawn({"reader"}, [&] { heard = code_of(read_some(*pair.server, soon())); });
    CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    pair.client->close();
    CHECK_OK(scope.join(soon()));
    return heard == absl::StatusCode::kUnavailable;
  });
}

bool closing_wakes_ones_own(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    fiber::FiberScope scope;
    absl::StatusCode heard = absl::StatusCode::kOk;
    scope.spawn({"reader"}, [&] { heard = code_of(read_some(*pair.server, soon())); });
    CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    pair.server->close();
    CHECK_OK(scope.join(soon()));
    return heard == absl::StatusCode::kUnavailable &&
           write_text(*pair.server, "late").code() == absl::StatusCode::kUnavailable;
  });
}

bool writing_to_the_dead_fails(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    pair.client->close();
    for (int i = 0; i < 100; ++i) {  // the first ones may be accepted before the reset comes in
      if (const Status status = write_text(*pair.server, "hello"); !status.ok()) {
        return status.code() == absl::StatusCode::kUnavailable;
      }
      CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    }
    return false;
  });
}

bool destroying_ends_the_stream(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    pair.client.reset();
    const auto end = read_some(*pair.server, soon());
    return end.ok() ? *end == 0 : end.status().code() == absl::StatusCode::kUnavailable;
  });
}

// ---- waits ----

bool an_expired_read_consumes_nothing(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    EXPECT_EQ(code_of(read_some(*pair.server, shortly())), absl::StatusCode::kDeadlineExceeded);
    EXPECT_TRUE(write_text(*pair.client, "whole").ok());
    CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    // A deadline that has passed already: also where bytes are there.
    const Deadline past(MonotonicTime(), Expiry::kNormal, fiber::Fiber::current().scope().source());
    EXPECT_EQ(code_of(read_some(*pair.server, past)), absl::StatusCode::kDeadlineExceeded);
    return read_text(*pair.server, 5) == "whole";
  });
}

bool a_cancelled_read_consumes_nothing(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    fiber::FiberScope scope;
    absl::StatusCode heard = absl::StatusCode::kOk;
    scope.spawn({"reader"}, [&] { heard = code_of(read_some(*pair.server, soon())); });
    CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    scope.cancel_and_join();
    EXPECT_TRUE(write_text(*pair.client, "whole").ok());
    return heard == absl::StatusCode::kCancelled && read_text(*pair.server, 5) == "whole";
  });
}

bool an_expired_write_closes(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    const std::vector<Slice> much(64, pattern(1 << 20, 1));  // more than any buffer on the way holds
    const Status status = pair.client->write(much, fiber::within(Duration::milliseconds(100), Expiry::kNormal));
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    return code_of(read_some(*pair.client, soon())) == absl::StatusCode::kUnavailable &&
           write_text(*pair.client, "more").code() == absl::StatusCode::kUnavailable;
  });
}

bool accepting_expires_and_is_cancelled(ConformanceWorld& world) {
  bool observed = false;
  const RunEnd end = world.run([&](Ports& ports, fiber::FiberScope& scope) {
    const std::unique_ptr<Listener> listener = ports.network.listen(world.here()).value();
    EXPECT_EQ(listener->accept(shortly()).status().code(), absl::StatusCode::kDeadlineExceeded);
    absl::StatusCode heard = absl::StatusCode::kOk;
    fiber::FiberScope acceptor;
    acceptor.spawn({"acceptor"}, [&] { heard = listener->accept(fiber::for_ever()).status().code(); });
    CHECK_OK(fiber::sleep(Duration::milliseconds(5)));
    acceptor.cancel_and_join();
    observed = heard == absl::StatusCode::kCancelled;
    static_cast<void>(scope);
  });
  return end.finished && observed;
}

bool a_read_suspends_though_bytes_are_there(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    EXPECT_TRUE(write_text(*pair.client, "ab").ok());
    CHECK_OK(fiber::sleep(Duration::milliseconds(50)));
    EXPECT_EQ(read_text(*pair.server, 1), "a");
    const std::uint64_t before = fiber::Fiber::current().resumes();
    EXPECT_EQ(read_text(*pair.server, 1), "b");
    return fiber::Fiber::current().resumes() != before;
  });
}

bool what_does_not_suspend_suspends(ConformanceWorld& world) {
  return with_pair(world, [&world](Ports& ports, Pair& pair) {
    const std::uint64_t before = fiber::Fiber::current().resumes();
    {
      const fiber::NoSuspend none;  // aborts where one of these does
      const auto listener = ports.network.listen(world.here());
      EXPECT_TRUE(listener.ok());
      static_cast<void>(pair.client->local());
      static_cast<void>(pair.client->peer());
      pair.client->shutdown_write();
      pair.client->close();
      pair.server.reset();
    }
    return fiber::Fiber::current().resumes() != before;
  });
}

// ---- connecting ----

absl::StatusCode connect_code(ConformanceWorld& world, const Address& to, Duration patience) {
  absl::StatusCode code = absl::StatusCode::kOk;
  const RunEnd end = world.run([&](Ports& ports, fiber::FiberScope&) {
    code = ports.network.connect(to, fiber::within(patience, Expiry::kPeer)).status().code();
  });
  EXPECT_TRUE(end.finished);
  return code;
}

bool nobody_refuses(ConformanceWorld& world) {
  return connect_code(world, world.nobody(), Duration::seconds(10)) == absl::StatusCode::kUnavailable;
}

bool a_hole_expires(ConformanceWorld& world) {
  return connect_code(world, world.hole(), Duration::milliseconds(50)) == absl::StatusCode::kDeadlineExceeded;
}

bool addresses_mirror(ConformanceWorld& world) {
  return with_pair(world, [](Ports&, Pair& pair) {
    EXPECT_NE(pair.listener->local().port, 0);
    EXPECT_EQ(pair.client->peer(), pair.listener->local());
    EXPECT_EQ(pair.server->local(), pair.listener->local());
    return pair.client->local() == pair.server->peer() && pair.client->local().port != 0;
  });
}

bool an_address_is_listened_at_twice(ConformanceWorld& world) {
  return with_pair(world, [](Ports& ports, Pair& pair) {
    const auto second = ports.network.listen(pair.listener->local());
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
    return second.ok();
  });
}

bool an_address_is_free_again(ConformanceWorld& world) {
  return with_pair(world, [](Ports& ports, Pair& pair) {
    const Address at = pair.listener->local();
    pair = Pair{};
    return ports.network.listen(at).ok();
  });
}

bool numbers_resolve_to_themselves(ConformanceWorld& world) {
  bool observed = false;
  world.run([&](Ports& ports, fiber::FiberScope&) {
    const auto found = ports.network.resolve("127.0.0.1", 9092, soon());
    const auto six = ports.network.resolve("::1", 9092, soon());
    observed = found.ok() && found->size() == 1 && found->front() == Address::ipv4(127, 0, 0, 1, 9092) && six.ok() &&
               six->size() == 1 && six->front().to_string() == "[0:0:0:0:0:0:0:1]:9092";
  });
  return observed;
}

}  // namespace

std::vector<Clause> network_clauses() {
  return {
      {"parts_of_a_write_arrive_one_after_another", Mark::kAlways, &many_parts_arrive},
      {"bytes_arrive_right_and_in_order", Mark::kAlways, &bytes_arrive_in_order},
      {"short_transfers_are_continued", Mark::kAlways, &short_transfers_are_continued},
      {"a_write_goes_on_where_a_try_has_left_off", Mark::kAlways, &a_write_goes_on_behind_a_try},
      {"a_try_takes_no_more_than_there_is_room_for", Mark::kAlways, &a_try_takes_no_more_than_there_is_room},
      {"trying_to_write_to_a_reset_connection_fails_in_the_end", Mark::kAlways, &trying_to_write_to_the_dead_fails},
      {"a_read_gets_a_part_of_what_was_written", Mark::kAllowed, &a_read_gets_a_part},
      {"a_write_has_copied_its_bytes_when_it_returns", Mark::kAlways, &writing_copies},
      {"shutting_down_writing_is_read_as_the_end_and_the_other_way_goes_on", Mark::kAlways, &half_close},
      {"the_end_of_a_stream_is_read_again_and_again", Mark::kAlways, &an_end_stays},
      {"a_reset_is_heard_as_unavailable", Mark::kAlways, &reset_is_unavailable},
      {"a_reset_wakes_whoever_reads", Mark::kAlways, &reset_wakes_a_reader},
      {"closing_wakes_ones_own_reader", Mark::kAlways, &closing_wakes_ones_own},
      {"writing_to_a_reset_connection_fails_in_the_end", Mark::kAlways, &writing_to_the_dead_fails},
      {"destroying_a_connection_ends_the_peers_stream", Mark::kAlways, &destroying_ends_the_stream},
      {"an_expired_read_consumes_nothing", Mark::kAlways, &an_expired_read_consumes_nothing},
      {"a_cancelled_read_consumes_nothing", Mark::kAlways, &a_cancelled_read_consumes_nothing},
      {"an_expired_write_closes_the_connection", Mark::kAlways, &an_expired_write_closes},
      {"accepting_expires_and_is_cancelled", Mark::kAlways, &accepting_expires_and_is_cancelled},
      {"a_read_suspends_though_bytes_are_there", Mark::kAllowed, &a_read_suspends_though_bytes_are_there},
      {"a_call_suspends_that_is_not_marked", Mark::kNever, &what_does_not_suspend_suspends},
      {"connecting_where_nobody_listens_is_refused", Mark::kAlways, &nobody_refuses},
      {"connecting_where_nothing_answers_expires", Mark::kAlways, &a_hole_expires},
      {"both_ends_agree_on_their_addresses", Mark::kAlways, &addresses_mirror},
      {"an_address_is_listened_at_twice", Mark::kNever, &an_address_is_listened_at_twice},
      {"an_address_is_free_again_after_its_listener", Mark::kAlways, &an_address_is_free_again},
      {"numeric_hosts_resolve_to_themselves", Mark::kAlways, &numbers_resolve_to_themselves},
  };
}

}  // namespace chronik::conformance
