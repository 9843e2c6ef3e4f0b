// What the ledger of the scenarios of one node finds, and what it lets pass.
#include "sim/scenarios/ledger.h"

#include "tests/sim/sim_support.h"

namespace chronik::sim::ledger_test {
namespace {

constexpr ProducerSessionId kOne{.client = 1, .number = 1};
constexpr ProducerSessionId kTwo{.client = 2, .number = 1};

struct LedgerTest : ::testing::Test {
  bool see(std::uint64_t value, std::int64_t offset, std::size_t size = 20) {
    return ledger.see(0, offset, as_bytes(Ledger::bytes_of(value, size)));
  }
  SmallWorld small;
  Ledger ledger{small.world, 1};
};

TEST_F(LedgerTest, WhatIsReadAsItWasAcknowledgedIsWell) {
  ledger.send(1, 20, 0, kOne);
  ledger.send(2, 20, 0, kOne);
  ledger.acknowledge(1, 0);
  ledger.acknowledge(2, 1);
  EXPECT_TRUE(see(1, 0));
  EXPECT_TRUE(see(2, 1));
  EXPECT_TRUE(see(1, 0));
  EXPECT_EQ(ledger.known_end(0), 2);
  ledger.end_at(0, 2, 2);
  ledger.judge();
  EXPECT_EQ(small.checker(), "") << small.message();
}

TEST_F(LedgerTest, AnAcknowledgedValueThatIsNotThereIsFound) {
  ledger.send(1, 20, 0, kOne);
  ledger.acknowledge(1, 0);
  ledger.judge();
  EXPECT_EQ(small.checker(), "ACK-DURABLE");
}

TEST_F(LedgerTest, ALogThatEndsBelowWhatIsKnownIsFound) {
  ledger.send(1, 20, 0, kOne);
  ledger.acknowledge(1, 0);
  ledger.end_at(0, 0, ledger.known_end(0));
  EXPECT_EQ(small.checker(), "ACK-DURABLE");
}

TEST_F(LedgerTest, TwoAcknowledgementsOfOneOffsetAreFound) {
  ledger.send(1, 20, 0, kOne);
  ledger.send(2, 20, 0, kOne);
  ledger.acknowledge(1, 0);
  ledger.acknowledge(2, 0);
  EXPECT_EQ(small.checker(), "ACK-DURABLE");
}

TEST_F(LedgerTest, AnotherValueThanTheAcknowledgedOneIsFoundAtOnce) {
  ledger.send(1, 20, 0, kOne);
  ledger.send(2, 20, 0, kOne);
  ledger.acknowledge(1, 0);
  EXPECT_FALSE(see(2, 0));
  EXPECT_EQ(small.checker(), "ACK-DURABLE");
}

TEST_F(LedgerTest, ALogThatEndsBelowAHighWatermarkIsFound) {
  ledger.see_watermark(0, 3);
  EXPECT_EQ(ledger.known_end(0), 3);
  ledger.end_at(0, 2, ledger.known_end(0));
  EXPECT_EQ(small.checker(), "ACK-DURABLE");
}

TEST_F(LedgerTest, BytesThatNobodySentAreFound) {
  ledger.send(1, 20, 0, kOne);
  EXPECT_FALSE(see(1, 0, 21));
  EXPECT_EQ(small.checker(), "ACK-DURABLE");
}

TEST_F(LedgerTest, TwoValuesAtOneOffsetAreFound) {
  ledger.send(1, 20, 0, kOne);
  ledger.send(2, 20, 0, kOne);
  EXPECT_TRUE(see(1, 0));
  EXPECT_FALSE(see(2, 0));
  EXPECT_EQ(small.checker(), "OFFSET-UNIQUE");
}

TEST_F(LedgerTest, OneValueAtTwoOffsetsIsFound) {
  ledger.send(1, 20, 0, kOne);
  EXPECT_TRUE(see(1, 0));
  EXPECT_FALSE(see(1, 1));
  EXPECT_EQ(small.checker(), "OFFSET-UNIQUE");
}

TEST_F(LedgerTest, AValueThatWasRefusedAndIsThereIsFound) {
  ledger.send(1, 20, 0, kOne);
  ledger.refuse_value(1);
  EXPECT_FALSE(see(1, 0));
  EXPECT_EQ(small.checker(), "REFUSED");
}

TEST_F(LedgerTest, OneConnectionsValuesOutOfOrderAreFoundAndTwoConnectionsAreNot) {
  ledger.send(1, 20, 0, kOne);
  ledger.send(2, 20, 0, kTwo);
  ledger.send(3, 20, 0, kOne);
  EXPECT_TRUE(see(2, 0));
  EXPECT_TRUE(see(1, 1));
  ledger.judge();
  EXPECT_EQ(small.checker(), "");
  EXPECT_TRUE(see(3, 2));
  ledger.judge();
  EXPECT_EQ(small.checker(), "");

  SmallWorld other;
  Ledger wrong(other.world, 1);
  wrong.send(1, 20, 0, kOne);
  wrong.send(2, 20, 0, kOne);
  EXPECT_TRUE(wrong.see(0, 0, as_bytes(Ledger::bytes_of(2, 20))));
  EXPECT_TRUE(wrong.see(0, 1, as_bytes(Ledger::bytes_of(1, 20))));
  wrong.judge();
  EXPECT_EQ(other.checker(), "ORDER");
}

TEST_F(LedgerTest, AnOffsetThatAnswersAnErrorIsNotLostInSilence) {
  ledger.send(1, 20, 0, kOne);
  ledger.send(2, 20, 0, kOne);
  ledger.acknowledge(1, 0);
  ledger.acknowledge(2, 1);
  ledger.refuse(0, 0);
  EXPECT_TRUE(see(2, 1));
  ledger.judge();
  EXPECT_EQ(small.checker(), "") << small.message();
}

TEST_F(LedgerTest, ErasAreSettledByAcknowledgements) {
  ledger.send(1, 20, 0, kOne, 3);
  EXPECT_EQ(ledger.settled_era(), 0u);
  ledger.acknowledge(1, 0);
  EXPECT_EQ(ledger.settled_era(), 3u);
}

// ---- producers with sequence numbers ----

constexpr ProducedAs numbered(std::int32_t sequence, std::int32_t epoch = 0) {
  return {.id = 7, .epoch = epoch, .sequence = sequence};
}

struct IdempotentLedger : LedgerTest {
  void send(std::uint64_t value, const ProducedAs& as) { ledger.send(value, 20, 0, kOne, 0, as); }
  bool see_as(std::uint64_t value, std::int64_t offset, const ProducedAs& as) {
    return ledger.see(0, offset, as_bytes(Ledger::bytes_of(value, 20)), as);
  }
};

TEST_F(IdempotentLedger, ARetryThatIsAnsweredAsTheFirstAttemptIsWell) {
  send(1, numbered(0));
  send(2, numbered(1));
  ledger.acknowledge(1, 0);
  ledger.acknowledge(1, 0);
  ledger.acknowledge(2, 1);
  EXPECT_TRUE(see_as(1, 0, numbered(0)));
  EXPECT_TRUE(see_as(2, 1, numbered(1)));
  ledger.judge();
  EXPECT_EQ(small.checker(), "") << small.message();
  EXPECT_EQ(ledger.acknowledged(), 2u);
}

TEST_F(IdempotentLedger, ARetryThatIsAnsweredWithAnotherOffsetIsFound) {
  send(1, numbered(0));
  ledger.acknowledge(1, 0);
  ledger.acknowledge(1, 1);
  EXPECT_EQ(small.checker(), "IDEMPOTENT");
}

TEST_F(IdempotentLedger, ABatchThatIsStoredTwiceIsFound) {
  send(1, numbered(0));
  EXPECT_TRUE(see_as(1, 0, numbered(0)));
  EXPECT_FALSE(see_as(1, 1, numbered(0)));
  EXPECT_EQ(small.checker(), "IDEMPOTENT");
}

TEST_F(IdempotentLedger, ABatchElsewhereThanAcknowledgedIsFound) {
  send(1, numbered(0));
  ledger.acknowledge(1, 3);
  EXPECT_TRUE(see_as(1, 0, numbered(0)));
  ledger.judge();
  EXPECT_EQ(small.checker(), "IDEMPOTENT");
}

TEST_F(IdempotentLedger, ABatchUnderAnotherSequenceNumberThanSentIsFound) {
  send(1, numbered(0));
  EXPECT_FALSE(see_as(1, 0, numbered(1)));
  EXPECT_EQ(small.checker(), "IDEMPOTENT");
}

TEST_F(IdempotentLedger, AGapInTheSequenceIsFound) {
  send(1, numbered(0));
  send(2, numbered(1));
  send(3, numbered(2));
  EXPECT_TRUE(see_as(1, 0, numbered(0)));
  EXPECT_TRUE(see_as(3, 1, numbered(2)));
  ledger.judge();
  EXPECT_EQ(small.checker(), "IDEMPOTENT");
}

TEST_F(IdempotentLedger, AnotherEpochBeginsAtZeroAndWhatWasDeletedUnreadIsNoGap) {
  send(1, numbered(0));
  send(2, numbered(1));
  send(3, numbered(2));
  send(4, numbered(0, 1));
  ledger.ask_start(0, 2);
  EXPECT_TRUE(ledger.begin_at(0, 2, 0, false));
  EXPECT_TRUE(see_as(3, 2, numbered(2)));
  EXPECT_TRUE(see_as(4, 3, numbered(0, 1)));
  ledger.judge();
  EXPECT_EQ(small.checker(), "") << small.message();
}

// ---- deletion ----

TEST_F(LedgerTest, ALogThatBeginsLaterThanAnybodyAskedForIsFoundUnlessItIsRetained) {
  ledger.ask_start(0, 3);
  EXPECT_TRUE(ledger.begin_at(0, 2, 0, false));
  EXPECT_TRUE(ledger.begin_at(0, 9, 2, true));
  EXPECT_FALSE(ledger.begin_at(0, 10, 9, false));
  EXPECT_EQ(small.checker(), "LOG-START");
}

TEST_F(LedgerTest, ADeletionThatWasAcknowledgedHoldsForEver) {
  ledger.ask_start(0, 3);
  ledger.confirm_start(0, 3);
  EXPECT_FALSE(ledger.begin_at(0, 1, ledger.log_start(0), false));
  EXPECT_EQ(small.checker(), "LOG-START");
}

TEST_F(LedgerTest, ReadingBelowADeletionThatWasAcknowledgedBeforeIsFound) {
  ledger.ask_start(0, 3);
  const std::int64_t before = ledger.log_start(0);
  ledger.confirm_start(0, 3);
  EXPECT_TRUE(ledger.read_at(0, 1, before)) << "it was asked for before";
  EXPECT_TRUE(ledger.read_at(0, 3, ledger.log_start(0)));
  EXPECT_FALSE(ledger.read_at(0, 2, ledger.log_start(0)));
  EXPECT_EQ(small.checker(), "LOG-START");
}

}  // namespace
}  // namespace chronik::sim::ledger_test
