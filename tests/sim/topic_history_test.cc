// Histories of creations and deletions that can have been, and such that cannot.
#include "sim/topic_history.h"

#include <gtest/gtest.h>

#include <string>

namespace chronik::sim::topic_history_test {
namespace {

using Outcome = TopicHistory::Outcome;
using Verb = TopicHistory::Verb;

struct History {
  TopicHistory topics;

  void one(Verb verb, Outcome outcome) { topics.answer(topics.ask("a", verb), outcome); }
  bool explained(bool there_in_the_end) const {
    return topics.judge([there_in_the_end](const std::string&) { return there_in_the_end; }).empty();
  }
};

TEST(TopicHistoryTest, OneAfterTheOther) {
  History history;
  history.one(Verb::kDelete, Outcome::kRefused);
  history.one(Verb::kCreate, Outcome::kDone);
  history.one(Verb::kCreate, Outcome::kRefused);
  EXPECT_TRUE(history.explained(true));
  EXPECT_FALSE(history.explained(false));
  history.one(Verb::kCreate, Outcome::kDone);
  EXPECT_FALSE(history.explained(true)) << "made twice";
}

TEST(TopicHistoryTest, TwoAtATimeTakeEffectInEitherOrder) {
  History history;
  const auto creation = history.topics.ask("a", Verb::kCreate);
  const auto deletion = history.topics.ask("a", Verb::kDelete);
  history.topics.answer(deletion, Outcome::kDone);
  history.topics.answer(creation, Outcome::kDone);
  EXPECT_TRUE(history.explained(false));
  EXPECT_FALSE(history.explained(true)) << "what was deleted had been made before";
}

TEST(TopicHistoryTest, OneOfTwoIsRefused) {
  History history;
  const auto first = history.topics.ask("a", Verb::kCreate);
  const auto second = history.topics.ask("a", Verb::kCreate);
  history.topics.answer(first, Outcome::kRefused);
  history.topics.answer(second, Outcome::kDone);
  EXPECT_TRUE(history.explained(true));
}

TEST(TopicHistoryTest, BothOfTwoCannotBeRefused) {
  History history;
  const auto first = history.topics.ask("a", Verb::kCreate);
  const auto second = history.topics.ask("a", Verb::kCreate);
  history.topics.answer(first, Outcome::kRefused);
  history.topics.answer(second, Outcome::kRefused);
  EXPECT_FALSE(history.explained(true));
}

TEST(TopicHistoryTest, WithoutAnAnswerItTakesEffectOnceAtAnyLaterTime) {
  History history;
  history.one(Verb::kCreate, Outcome::kUnknown);
  history.one(Verb::kDelete, Outcome::kRefused);
  EXPECT_EQ(history.topics.unknown("a"), 1u);
  EXPECT_TRUE(history.explained(true)) << "late";
  EXPECT_TRUE(history.explained(false)) << "never";
  history.one(Verb::kDelete, Outcome::kDone);
  EXPECT_TRUE(history.explained(false));
  EXPECT_FALSE(history.explained(true)) << "twice";
  history.one(Verb::kDelete, Outcome::kDone);
  EXPECT_FALSE(history.explained(false)) << "twice";
}

TEST(TopicHistoryTest, NotBeforeItWasAskedFor) {
  History history;
  history.one(Verb::kCreate, Outcome::kRefused);
  history.one(Verb::kCreate, Outcome::kUnknown);
  EXPECT_FALSE(history.explained(true));
}

}  // namespace
}  // namespace chronik::sim::topic_history_test
