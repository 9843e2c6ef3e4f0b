#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/protocol/record_batch_builder.h"
#include "runtime/system_clock.h"
#include "server/bench/messages.h"
#include "server/bench/meter.h"
#include "server/bench/options.h"
#include "server/bench/result.h"
#include "server/bench/validation.h"
#include "tests/support/fiber_world.h"

namespace chronik::bench {
namespace {

BenchOptions options_of(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "chronik-bench");
  const auto parsed = parse_options(static_cast<int>(arguments.size()), arguments.data());
  EXPECT_TRUE(std::holds_alternative<BenchOptions>(parsed));
  return std::get<BenchOptions>(parsed);
}

std::string refused(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "chronik-bench");
  ::testing::internal::CaptureStderr();
  const auto parsed = parse_options(static_cast<int>(arguments.size()), arguments.data());
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(std::holds_alternative<int>(parsed) && std::get<int>(parsed) == 2) << text;
  return text;
}

TEST(BenchOptions, DefaultsAreThePredecessors) {
  const BenchOptions options = options_of({});
  EXPECT_EQ(options.servers, (std::vector<server::HostPort>{{.host = "localhost", .port = 9092}}));
  EXPECT_EQ(options.topic, "chronik-bench");
  EXPECT_EQ(options.mode, Mode::kProduce);
  EXPECT_EQ(options.concurrency, 64u);
  EXPECT_EQ(options.message_size, 1024u);
  EXPECT_EQ(options.duration, Duration::seconds(60));
  EXPECT_EQ(options.warmup, Duration::seconds(5));
  EXPECT_EQ(options.acks, 1);
}

TEST(BenchOptions, EveryFlagAboutTheLoadIsTaken) {
  const BenchOptions options = options_of({"-b",
                                           "a,b:1",
                                           "-t",
                                           "t",
                                           "-c",
                                           "3",
                                           "-s",
                                           "7",
                                           "-d",
                                           "0",
                                           "-w",
                                           "10ms",
                                           "-m",
                                           "round-trip",
                                           "-n",
                                           "11",
                                           "--rate-limit",
                                           "12",
                                           "--key-pattern",
                                           "fixed",
                                           "--payload-pattern",
                                           "zeros",
                                           "--compression",
                                           "lz4"});
  EXPECT_EQ(options.servers, (std::vector<server::HostPort>{{.host = "a", .port = 9092}, {.host = "b", .port = 1}}));
  EXPECT_EQ(options.topic, "t");
  EXPECT_EQ(options.concurrency, 3u);
  EXPECT_EQ(options.message_size, 7u);
  EXPECT_EQ(options.duration, Duration::infinite());
  EXPECT_EQ(options.warmup, Duration::milliseconds(10));
  EXPECT_EQ(options.mode, Mode::kRoundTrip);
  EXPECT_EQ(options.message_count, 11u);
  EXPECT_EQ(options.rate_limit, 12u);
  EXPECT_EQ(options.key_pattern, KeyPattern::kFixed);
  EXPECT_EQ(options.payload_pattern, PayloadPattern::kZeros);
  EXPECT_EQ(options.compression, protocol::Codec::kLz4);
}

TEST(BenchOptions, EveryFlagAboutProducersAndReportsIsTaken) {
  const BenchOptions options = options_of({"--create-topic",
                                           "-p",
                                           "4",
                                           "-r",
                                           "2",
                                           "--acks",
                                           "all",
                                           "--linger-ms",
                                           "5",
                                           "--batch-size",
                                           "99",
                                           "--request-timeout-ms",
                                           "8",
                                           "--message-timeout-ms",
                                           "9",
                                           "--report-interval-secs",
                                           "2",
                                           "--csv-output",
                                           "c",
                                           "--json-output",
                                           "j",
                                           "--prometheus-port",
                                           "77",
                                           "--delete-topic-after",
                                           "--validate",
                                           "--min-throughput",
                                           "1.5",
                                           "-v"});
  EXPECT_EQ(options.partitions, 4);
  EXPECT_EQ(options.replication_factor, 2);
  EXPECT_EQ(options.acks, -1);
  EXPECT_EQ(options.linger, Duration::milliseconds(5));
  EXPECT_EQ(options.batch_bytes, 99u);
  EXPECT_EQ(options.request_timeout, Duration::milliseconds(8));
  EXPECT_EQ(options.message_timeout, Duration::milliseconds(9));
  EXPECT_EQ(options.report_interval, Duration::seconds(2));
  EXPECT_EQ(options.csv_file, "c");
  EXPECT_EQ(options.json_file, "j");
  EXPECT_EQ(options.prometheus_port, 77);
  EXPECT_TRUE(options.delete_topic_after && options.validate && options.verbose && options.create_topic);
  EXPECT_EQ(options.min_throughput, 1.5);
}

TEST(BenchOptions, WhoSaysHowManyPartitionsOrReplicasWantsTheTopicMade) {
  EXPECT_FALSE(options_of({}).create_topic);
  EXPECT_TRUE(options_of({"-p", "6"}).create_topic);
  EXPECT_TRUE(options_of({"-r", "3"}).create_topic);
}

TEST(BenchOptions, ARefusalNamesTheFlagItsValueAndWhatWouldBeRight) {
  EXPECT_EQ(refused({"-c", "0"}), "chronik-bench: --concurrency: '0': must be a whole number from 1 to 10000\n");
  EXPECT_EQ(refused({"-d", "60"}), "chronik-bench: --duration: '60': must be a time such as 500ms, 30s, 5m or 2h\n");
  EXPECT_EQ(refused({"-m", "read"}),
            "chronik-bench: --mode: 'read': must be one of produce, consume, round-trip, metadata\n");
  EXPECT_NE(refused({"-b", "a:b"}).find("--bootstrap-servers: 'a:b': must be HOST:PORT"), std::string::npos);
  EXPECT_NE(refused({"--consumer-group", "g"}).find("every consumer of this benchmark reads all partitions"),
            std::string::npos);
  EXPECT_NE(refused({"--acks", "0", "--validate"}).find("--acks: '0': must be 1, -1 or all"), std::string::npos);
  EXPECT_NE(refused({"-d", "0", "--validate"}).find("--duration: '0'"), std::string::npos);
  EXPECT_NE(refused({"-p", "0"}).find("--partitions: '0': must be"), std::string::npos);
  EXPECT_NE(refused({"--nonsense"}).find("--nonsense"), std::string::npos);
}

Result sample_result() {
  Result result;
  for (int i = 1; i <= 4; ++i) {
    result.tally.succeed(1, 1000, Duration::milliseconds(i));
  }
  result.tally.failed.add();
  result.duration = Duration::milliseconds(2500);
  return result;
}

TEST(BenchResult, RatesAreOverTheMeasuredTimeOnly) {
  EXPECT_DOUBLE_EQ(sample_result().messages_per_second(), 1.6);
  EXPECT_DOUBLE_EQ(sample_result().megabytes_per_second(), 0.0016);
  EXPECT_EQ(Result{}.messages_per_second(), 0);
}

TEST(BenchResult, CsvHasAValueForEachColumn) {
  const std::string line = csv_line({}, sample_result(), 0);
  const std::string header = csv_header();
  EXPECT_EQ(std::count(line.begin(), line.end(), ','), std::count(header.begin(), header.end(), ','));
  EXPECT_EQ(line.find("1970-01-01T00:00:00Z,produce,2.500,4,1,4000,1.60,0.00,80.00,"), 0u) << line;
  EXPECT_NE(line.find(",4000,"), std::string::npos) << line;  // the greatest latency in microseconds
  EXPECT_NE(header.find("success_rate_pct,latency_p50_us,latency_p90_us,latency_p95_us,latency_p99_us,latency_p999_us,"
                        "latency_max_us,latency_p50_ms,"),
            std::string::npos);
}

TEST(BenchResult, JsonHasThePredecessorsNames) {
  const std::string text = json({}, sample_result());
  for (const char* part : {"\"mode\": \"produce\"", "\"duration\": {\"secs\": 2, \"nanos\": 500000000}",
                           "\"total_messages\": 4", "\"failed_messages\": 1", "\"total_bytes\": 4000",
                           "\"latency_max_us\": 4000", "\"message_size\": 1024", "\"compression\": \"none\""}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
}

TEST(BenchMessages, FollowFromClientAndNumberAndDifferBetweenThem) {
  BenchOptions options;
  options.message_size = 100;
  MessageMaker one(options, 7, 1);
  MessageMaker twin(options, 7, 1);
  MessageMaker other(options, 7, 2);
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    one.next();
    twin.next();
    other.next();
    EXPECT_TRUE(std::ranges::equal(one.value(), twin.value()));
    EXPECT_EQ(one.partition(5), twin.partition(5));
    seen.emplace(as_text(one.value()));
    seen.emplace(as_text(other.value()));
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(BenchMessages, KeysDecideOnThePartition) {
  BenchOptions options;
  std::set<std::int32_t> random;
  std::set<std::int32_t> fixed;
  MessageMaker maker(options, 1, 1);
  BenchOptions with_fixed = options;
  with_fixed.key_pattern = KeyPattern::kFixed;
  MessageMaker fixed_maker(with_fixed, 1, 1);
  for (int i = 0; i < 200; ++i) {
    maker.next();
    fixed_maker.next();
    random.insert(maker.partition(4).value());
    fixed.insert(fixed_maker.partition(4).value());
  }
  EXPECT_EQ(random, (std::set<std::int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(fixed.size(), 1u);
}

TEST(Meter, CountsWhatBeganAfterTheWarmupAndBeforeTheEnd) {
  testing::FiberWorld world;
  world.spawn("test", [] {
    BenchOptions options;
    options.warmup = Duration::zero();
    options.duration = Duration::seconds(100);
    const MonotonicTime now = runtime::SystemClock::read_monotonic();
    Meter warm(options, now + Duration::seconds(10));  // begins in ten seconds
    const std::optional<Meter::Claim> early = warm.claim();
    ASSERT_TRUE(early.has_value());
    EXPECT_FALSE(early->counts);
    warm.succeeded(*early, 1, 10);
    EXPECT_EQ(warm.result().tally.messages.value(), 0u);
    EXPECT_EQ(warm.take_interval().messages.value(), 1u);

    Meter meter(options, now);
    const std::optional<Meter::Claim> claim = meter.claim();
    ASSERT_TRUE(claim.has_value() && claim->counts);
    meter.succeeded(*claim, 1, 10);
    meter.failed(*meter.claim(), "why");
    const Result result = meter.result();
    EXPECT_EQ(result.tally.messages.value(), 1u);
    EXPECT_EQ(result.tally.failed.value(), 1u);
    EXPECT_EQ(result.tally.latency.count(), 1u);
    EXPECT_EQ(result.first_failure, "why");
    EXPECT_GT(result.duration, Duration::zero());
    EXPECT_LT(result.duration, Duration::seconds(5));

    Meter over(options, now + Duration::seconds(-101));
    EXPECT_FALSE(over.claim().has_value());
    meter.stop();
    EXPECT_FALSE(meter.claim().has_value());
  });
  world.run();
}

TEST(Meter, ClaimsNoMoreMessagesThanWanted) {
  testing::FiberWorld world;
  world.spawn("test", [] {
    BenchOptions options;
    options.warmup = Duration::zero();
    options.message_count = 3;
    Meter meter(options, runtime::SystemClock::read_monotonic());
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(meter.claim().has_value());
    }
    EXPECT_FALSE(meter.claim().has_value());
  });
  world.run();
}

TEST(Meter, WithARateALateMessageCountsFromWhenItWasDue) {
  testing::FiberWorld world;
  world.spawn("test", [] {
    BenchOptions options;
    options.warmup = Duration::zero();
    options.rate_limit = 10;
    const MonotonicTime begin = runtime::SystemClock::read_monotonic() + Duration::seconds(-1);
    Meter meter(options, begin);
    for (int i = 0; i < 10; ++i) {
      const std::optional<Meter::Claim> claim = meter.claim();
      ASSERT_TRUE(claim.has_value());
      EXPECT_EQ(claim->began, begin + Duration::milliseconds(100 * i));
    }
  });
  world.run();
}

// ---- what --validate reads ----

protocol::FetchPartitionResponse fetched(Offset base, const std::vector<std::string>& values) {
  protocol::RecordBatchBuilder builder;
  for (const std::string& value : values) {
    protocol::RecordInput record;
    record.value = as_bytes(value);
    builder.append(record);
  }
  protocol::FetchPartitionResponse response;
  response.records = builder.build({.base_offset = base});
  return response;
}

TEST(ReadRecords, GivesEachFromTheOffsetOn) {
  protocol::Codecs codecs;
  std::vector<std::string> seen;
  const StatusOr<Offset> next =
      read_records(fetched(Offset(5), {"a", "b", "c"}), Offset(6), codecs,
                   [&](Offset, const protocol::RecordView& record) { seen.emplace_back(as_text(record.value_bytes)); });
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(*next, Offset(8));
  EXPECT_EQ(seen, (std::vector<std::string>{"b", "c"}));
}

TEST(ReadRecords, AGapAndADamagedByteAreFound) {
  protocol::Codecs codecs;
  const auto ignore = [](Offset, const protocol::RecordView&) {};
  EXPECT_TRUE(absl::IsDataLoss(read_records(fetched(Offset(5), {"a"}), Offset(4), codecs, ignore).status()));
  EXPECT_TRUE(absl::IsDataLoss(read_records(fetched(Offset(5), {"a"}), Offset(6), codecs, ignore).status()));
  const protocol::FetchPartitionResponse damaged = fetched(Offset(5), {"a"});
  damaged.records->mutable_bytes().back() ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(read_records(damaged, Offset(5), codecs, ignore).status()));
}

}  // namespace
}  // namespace chronik::bench
