// What a log remembers of idempotent producers (KIP-98).
#include "core/log/producer_window.h"

#include <gtest/gtest.h>

#include <limits>

namespace chronik::log::producer_window_test {
namespace {

using protocol::ErrorCode;
using Kind = ProducerVerdict::Kind;

constexpr ProducerId kId{7};
constexpr std::int32_t kLastSequence = std::numeric_limits<std::int32_t>::max();

struct ProducerWindowTest : ::testing::Test {
  static ProducerBatch batch(std::int32_t first, std::int32_t last, std::int16_t epoch = 0) {
    return {.id = kId, .epoch = ProducerEpoch(epoch), .first_sequence = first, .last_sequence = last};
  }
  // Appends it where it is to be appended.
  ProducerVerdict take(const ProducerBatch& of) {
    const ProducerVerdict verdict = window.check(of);
    if (verdict.kind == Kind::kAppend) {
      const std::int64_t count = of.last_sequence >= of.first_sequence
                                     ? of.last_sequence - of.first_sequence + 1
                                     : std::int64_t{kLastSequence} - of.first_sequence + 2 + of.last_sequence;
      window.record(of, end, Offset(end.value() + count - 1), now);
      end = Offset(end.value() + count);
    }
    return verdict;
  }
  Kind kind_of(const ProducerBatch& of) { return take(of).kind; }
  ErrorCode error_of(const ProducerBatch& of) { return take(of).error; }

  ProducerWindow window;
  Offset end{100};
  WallTime now = WallTime::from_milliseconds(1'000'000);
};

TEST_F(ProducerWindowTest, ARetryOfOneOfTheLastFiveIsWhereTheOriginalIs) {
  for (std::int32_t i = 0; i < 6; ++i) {
    EXPECT_EQ(kind_of(batch(i * 10, i * 10 + 9)), Kind::kAppend);
  }
  const ProducerVerdict again = take(batch(10, 19));
  EXPECT_EQ(again.kind, Kind::kDuplicate);
  EXPECT_EQ(again.base_offset, Offset(110));
  EXPECT_EQ(again.last_offset, Offset(119));
  EXPECT_EQ(error_of(batch(0, 9)), ErrorCode::kOutOfOrderSequenceNumber);  // the sixth last
  EXPECT_EQ(error_of(batch(10, 18)), ErrorCode::kOutOfOrderSequenceNumber);
}

TEST_F(ProducerWindowTest, AGapIsRefused) {
  EXPECT_EQ(kind_of(batch(0, 9)), Kind::kAppend);
  EXPECT_EQ(error_of(batch(11, 12)), ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(kind_of(batch(10, 12)), Kind::kAppend);
}

TEST_F(ProducerWindowTest, NumbersWrapToZero) {
  EXPECT_EQ(kind_of(batch(kLastSequence - 1, kLastSequence)), Kind::kAppend);
  EXPECT_EQ(kind_of(batch(0, 4)), Kind::kAppend);
  EXPECT_EQ(kind_of(batch(kLastSequence - 1, kLastSequence)), Kind::kDuplicate);
}

TEST_F(ProducerWindowTest, ABatchMayWrapWithinItself) {
  EXPECT_EQ(kind_of(batch(kLastSequence - 1, 2)), Kind::kAppend);
  EXPECT_EQ(error_of(batch(4, 5)), ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(kind_of(batch(3, 5)), Kind::kAppend);
}

TEST_F(ProducerWindowTest, ANewEpochBeginsAtZeroAndFencesTheOldOne) {
  EXPECT_EQ(kind_of(batch(0, 9)), Kind::kAppend);
  EXPECT_EQ(error_of(batch(10, 11, 1)), ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(kind_of(batch(0, 1, 1)), Kind::kAppend);
  EXPECT_EQ(error_of(batch(10, 19, 0)), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(error_of(batch(0, 9, 0)), ErrorCode::kInvalidProducerEpoch);
}

TEST_F(ProducerWindowTest, OfWhomNothingIsKnownAnyNumberIsTaken) { EXPECT_EQ(kind_of(batch(500, 509)), Kind::kAppend); }

TEST_F(ProducerWindowTest, WhatIsCutOffIsForgotten) {
  EXPECT_EQ(kind_of(batch(0, 9)), Kind::kAppend);
  EXPECT_EQ(kind_of(batch(10, 19)), Kind::kAppend);
  window.truncate(Offset(115));
  end = Offset(110);
  EXPECT_EQ(kind_of(batch(10, 19)), Kind::kAppend);
  window.truncate(Offset(100));
  EXPECT_EQ(window.size(), 0u);
}

TEST_F(ProducerWindowTest, WhoWritesNothingForLongIsForgottenAndMayGoOn) {
  EXPECT_EQ(kind_of(batch(0, 9)), Kind::kAppend);
  window.expire(now);
  EXPECT_EQ(window.size(), 1u);
  window.expire(WallTime::from_milliseconds(now.milliseconds() + 1));
  EXPECT_EQ(window.size(), 0u);
  EXPECT_EQ(kind_of(batch(10, 19)), Kind::kAppend);
}

}  // namespace
}  // namespace chronik::log::producer_window_test
