// Which life of a data directory somebody speaks for, and whether it is one that others have seen go on (rule R15).
//
// Each start of a directory draws an incarnation, and keeps those of the starts before it. So whoever knows a life of a
// directory can tell whether another one has come after it: that one names it among its own. A copy, or a backup that
// was brought back, does not, however often it is started. A backup that was taken while the latest life ran names it
// all the same; it is known by what it has forgotten: a vote that was counted, entries that were said to be durable.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/uuid.h"
#include "core/raft/message.h"

namespace chronik::raft {

struct Identity;

struct Life {
  DirectoryId directory;
  std::int64_t start = 0;  // 1 for the directory's first
  Uuid incarnation;
  std::vector<Uuid> earlier = {};  // incarnations of the starts just before it, as many as are kept, the latest last
  Term term = Term(0);             // that its store knew when it started
  friend bool operator==(const Life&, const Life&) = default;
  static void fields(auto& op, auto& m) {
    op(m.directory);
    op(m.start);
    op(m.incarnation);
    op(m.earlier);
    op(m.term);
  }
};
Life life_of(const Identity& identity, Term term);
// False: no start says that of itself.
bool may_be_life(const Life& life);

// Whether `life` is that one, or comes after it, as far as its memory goes.
bool continues(const Life& life, const KnownStart& known);

// Whether another life of the same node is on the line, too.
enum class Rival : std::uint8_t {
  kNone,
  kOpen,    // a connection of it has not ended
  kSpeaks,  // and it has said something just now
};

struct LifeVerdict {
  enum class Kind : std::uint8_t {
    kHeard,
    kNotNow,     // two processes go on with one directory: the other one is heard
    kOlderCopy,  // and never will be
  };
  Kind kind = Kind::kHeard;
  std::string why = {};  // for people, where it is not heard
};

// What one node has heard of the others' lives. In memory: what outlasts it is in the metadata, with the registrations.
class KnownLives {
 public:
  // Heard: as far as is known it is the latest of its directory, and is taken for that from now on. A copy that was
  // made while its original ran comes after it as the next start would, so the life before it is heard for as long as
  // it speaks, and again when the copy has gone.
  LifeVerdict judge(const Life& life, Rival rival);
  // What `life`, which was judged so, says: empty, or what it has forgotten.
  std::string note(const Life& life, const Message& message);

 private:
  static constexpr std::size_t kDirectoriesMax = 64;
  struct Known {
    Life latest;
    Term voted = Term(0);  // the latest in which it gave this node its vote
    Term matched_in = Term(0);
    LogIndex matched{0};  // what it has said, to the leader of that term, to be durable
    Uuid matched_by;      // incarnation
    Uuid forgetful;       // an incarnation that has forgotten something
  };
  std::map<DirectoryId, Known> known_;
};

}  // namespace chronik::raft
