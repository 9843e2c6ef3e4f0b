#include <cpuid.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/crc32c.h"
#include "core/base/log_line.h"
#include "core/base/metrics.h"
#include "core/base/ring.h"
#include "core/base/slice.h"
#include "core/base/slices.h"
#include "core/base/time.h"
#include "core/base/uuid.h"
#include "core/base/varint.h"

namespace chronik {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  std::array<std::uint8_t, 32> bytes{};
  EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
  bytes.fill(0xff);
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
  for (std::size_t i = 0; i < 32; ++i) {
    bytes[i] = static_cast<std::uint8_t>(i);
  }
  EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
  for (std::size_t i = 0; i < 32; ++i) {
    bytes[i] = static_cast<std::uint8_t>(31 - i);
  }
  EXPECT_EQ(crc32c(bytes), 0x113fdb5cu);
}

TEST(Crc32c, OfAWholeEqualsTheContinuationOverItsParts) {
  const std::string_view text = "123456789";
  EXPECT_EQ(crc32c(as_bytes(text)), 0xe3069283u);
  EXPECT_EQ(crc32c(as_bytes(text.substr(4)), crc32c(as_bytes(text.substr(0, 4)))), 0xe3069283u);
}

// What the processor says is in use of the wide registers (XGETBV with ECX = 1): 4 upper halves of ymm, 64 those of
// zmm. Nothing where it cannot tell.
std::uint32_t wide_registers_in_use() {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t c = 0;
  std::uint32_t d = 0;
  constexpr std::uint32_t kTellsWhatIsInUse = 4;
  if (__get_cpuid_count(0xd, 1, &a, &b, &c, &d) == 0 || (a & kTellsWhatIsInUse) == 0) {
    return 0;
  }
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
  return low & (4u | 64u);
}

TEST(Crc32c, LeavesTheWideRegistersClean) {
  const std::vector<std::uint8_t> bytes(4096, 7);
  const std::uint32_t crc = crc32c(bytes);
  EXPECT_EQ(wide_registers_in_use(), 0u);
  EXPECT_NE(crc, 0u);
}

TEST(Varint, EveryBoundaryRoundTrips) {
  for (int bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t n : {(std::uint64_t{1} << bit) - 1, std::uint64_t{1} << bit}) {
      std::array<std::uint8_t, kVarint64BytesMax> bytes{};
      const std::size_t size = varint_write(bytes.data(), n);
      EXPECT_EQ(size, varint_size(n));
      std::uint64_t back = 0;
      EXPECT_EQ(varint_read<64>(bytes, back), size);
      EXPECT_EQ(back, n);
      EXPECT_EQ(varint_read<64>(ByteSpan(bytes).first(size - 1), back), 0u) << "truncated";
    }
  }
}

TEST(Varint, ANumberWithTooManyBitsIsRefused) {
  const std::array<std::uint8_t, 5> too_big{0xff, 0xff, 0xff, 0xff, 0x1f};
  std::uint64_t n = 0;
  EXPECT_EQ(varint_read<32>(too_big, n), 0u);
  EXPECT_EQ(varint_read<64>(too_big, n), 5u);
}

TEST(Varint, ZigzagKeepsSmallNumbersSmall) {
  EXPECT_EQ(zigzag_encode(std::int32_t{-1}), 1u);
  EXPECT_EQ(zigzag_decode(zigzag_encode(std::numeric_limits<std::int64_t>::min())),
            std::numeric_limits<std::int64_t>::min());
}

TEST(Slice, APartKeepsTheWholeAlive) {
  Slice part;
  {
    const Slice whole = Slice::copy_of("hello world");
    part = whole.sub(6, 5);
  }
  EXPECT_EQ(part.text(), "world");
  EXPECT_EQ(part.held_bytes(), 11u);
}

void copy_on_shard_7(const Slice& slice) {
  ShardContext other{.shard = ShardId(7), .node = NodeId(0)};
  Ambient elsewhere{.context = &other, .name = "elsewhere"};
  const AmbientGuard guard(elsewhere);
  const Slice copy = slice;  // NOLINT: the copy is the point
}

TEST(SliceDeathTest, AReferenceTakenOnAnotherShardAborts) {
  const Slice slice = Slice::copy_of("x");
  EXPECT_DEATH(copy_on_shard_7(slice), "home");
}

TEST(Slice, WhatIsLeftBehindSomeBytesOfManyHasNoEmptyPart) {
  const std::vector<Slice> parts{Slice::copy_of("abc"), Slice(), Slice::copy_of("de"), Slice::copy_of("f")};
  const std::string whole = "abcdef";
  for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
    std::string left;
    for (const Slice& part : slices_behind(parts, bytes)) {
      EXPECT_FALSE(part.empty());
      left += part.text();
    }
    EXPECT_EQ(left, whole.substr(bytes));
  }
}

TEST(Ring, KeepsItsOrderWhileItGrowsAndGoesRound) {
  Ring<int> ring;
  int pushed = 0;
  int popped = 0;
  for (int round = 1; round <= 20; ++round) {
    for (int i = 0; i < round; ++i) {
      ring.push(pushed++);
    }
    ring.pop_front(static_cast<std::size_t>(round / 2));
    popped += round / 2;
    ASSERT_EQ(ring.size(), static_cast<std::size_t>(pushed - popped));
    for (std::size_t i = 0; i < ring.size(); ++i) {
      ASSERT_EQ(ring[i], popped + static_cast<int>(i));
    }
    ASSERT_EQ(ring.front(), popped);
  }
}

TEST(Ring, LetsGoOfWhatLeavesIt) {
  const auto shared = std::make_shared<int>(1);
  Ring<std::shared_ptr<int>> ring;
  ring.push(shared);
  ring.push(shared);
  EXPECT_EQ(shared.use_count(), 3);
  ring.pop_front();
  EXPECT_EQ(shared.use_count(), 2);
  ring.pop_front();
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(Duration, WhatIsTooLargeForOneStaysOnItsSideOfZero) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr Duration kLongestAgo = Duration::nanoseconds(kLeast);
  EXPECT_EQ(Duration::milliseconds(kMost), Duration::infinite());
  EXPECT_EQ(Duration::milliseconds(kLeast), kLongestAgo);
  EXPECT_EQ(Duration::seconds(-kMost), kLongestAgo);
  EXPECT_EQ(Duration::seconds(1) * kMost, Duration::infinite());
  EXPECT_EQ(Duration::seconds(-1) * kMost, kLongestAgo);
  EXPECT_EQ(Duration::seconds(-1) * kLeast, Duration::infinite());
  EXPECT_EQ(Duration::infinite() + Duration::seconds(1), Duration::infinite());
  EXPECT_EQ(kLongestAgo + Duration::seconds(-1), kLongestAgo);
  EXPECT_EQ(kLongestAgo - Duration::seconds(1), kLongestAgo);
  EXPECT_EQ(Duration::seconds(1) - kLongestAgo, Duration::infinite());
  EXPECT_EQ(Duration::seconds(1) - Duration::infinite(), Duration::nanoseconds(1'000'000'000 - kMost));
}

TEST(WallTime, TheAgeOfWhatIsYetToComeIsBelowZeroHoweverFarAheadThatIs) {
  constexpr WallTime kNow = WallTime::from_milliseconds(1'700'000'000'000);
  EXPECT_EQ(kNow - WallTime::from_milliseconds(1'700'000'000'001), Duration::milliseconds(-1));
  EXPECT_LT(kNow - WallTime::from_milliseconds(1'700'000'000'000'000'000), Duration::zero());
  EXPECT_LT(kNow - WallTime::from_milliseconds(std::numeric_limits<std::int64_t>::max()), Duration::zero());
  EXPECT_EQ(kNow - WallTime::from_milliseconds(std::numeric_limits<std::int64_t>::min()), Duration::infinite());
}

TEST(MonotonicTime, SaturatesAsDurationsDo) {
  constexpr MonotonicTime kFirst = MonotonicTime::from_nanoseconds(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(MonotonicTime::never() + Duration::seconds(1), MonotonicTime::never());
  EXPECT_EQ(kFirst + Duration::seconds(-1), kFirst);
  EXPECT_EQ(MonotonicTime::never() - kFirst, Duration::infinite());
}

TEST(Uuid, PrintsAsKafkaPrintsIt) {
  EXPECT_EQ(Uuid{}.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
  const Uuid id = Uuid::from_random(0x123456789abcdef0, 0x0fedcba987654321);
  EXPECT_EQ(id.to_string(), "EjRWeJq8TvCP7cuph2VDIQ");
}

TEST(Histogram, AQuantileIsWithinAStepOfTheTruth) {
  Histogram histogram;
  for (std::uint64_t i = 1; i <= 10'000; ++i) {
    histogram.record(i);
  }
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.5)), 5'000, 5'000 * 0.125);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.99)), 9'900, 9'900 * 0.125);
  EXPECT_EQ(histogram.quantile(1.0), 10'000u);
  for (std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{8}, std::uint64_t{1'000'003}, ~std::uint64_t{0}}) {
    EXPECT_GE(Histogram::bucket_end(Histogram::index(value)), value);
    EXPECT_LT(Histogram::index(value), Histogram::kBuckets);
  }
}

struct Heard : CancelListener {
  int times = 0;
  void on_cancel() override { ++times; }
};

TEST(CancelSource, ReachesListenersOfItsChildrenOnce) {
  CancelSource parent;
  CancelSource child(parent);
  Heard heard;
  child.listen(heard);
  parent.cancel();
  parent.cancel();
  EXPECT_EQ(heard.times, 1);
  EXPECT_TRUE(child.cancelled());
  const CancelSource late(parent);
  EXPECT_TRUE(late.cancelled());
}

struct Lines : LogSink {
  std::string text;
  void write(LogLevel, std::string_view line) override { text += std::string(line) + "\n"; }
};

TEST(LogLine, AValueThatWouldBreakTheLineIsQuoted) {
  Lines lines;
  ShardContext context{.shard = ShardId(0), .node = NodeId(1), .log = &lines};
  Ambient here{.context = &context, .name = "test"};
  const AmbientGuard guard(here);
  log_info("topic created", field("topic", std::string("a b\n")), field("partitions", 3));
  log_debug("not written at this level");
  EXPECT_EQ(lines.text, "topic created topic=\"a b\\x0a\" partitions=3\n");
}

}  // namespace
}  // namespace chronik
