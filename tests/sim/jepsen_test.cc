// What the analysis of the scenario `jepsen` finds in small histories, by Jepsen's names, and how they are written
// down.
#include "sim/scenarios/jepsen_analysis.h"

#include <gtest/gtest.h>

namespace chronik::sim::jepsen {
namespace {

using Names = std::vector<std::string>;

MicroOp sent(Key key, Value value, std::int64_t offset) {
  return {.sends = true, .key = key, .value = value, .done = true, .offset = offset};
}
MicroOp unanswered(Key key, Value value) { return {.sends = true, .key = key, .value = value}; }
MicroOp polled(Key key, Pairs pairs) { return {.done = true, .polled = {{key, std::move(pairs)}}}; }

struct JepsenAnalysis : ::testing::Test {
  void add(std::int64_t process, Type type, std::vector<MicroOp> micro) {
    const Verb verb = verb_of(micro);
    history.push_back({.process = process, .type = type, .verb = verb, .micro = std::move(micro)});
  }
  void assign(std::int64_t process, std::vector<Key> keys, bool from_the_start = false) {
    history.push_back({.process = process,
                       .type = Type::kOk,
                       .verb = Verb::kAssign,
                       .keys = std::move(keys),
                       .from_the_start = from_the_start});
  }
  void subscribe(std::int64_t process, std::vector<Key> keys) {
    history.push_back({.process = process, .type = Type::kOk, .verb = Verb::kSubscribe, .keys = std::move(keys)});
  }
  // The names of what is found, as often as it is found.
  Names names() const {
    Names found;
    for (const Anomaly& anomaly : analyze(history)) {
      EXPECT_EQ(anomaly.says.rfind(std::string(anomaly.name) + ": ", 0), 0U) << anomaly.says;
      found.emplace_back(anomaly.name);
    }
    return found;
  }
  // Values 1, 2 and 3 of key 0 at the offsets 0, 1 and 2, and all of them polled.
  void three_values() {
    add(0, Type::kOk, {sent(0, 1, 0), sent(0, 2, 1), sent(0, 3, 2)});
    add(9, Type::kOk, {polled(0, {{0, 1}, {1, 2}, {2, 3}})});
  }

  History history;
};

TEST_F(JepsenAnalysis, ASoundHistoryIsSound) {
  three_values();
  add(1, Type::kInfo, {unanswered(0, 4)});
  add(2, Type::kFail, {unanswered(0, 5)});
  add(2, Type::kOk, {polled(0, {{0, 1}}), sent(1, 1, 0)});
  add(2, Type::kOk, {polled(0, {{1, 2}}), polled(0, {{2, 3}, {3, 4}}), polled(1, {{0, 1}})});
  EXPECT_EQ(names(), Names());
}

TEST_F(JepsenAnalysis, AnEmptyHistoryIsSound) { EXPECT_EQ(names(), Names()); }

TEST_F(JepsenAnalysis, AnAcknowledgedValueThatPollsPassedOverIsLost) {
  add(0, Type::kOk, {sent(0, 1, 0), sent(0, 2, 1), sent(0, 3, 2)});
  add(9, Type::kOk, {polled(0, {{0, 1}})});
  add(8, Type::kOk, {polled(0, {{2, 3}})});
  EXPECT_EQ(names(), (Names{"lost-write", "unseen"}));
  EXPECT_EQ(analyze(history).front().says,
            "lost-write: key 0 value 2 was acknowledged at offset 1 and never polled; what is polled goes up to "
            "offset 2");
}

TEST_F(JepsenAnalysis, AnAcknowledgedValueThatAnotherTookThePlaceOfIsLost) {
  add(0, Type::kOk, {sent(0, 1, 0)});
  add(1, Type::kInfo, {unanswered(0, 2)});
  add(9, Type::kOk, {polled(0, {{0, 2}})});
  EXPECT_EQ(names(), (Names{"lost-write", "inconsistent-offsets", "unseen"}));
}

TEST_F(JepsenAnalysis, AnAcknowledgedValueBehindAllThatIsPolledIsUnseen) {
  three_values();
  add(0, Type::kOk, {sent(0, 4, 3)});
  EXPECT_EQ(names(), Names{"unseen"});
}

TEST_F(JepsenAnalysis, WhatIsNotAcknowledgedNeedNotBeSeen) {
  three_values();
  add(1, Type::kInfo, {unanswered(0, 4)});
  EXPECT_EQ(names(), Names());
}

TEST_F(JepsenAnalysis, WhatIsAcknowledgedCountsWhateverBecomesOfTheRest) {
  three_values();
  add(1, Type::kInfo, {sent(0, 4, 3), unanswered(0, 5)});
  EXPECT_EQ(names(), Names{"unseen"});
}

TEST_F(JepsenAnalysis, TwoValuesAtOneOffsetAreInconsistent) {
  add(0, Type::kInfo, {unanswered(0, 1)});
  add(1, Type::kInfo, {unanswered(0, 2)});
  add(8, Type::kOk, {polled(0, {{0, 1}})});
  add(9, Type::kOk, {polled(0, {{0, 2}})});
  EXPECT_EQ(names(), Names{"inconsistent-offsets"});
}

TEST_F(JepsenAnalysis, AValueAtTwoOffsetsIsADuplicateAndNothingElse) {
  three_values();
  add(9, Type::kOk, {polled(0, {{3, 1}})});
  EXPECT_EQ(names(), Names{"duplicate"});
}

TEST_F(JepsenAnalysis, AnAcknowledgementOfAnotherOffsetIsADuplicate) {
  three_values();
  add(1, Type::kOk, {sent(0, 4, 0)});
  add(9, Type::kOk, {polled(0, {{3, 4}})});
  EXPECT_EQ(names(), (Names{"inconsistent-offsets", "duplicate"}));
}

TEST_F(JepsenAnalysis, AFailedSendThatIsPolledIsAnAbortedRead) {
  three_values();
  add(1, Type::kFail, {unanswered(0, 4)});
  add(9, Type::kOk, {polled(0, {{3, 4}})});
  EXPECT_EQ(names(), Names{"G1a"});
}

TEST_F(JepsenAnalysis, AValueThatNobodySentIsFound) {
  three_values();
  add(1, Type::kOk, {sent(1, 4, 0), polled(1, {{0, 4}})});
  add(9, Type::kOk, {polled(0, {{3, 4}})});
  EXPECT_EQ(names(), Names{"never-sent"});
}

TEST_F(JepsenAnalysis, APollerThatLeavesSomethingOutSkips) {
  three_values();
  add(1, Type::kOk, {polled(0, {{0, 1}})});
  add(1, Type::kOk, {polled(0, {{2, 3}})});
  EXPECT_EQ(names(), Names{"poll-skip"});
  EXPECT_EQ(analyze(history).front().says,
            "poll-skip: key 0: process 1 polled offset 0, then 2, and offset 1 is there, value 2");
}

TEST_F(JepsenAnalysis, APollThatLeavesSomethingOutSkipsWithinAnOperation) {
  three_values();
  add(1, Type::kOk, {polled(0, {{0, 1}, {2, 3}})});
  EXPECT_EQ(names(), Names{"int-poll-skip"});
  history.pop_back();
  add(1, Type::kOk, {polled(0, {{0, 1}}), polled(0, {{2, 3}})});
  EXPECT_EQ(names(), Names{"int-poll-skip"});
}

TEST_F(JepsenAnalysis, AnOffsetThatNobodyKnowsOfIsNotSkipped) {
  add(0, Type::kOk, {sent(0, 1, 0), sent(0, 2, 5)});
  add(1, Type::kOk, {polled(0, {{0, 1}, {5, 2}})});
  EXPECT_EQ(names(), Names());
}

TEST_F(JepsenAnalysis, APollerThatComesBackIsNotMonotonic) {
  three_values();
  add(1, Type::kOk, {polled(0, {{0, 1}, {1, 2}})});
  add(1, Type::kOk, {polled(0, {{1, 2}, {2, 3}})});
  EXPECT_EQ(names(), Names{"nonmonotonic-poll"});
}

TEST_F(JepsenAnalysis, APollThatComesBackIsNotMonotonicWithinAnOperation) {
  three_values();
  add(1, Type::kOk, {polled(0, {{0, 1}, {1, 2}}), polled(0, {{0, 1}})});
  EXPECT_EQ(names(), Names{"int-nonmonotonic-poll"});
}

TEST_F(JepsenAnalysis, AssignmentsThatKeepAKeyKeepItsPlace) {
  three_values();
  add(1, Type::kOk, {polled(0, {{0, 1}})});
  assign(1, {0, 1});
  add(1, Type::kOk, {polled(0, {{0, 1}})});
  EXPECT_EQ(names(), Names{"nonmonotonic-poll"});
}

TEST_F(JepsenAnalysis, KeysThatAreAssignedAnewBeginAnywhere) {
  three_values();
  add(1, Type::kOk, {polled(0, {{0, 1}})});
  assign(1, {1});
  assign(1, {0});
  add(1, Type::kOk, {polled(0, {{2, 3}})});
  assign(1, {0}, true);
  add(1, Type::kOk, {polled(0, {{0, 1}})});
  add(2, Type::kOk, {polled(0, {{2, 3}})});
  EXPECT_EQ(names(), Names());
}

TEST_F(JepsenAnalysis, WhatIsPolledBehindASubscriptionBeginsAnywhere) {
  add(0, Type::kOk, {sent(0, 1, 0), sent(0, 2, 1), sent(0, 3, 2)});
  assign(1, {0});
  add(1, Type::kOk, {polled(0, {{0, 1}})});
  subscribe(1, {0});
  add(1, Type::kOk, {polled(0, {{2, 3}})});
  assign(2, {0});
  add(2, Type::kOk, {polled(0, {{0, 1}, {1, 2}, {2, 3}})});
  EXPECT_EQ(names(), Names());
}

TEST_F(JepsenAnalysis, WhatIsPolledBehindARebalanceBeginsAnywhereAndGoesOnFromThere) {
  add(0, Type::kOk, {sent(0, 1, 0), sent(0, 2, 1), sent(0, 3, 2), sent(0, 4, 3)});
  assign(2, {0});
  add(2, Type::kOk, {polled(0, {{0, 1}, {1, 2}, {2, 3}, {3, 4}})});
  subscribe(1, {0});
  add(1, Type::kOk, {polled(0, {{2, 3}})});
  MicroOp anew = polled(0, {{0, 1}});
  anew.rebalanced = true;
  add(1, Type::kOk, {anew});
  EXPECT_EQ(names(), Names());
  add(1, Type::kOk, {polled(0, {{2, 3}})});
  EXPECT_EQ(names(), Names{"poll-skip"});
}

TEST_F(JepsenAnalysis, ARebalanceCountsEvenWhereItsOperationHasFailed) {
  add(0, Type::kOk, {sent(0, 1, 0), sent(0, 2, 1), sent(0, 3, 2)});
  assign(2, {0});
  add(2, Type::kOk, {polled(0, {{0, 1}, {1, 2}, {2, 3}})});
  subscribe(1, {0});
  add(1, Type::kOk, {polled(0, {{2, 3}})});
  MicroOp anew = polled(0, {{0, 1}});
  anew.rebalanced = true;
  add(1, Type::kFail, {anew, unanswered(0, 4)});
  add(1, Type::kOk, {polled(0, {{1, 2}})});
  EXPECT_EQ(names(), Names());
}

TEST_F(JepsenAnalysis, WhatAnOperationPolledThatDidNotHappenMayBePolledAgain) {
  three_values();
  add(1, Type::kOk, {polled(0, {{0, 1}})});
  add(1, Type::kFail, {polled(0, {{1, 2}}), unanswered(0, 4)});
  add(1, Type::kOk, {polled(0, {{1, 2}})});
  EXPECT_EQ(names(), Names());
}

TEST_F(JepsenAnalysis, AProcessWhoseSendsComeInAnotherOrderIsNotMonotonic) {
  add(0, Type::kOk, {sent(0, 1, 1)});
  add(0, Type::kOk, {sent(0, 2, 0)});
  add(9, Type::kOk, {polled(0, {{0, 2}, {1, 1}})});
  EXPECT_EQ(names(), Names{"nonmonotonic-send"});
}

TEST_F(JepsenAnalysis, ASendWithoutAnAnswerIsWhereItIsPolled) {
  add(0, Type::kOk, {sent(0, 1, 1)});
  add(0, Type::kInfo, {unanswered(0, 2)});
  add(9, Type::kOk, {polled(0, {{0, 2}, {1, 1}})});
  EXPECT_EQ(names(), Names{"nonmonotonic-send"});
}

TEST_F(JepsenAnalysis, SendsInAnotherOrderAreFoundWithinAnOperation) {
  add(0, Type::kOk, {sent(0, 1, 1), sent(0, 2, 0)});
  add(9, Type::kOk, {polled(0, {{0, 2}, {1, 1}})});
  EXPECT_EQ(names(), Names{"int-nonmonotonic-send"});
}

TEST_F(JepsenAnalysis, TheReportBeginsWithWhatSaysMostAndCountsTheRest) {
  add(0, Type::kOk, {sent(0, 1, 0), sent(0, 2, 1), sent(0, 3, 2)});
  add(9, Type::kOk, {polled(0, {{2, 3}})});
  const std::string report = report_of(analyze(history));
  EXPECT_EQ(report.rfind("lost-write: key 0 value 1 ", 0), 0U) << report;
  EXPECT_NE(report.find("in all: 2 lost-write; 2 unseen;"), std::string::npos) << report;
}

TEST_F(JepsenAnalysis, AHistoryIsWrittenAsJepsenWritesIt) {
  assign(0, {0, 1}, true);
  add(0, Type::kInvoke, {unanswered(0, 1), MicroOp{}});
  add(0, Type::kOk, {sent(0, 1, 4), MicroOp{.done = true, .polled = {{0, {{3, 7}, {4, 1}}}, {1, {{0, 2}}}}}});
  add(0, Type::kInfo, {unanswered(1, 3)});
  history.back().error = "timeout";
  history.back().at = VirtualTime::from_nanoseconds(17);
  subscribe(1, {0, 1});
  MicroOp anew = polled(1, {{5, 6}});
  anew.rebalanced = true;
  add(1, Type::kOk, {anew});
  EXPECT_EQ(to_edn(history),
            "{:index 0, :time 0, :type :ok, :process 0, :f :assign, :value [0 1], :seek-to-beginning? true}\n"
            "{:index 1, :time 0, :type :invoke, :process 0, :f :txn, :value [[:send 0 1] [:poll]]}\n"
            "{:index 2, :time 0, :type :ok, :process 0, :f :txn, "
            ":value [[:send 0 [4 1]] [:poll {0 [[3 7] [4 1]], 1 [[0 2]]}]]}\n"
            "{:index 3, :time 17, :type :info, :process 0, :f :send, :value [[:send 1 3]], :error :timeout}\n"
            "{:index 4, :time 0, :type :ok, :process 1, :f :subscribe, :value [0 1]}\n"
            "{:index 5, :time 0, :type :ok, :process 1, :f :poll, :value [[:poll {1 [[5 6]]}]], "
            ":rebalance-log [{:keys [1]}]}\n");
}

}  // namespace
}  // namespace chronik::sim::jepsen
