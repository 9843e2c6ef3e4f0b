#include "core/raft/lives.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/raft/identity.h"

namespace chronik::raft {

namespace {

bool comes_before(const Life& life, const Life& latest) {
  return std::find(latest.earlier.begin(), latest.earlier.end(), life.incarnation) != latest.earlier.end();
}

}  // namespace

Life life_of(const Identity& identity, Term term) {
  return {.directory = identity.directory,
          .start = identity.start_counter,
          .incarnation = identity.incarnation,
          .earlier = identity.earlier,
          .term = term};
}

bool may_be_life(const Life& life) { return life.start >= 1 && life.earlier.size() <= kEarlierStartsKept; }

bool continues(const Life& life, const KnownStart& known) {
  if (life.incarnation == known.incarnation) {
    return true;
  }
  const auto back = life.start - known.start;
  if (back <= 0) {
    return false;
  }
  // Further back than it remembers, or before incarnations were kept, the number of the start has to do.
  const auto kept = static_cast<std::int64_t>(life.earlier.size());
  return back > kept || life.earlier[static_cast<std::size_t>(kept - back)] == known.incarnation;
}

LifeVerdict KnownLives::judge(const Life& life, Rival rival) {
  using Kind = LifeVerdict::Kind;
  if (!known_.contains(life.directory) && known_.size() >= kDirectoriesMax) {
    return {};  // so many disks are not lost in one life of a node: somebody makes them up
  }
  Known& known = known_.try_emplace(life.directory, Known{.latest = life}).first->second;
  if (life.incarnation == known.forgetful) {
    return {Kind::kOlderCopy, "it has forgotten what it had said to be durable"};
  }
  if (life.incarnation == known.latest.incarnation) {
    return {};
  }
  if (comes_before(life, known.latest)) {
    if (rival != Rival::kNone) {
      return {Kind::kNotNow, fmt::format("start {} of the same data directory is heard", known.latest.start)};
    }
  } else if (!continues(life, {known.latest.start, known.latest.incarnation})) {
    return {Kind::kOlderCopy, fmt::format("its start {} is known, and this is start {}, which does not come after that",
                                          known.latest.start, life.start)};
  } else if (life.term < known.voted) {
    return {Kind::kOlderCopy,
            fmt::format("it has voted in term {}, and knows of no term after {}", known.voted, life.term)};
  } else if (rival == Rival::kSpeaks) {
    return {Kind::kNotNow, fmt::format("start {} of the same data directory still speaks", known.latest.start)};
  }
  known.latest = life;
  return {};
}

std::string KnownLives::note(const Life& life, const Message& message) {
  const auto found = known_.find(life.directory);
  if (found == known_.end() || message.from.directory != life.directory) {
    return {};
  }
  Known& known = found->second;
  if (const auto* vote = std::get_if<VoteResponse>(&message.body);
      vote != nullptr && vote->granted && !vote->pre_vote) {
    known.voted = std::max(known.voted, message.term);
  }
  const auto* append = std::get_if<AppendResponse>(&message.body);
  if (append == nullptr) {
    return {};
  }
  if (append->accepted) {
    if (message.term > known.matched_in || (message.term == known.matched_in && append->match >= known.matched)) {
      known.matched_in = message.term;
      known.matched = append->match;
      known.matched_by = life.incarnation;
    }
    return {};
  }
  // Within one life an answer may come late, over an earlier connection.
  const bool forgot =
      message.term == known.matched_in && append->hint < known.matched && life.incarnation != known.matched_by;
  if (!forgot) {
    return {};
  }
  known.forgetful = life.incarnation;
  return fmt::format("it has said that entry {} is durable, and has nothing after entry {} of that log", known.matched,
                     append->hint);
}

}  // namespace chronik::raft
