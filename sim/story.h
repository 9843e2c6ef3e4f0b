// The story of a run, for people: who did what when, which message arrived, what struck, who waits for whom in the end.
//
// A World that is given one tells it what happens, where it happens; an ordinary run has none, and pays a load and a
// branch. A story decides nothing, draws nothing and is no part of the fingerprint: a run with it is the run without.
// Bounded: of each class the latest events are kept, so that the few that explain the many (deaths, faults, roles, what
// clients did) outlast the messages and the disk's operations of the same time.
// Lifetime: outlives the world that tells it; close() before the world ends what runs.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fiber/wait_graph.h"
#include "core/protocol/api_key.h"
#include "inspect/fiber_stacks.h"
#include "sim/virtual_time.h"

namespace chronik::sim {

struct Finding;
struct PlanFault;
class Machine;
class World;

enum class StoryKind : std::uint8_t {
  kFinding,
  kLife,        // of a process: its start and its end
  kFault,       // one that really struck
  kOperation,   // of a client, as its scenario tells it
  kState,       // of a replica: its role, who is in sync, what it cut
  kRequest,     // Kafka's protocol between a client and a node, both ways
  kPeer,        // the same between nodes
  kRaft,        // of the metadata group
  kHeartbeat,   // of it: without entries, and what is answered
  kConnection,  // begun
  kBytes,       // of no protocol that is known
  kDisk,
  kStore,
  kProgress,  // appended batches, high watermarks
  kLog,       // lines of the programs
};
inline constexpr std::size_t kStoryKinds = 15;
const char* story_kind_name(StoryKind kind);

enum class StoryEnd : std::uint8_t { kInstant, kUnderWay, kDone, kFailed, kLost };

// Names an event for as long as it is kept, and afterwards nothing. 0: none.
using StoryId = std::uint64_t;

struct StoryEvent {
  StoryId id = 0;
  std::uint64_t order = 0;  // of being told
  StoryKind kind = StoryKind::kLog;
  StoryEnd end = StoryEnd::kInstant;
  VirtualTime at;
  VirtualTime until;                        // of what takes time: its end; of a fault: when it is undone
  VirtualTime held = VirtualTime::never();  // when a cut first held it up
  std::int32_t machine = -1;                // its index; -1: the world
  std::int32_t to = -1;                     // of a message or a partition: the other one
  std::string fiber = {};
  std::string text = {};    // goes on behind the machine's name: "becomes the leader of …"
  std::string detail = {};  // the rest
  // What it is about, in words that a finding uses, ways apart by '|', the words of one way by '&'.
  std::string about = {};
  std::string mark = {};   // bytes by which messages are known that carry what this is about
  bool answer = false;     // of a message: to a request
  StoryId answers = 0;     // to this one
  std::string frame = {};  // of a message: its first bytes, without the length
  std::size_t bytes = 0;   // of the whole message
  protocol::ApiKey api{};
  std::int16_t version = -1;
};

// The wait-for graph as of the finding, or of the end.
struct StoryWaits {
  VirtualTime at;
  std::vector<fiber::FiberWait> waits = {};
  std::vector<std::vector<std::vector<std::size_t>>> providers = {};  // of each wait and key
  std::vector<std::size_t> deadlocked = {};
  std::vector<inspect::FiberStack> stacks = {};  // none where a fiber ran
};

class Story {
 public:
  // events_most: of messages, operations of disks and the like.
  explicit Story(std::size_t events_most) : events_most_(events_most) {}
  Story(const Story&) = delete;
  Story& operator=(const Story&) = delete;

  void open(World& world) { world_ = &world; }
  // Nothing is told any more; what is under way stays so. `all` machines are known from now on.
  void close();

  // ---- what happens ----
  // An event of who runs now. The reference is good until the next is told.
  StoryEvent& tell(StoryKind kind, std::string text);
  StoryEvent& tell_of(const Machine& machine, StoryKind kind, std::string text);
  // Something that takes time: ended by end(), or never.
  StoryEvent& begin(StoryKind kind, std::string text);
  void end(StoryId id, StoryEnd how, std::string_view detail = {});
  void hold(StoryId id);         // a cut is in its way
  StoryEvent* find(StoryId id);  // null: no longer kept
  void fault(std::string_view kind, std::uint64_t target);
  // From here to null: what strikes is this fault of the plan.
  void strikes(const PlanFault* fault) { striking_ = fault; }
  void healed();
  void finding(const Finding& finding);
  void look_at_waits();

  // ---- the whole, once closed ----
  struct Who {
    std::string name;
    bool node = false;  // keeps data, and is no client
  };
  const std::vector<Who>& machines() const { return machines_; }
  const StoryWaits& waits() const { return waits_; }
  VirtualTime ended() const { return ended_; }
  std::uint64_t told() const { return told_; }  // events so far
  std::uint64_t forgotten() const { return forgotten_; }
  // In the order of time, with messages decoded (story_frames.h).
  std::vector<StoryEvent> events() const;

 private:
  struct Kept {
    std::deque<StoryEvent> events;
    std::uint64_t dropped = 0;
  };
  static std::size_t class_of(StoryKind kind);
  StoryEvent& add(StoryKind kind, std::string text);
  void come_from_ambient(StoryEvent& event) const;

  static constexpr std::size_t kClasses = 3;
  World* world_ = nullptr;
  std::size_t events_most_;
  Kept kept_[kClasses];
  StoryEvent unheard_;  // what is told of after close()
  std::uint64_t told_ = 0;
  std::uint64_t forgotten_ = 0;
  const PlanFault* striking_ = nullptr;
  std::optional<VirtualTime> healed_;
  std::vector<Who> machines_;
  StoryWaits waits_;
  VirtualTime ended_;
};

}  // namespace chronik::sim
