// Which life of a directory comes after which, and what an older copy is told by (rule R15).
#include "core/raft/lives.h"

#include <gtest/gtest.h>

#include <string>

#include "core/raft/identity.h"
#include "tests/core/raft/raft_group.h"

namespace chronik::raft {
namespace {

using testing::member;

Uuid incarnation(std::uint64_t number) { return Uuid::from_random(77, number); }

// A start of member 1's directory with those before it.
Life life(std::int64_t start, std::uint64_t number, std::vector<Uuid> earlier, Term term = Term(0)) {
  return {.directory = member(1).directory,
          .start = start,
          .incarnation = incarnation(number),
          .earlier = std::move(earlier),
          .term = term};
}

// What speaks against hearing it where nothing else of the node is on the line; an older copy, if anything.
std::string judged(KnownLives& lives, const Life& life) {
  const LifeVerdict verdict = lives.judge(life, Rival::kNone);
  EXPECT_EQ(verdict.kind == LifeVerdict::Kind::kHeard, verdict.why.empty());
  EXPECT_NE(verdict.kind, LifeVerdict::Kind::kNotNow);
  return verdict.why;
}

Message from_one(Term term, decltype(Message::body) body) {
  return {.from = member(1), .to = member(2), .term = term, .body = std::move(body)};
}

TEST(KnownLives, TheNextStartIsTheOneThatNamesTheOneBefore) {
  KnownLives lives;
  EXPECT_EQ(judged(lives, life(2, 20, {incarnation(10)})), "");
  EXPECT_EQ(judged(lives, life(2, 20, {incarnation(10)})), "") << "the same again";
  EXPECT_EQ(judged(lives, life(4, 40, {incarnation(10), incarnation(20), incarnation(30)})), "") << "one went unheard";
  EXPECT_NE(judged(lives, life(3, 31, {incarnation(10), incarnation(20)})), "") << "a sibling of what went unheard";
}

TEST(KnownLives, ACopyIsOneHoweverOftenItIsStarted) {
  KnownLives lives;
  EXPECT_EQ(judged(lives, life(3, 30, {incarnation(10), incarnation(20)})), "");
  // The first two starts were backed up.
  EXPECT_NE(judged(lives, life(3, 31, {incarnation(10), incarnation(20)})), "") << "the same number";
  EXPECT_NE(judged(lives, life(4, 41, {incarnation(10), incarnation(20), incarnation(31)})), "");
  EXPECT_NE(judged(lives, life(5, 51, {incarnation(20), incarnation(31), incarnation(41)})), "");
  EXPECT_EQ(judged(lives, life(4, 40, {incarnation(20), incarnation(30)})), "") << "the real one goes on";
}

// Of which nobody can tell by their starts alone that they are two.
TEST(KnownLives, ACopyBesideItsOriginalIsHeardOnceThatIsSilentAndUntilItIsBack) {
  KnownLives lives;
  const Life original = life(2, 20, {incarnation(10)});
  const Life copy = life(3, 30, {incarnation(10), incarnation(20)});
  const auto kind = [&lives](const Life& of, Rival rival) { return lives.judge(of, rival).kind; };
  EXPECT_EQ(kind(original, Rival::kNone), LifeVerdict::Kind::kHeard);
  EXPECT_EQ(kind(copy, Rival::kSpeaks), LifeVerdict::Kind::kNotNow);
  EXPECT_EQ(kind(original, Rival::kSpeaks), LifeVerdict::Kind::kHeard);
  EXPECT_EQ(kind(copy, Rival::kOpen), LifeVerdict::Kind::kHeard) << "as the next start is, after a loss of power";
  EXPECT_EQ(kind(original, Rival::kOpen), LifeVerdict::Kind::kNotNow);
  EXPECT_EQ(kind(original, Rival::kNone), LifeVerdict::Kind::kHeard);
  EXPECT_EQ(kind(copy, Rival::kSpeaks), LifeVerdict::Kind::kNotNow);
}

TEST(KnownLives, WhereTheMemoryOfStartsEndsTheirNumberDecides) {
  KnownLives lives;
  EXPECT_EQ(judged(lives, life(7, 70, {})), "");
  EXPECT_NE(judged(lives, life(6, 61, {})), "");
  EXPECT_EQ(judged(lives, life(8, 80, {})), "") << "written by a version that kept no incarnations";
  EXPECT_EQ(judged(lives, life(30, 300, {incarnation(280), incarnation(290)})), "");
}

TEST(KnownLives, AnotherDiskOfTheNodeIsAnother) {
  KnownLives lives;
  EXPECT_EQ(judged(lives, life(7, 70, {})), "");
  Life other = life(1, 71, {});
  other.directory = member(2).directory;
  EXPECT_EQ(judged(lives, other), "");
}

TEST(KnownLives, WhoHasForgottenAVoteIsACopyOfTheLatestLife) {
  KnownLives lives;
  const Life first = life(2, 20, {}, Term(5));
  EXPECT_EQ(judged(lives, first), "");
  EXPECT_EQ(lives.note(first, from_one(Term(7), VoteResponse{.granted = true, .pre_vote = true})), "");
  EXPECT_EQ(judged(lives, life(3, 30, {incarnation(20)}, Term(5))), "") << "a pre-vote promises nothing";
  const Life third = life(4, 40, {incarnation(20), incarnation(30)}, Term(6));
  EXPECT_EQ(judged(lives, third), "");
  EXPECT_EQ(lives.note(third, from_one(Term(8), VoteResponse{.granted = true})), "");
  EXPECT_NE(judged(lives, life(5, 50, {incarnation(30), incarnation(40)}, Term(7))), "");
  EXPECT_EQ(judged(lives, life(5, 51, {incarnation(30), incarnation(40)}, Term(8))), "");
}

TEST(KnownLives, SoIsWhoHasForgottenEntriesThatItSaidToBeDurable) {
  KnownLives lives;
  const Life first = life(2, 20, {});
  EXPECT_EQ(judged(lives, first), "");
  const auto says_durable = [](std::int64_t index) {
    return AppendResponse{.accepted = true, .agreed = LogIndex(index), .match = LogIndex(index)};
  };
  const AppendResponse lacks{.accepted = false, .previous = LogIndex(40), .hint = LogIndex(30)};
  EXPECT_EQ(lives.note(first, from_one(Term(5), says_durable(40))), "");
  EXPECT_EQ(lives.note(first, from_one(Term(5), lacks)), "") << "of the same life, and late";
  const Life second = life(3, 30, {incarnation(20)});
  EXPECT_EQ(judged(lives, second), "");
  EXPECT_EQ(lives.note(second, from_one(Term(6), lacks)), "") << "another leader may have cut it";
  EXPECT_NE(lives.note(second, from_one(Term(5), lacks)), "");
  EXPECT_NE(judged(lives, second), "") << "and nothing of it is heard any more";
}

}  // namespace
}  // namespace chronik::raft
