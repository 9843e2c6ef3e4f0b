#include "sim/story_trace.h"

#include <absl/container/btree_map.h>
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/fiber/wait_report.h"

namespace chronik::sim {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kArgumentMost = 2'000;
constexpr std::size_t kTraceNameMost = 120;
constexpr Duration kArrivalLasts = Duration::microseconds(1);  // an arrow ends at something that has a length

// Where something stands below its machine, from the top: what befell it as a whole, then its fibers, then what arrived
// there or was done by no fiber.
struct Track {
  std::size_t order;
  std::string name;
};
constexpr std::size_t kFirstFiber = 100;        // below all kinds that are told of the machine
constexpr std::size_t kFirstArrival = 100'000;  // and above all other kinds; no story has as many fibers

bool tells_of_machine(StoryKind kind) {
  return kind == StoryKind::kFinding || kind == StoryKind::kLife || kind == StoryKind::kFault ||
         kind == StoryKind::kState;
}

Track track_of(StoryKind kind) {
  switch (kind) {
    case StoryKind::kFinding: return {0, "finding"};
    case StoryKind::kLife: return {1, "life"};
    case StoryKind::kFault: return {2, "faults"};
    case StoryKind::kOperation: return {3, "operations"};
    case StoryKind::kState: return {4, "replicas"};
    case StoryKind::kRequest: return {5, "requests"};
    case StoryKind::kPeer: return {6, "between nodes"};
    case StoryKind::kRaft:
    case StoryKind::kHeartbeat: return {7, "Raft"};
    case StoryKind::kConnection:
    case StoryKind::kBytes: return {8, "connections"};
    case StoryKind::kDisk: return {9, "disk"};
    case StoryKind::kStore: return {10, "store"};
    case StoryKind::kProgress: return {11, "progress"};
    case StoryKind::kLog: return {12, "log"};
  }
  UNREACHABLE("a kind of a story's event");
}

std::int32_t machine_at(const Story& story, std::string_view place) {
  const std::string_view name = place.substr(0, place.rfind('#'));
  const auto found = std::find_if(story.machines().begin(), story.machines().end(),
                                  [name](const Story::Who& who) { return who.name == name; });
  return found == story.machines().end() ? -1 : static_cast<std::int32_t>(found - story.machines().begin());
}

double microseconds(VirtualTime time) { return static_cast<double>(time.nanoseconds()) / 1000; }

bool crosses(const StoryEvent& event) {
  return event.to >= 0 && event.to != event.machine && event.end == StoryEnd::kDone && event.kind != StoryKind::kFault;
}

class TraceWriter {
 public:
  explicit TraceWriter(const Story& story) : story_(story) {
    name_process(-1, "the world");
    for (std::size_t i = 0; i < story.machines().size(); ++i) {
      name_process(static_cast<std::int32_t>(i), story.machines()[i].name);
    }
  }

  void write(const std::vector<StoryEvent>& events) {
    std::vector<Piece> pieces;
    for (const StoryEvent& event : events) {
      const VirtualTime until = event.end == StoryEnd::kInstant    ? event.at
                                : event.end == StoryEnd::kUnderWay ? story_.ended()
                                                                   : event.until;
      pieces.push_back({.event = &event, .machine = event.machine, .from = event.at, .until = until});
      if (crosses(event)) {
        pieces.push_back({.event = &event,
                          .machine = event.to,
                          .from = event.until,
                          .until = event.until + kArrivalLasts,
                          .arrival = true});
      }
    }
    const StoryWaits& waits = story_.waits();
    for (std::size_t i = 0; i < waits.waits.size(); ++i) {
      const fiber::FiberWait& wait = waits.waits[i];
      if (wait.waiting) {
        const Duration before = std::min(wait.waited, waits.at - VirtualTime::zero());
        const VirtualTime since = VirtualTime::zero() + (waits.at - VirtualTime::zero() - before);
        pieces.push_back({.wait = &wait, .machine = machine_at(story_, wait.place), .from = since, .until = waits.at});
      }
    }
    std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.from < b.from; });
    for (const Piece& piece : pieces) {
      if (piece.event == nullptr) {
        write_wait(piece);
      } else if (piece.arrival) {
        write_arrival(piece);
      } else {
        write_event(piece);
      }
    }
  }

  std::string whole(const StoryRun& run) {
    const Json json = {{"displayTimeUnit", "ns"},
                       {"otherData",
                        {{"scenario", run.scenario.name()},
                         {"seed", std::to_string(run.plan.seed)},
                         {"replay", run.replay},
                         {"forgotten", std::to_string(story_.forgotten())}}},
                       {"traceEvents", std::move(events_)}};
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }

 private:
  // A lane holds one thing at a time: what overlaps stands in the next one of its track.
  using Lanes = std::vector<VirtualTime>;  // when each is free again

  // What is to be drawn: an event, the arrival of a message, or what a fiber waits for in the end.
  struct Piece {
    const StoryEvent* event = nullptr;
    const fiber::FiberWait* wait = nullptr;
    std::int32_t machine;
    VirtualTime from;
    VirtualTime until;
    bool arrival = false;
  };

  static std::int32_t process_of(std::int32_t machine) { return machine + 2; }

  static std::string name_of(const StoryEvent& event) {
    const std::size_t line = event.text.find('\n');
    return event.text.substr(0, std::min(line, kTraceNameMost));
  }

  static Json arguments_of(const StoryEvent& event) {
    static constexpr const char* kEnds[] = {"instant", "under way", "done", "failed", "lost"};
    Json json = Json::object();
    if (event.end != StoryEnd::kInstant) {
      json["end"] = kEnds[static_cast<std::size_t>(event.end)];
    }
    if (!event.fiber.empty()) {
      json["fiber"] = event.fiber;
    }
    if (!event.detail.empty()) {
      json["detail"] = event.detail.substr(0, kArgumentMost);
    }
    if (event.bytes != 0) {
      json["bytes"] = event.bytes;
    }
    return json;
  }

  void name_process(std::int32_t machine, const std::string& name) {
    events_.push_back(
        {{"ph", "M"}, {"name", "process_name"}, {"pid", process_of(machine)}, {"args", {{"name", name}}}});
    events_.push_back({{"ph", "M"},
                       {"name", "process_sort_index"},
                       {"pid", process_of(machine)},
                       {"args", {{"sort_index", process_of(machine)}}}});
  }

  Track track_for(const Piece& piece) {
    const bool of_fiber =
        piece.event == nullptr ||
        (!piece.arrival && piece.machine >= 0 && !piece.event->fiber.empty() && !tells_of_machine(piece.event->kind));
    if (!of_fiber) {
      Track track = track_of(piece.event->kind);
      track.order += tells_of_machine(piece.event->kind) ? 0 : kFirstArrival;
      return track;
    }
    const std::string& path = piece.event == nullptr ? piece.wait->path : piece.event->fiber;
    const std::size_t next = kFirstFiber + fibers_.size();
    return {fibers_.emplace(std::pair(piece.machine, path), next).first->second, path};
  }

  void name_lane(std::int32_t machine, std::size_t number, const std::string& name) {
    events_.push_back({{"ph", "M"},
                       {"name", "thread_name"},
                       {"pid", process_of(machine)},
                       {"tid", number},
                       {"args", {{"name", name}}}});
    events_.push_back({{"ph", "M"},
                       {"name", "thread_sort_index"},
                       {"pid", process_of(machine)},
                       {"tid", number},
                       {"args", {{"sort_index", number}}}});
  }

  // Its machine, its lane and its time.
  Json place(const Piece& piece) {
    constexpr std::size_t kLanesMost = 1000;  // of a track; more overlap in the last
    const Track track = track_for(piece);
    Lanes& lanes = lanes_[{piece.machine, track.order}];
    std::size_t lane = 0;
    while (lane < lanes.size() && lane + 1 < kLanesMost && lanes[lane] > piece.from) {
      ++lane;
    }
    const std::size_t number = track.order * kLanesMost + lane + 1;
    if (lane == lanes.size()) {
      lanes.push_back(piece.until);
      name_lane(piece.machine, number, lane == 0 ? track.name : fmt::format("{} {}", track.name, lane + 1));
    }
    lanes[lane] = std::max(lanes[lane], piece.until);
    return {{"pid", process_of(piece.machine)}, {"tid", number}, {"ts", microseconds(piece.from)}};
  }

  void write_event(const Piece& piece) {
    const StoryEvent& event = *piece.event;
    Json json = place(piece);
    if (crosses(event)) {
      departures_.emplace(event.order, json);
    }
    json["name"] = name_of(event);
    json["cat"] = story_kind_name(event.kind);
    json["args"] = arguments_of(event);
    if (event.end == StoryEnd::kInstant) {
      json["ph"] = "i";
      json["s"] = event.kind == StoryKind::kFinding ? "g" : "t";
    } else {
      json["ph"] = "X";
      json["dur"] = microseconds(piece.until) - microseconds(piece.from);
    }
    events_.push_back(std::move(json));
  }

  void write_wait(const Piece& piece) {
    const fiber::FiberWait& wait = *piece.wait;
    Json json = place(piece);
    json.update({{"ph", "X"},
                 {"name", "waits for " + fiber::describe_wait(wait)},
                 {"cat", "wait"},
                 {"dur", microseconds(piece.until) - microseconds(piece.from)},
                 {"args", {{"shard", wait.place}}}});
    events_.push_back(std::move(json));
  }

  void write_arrival(const Piece& piece) {
    const StoryEvent& event = *piece.event;
    const Json where = place(piece);
    Json arrival = where;
    arrival.update({{"ph", "X"},
                    {"name", name_of(event)},
                    {"cat", story_kind_name(event.kind)},
                    {"dur", static_cast<double>(kArrivalLasts.nanoseconds()) / 1000}});
    events_.push_back(std::move(arrival));
    Json out = departures_.at(event.order);
    out.update({{"ph", "s"}, {"name", "message"}, {"cat", "message"}, {"id", event.order}});
    events_.push_back(std::move(out));
    Json in = where;
    in.update({{"ph", "f"}, {"bp", "e"}, {"name", "message"}, {"cat", "message"}, {"id", event.order}});
    events_.push_back(std::move(in));
  }

  const Story& story_;
  Json events_ = Json::array();
  absl::btree_map<std::pair<std::int32_t, std::size_t>, Lanes> lanes_;
  absl::btree_map<std::pair<std::int32_t, std::string>, std::size_t> fibers_;  // their tracks, by machine and path
  absl::btree_map<std::uint64_t, Json> departures_;  // where messages that arrive have left from, by StoryEvent::order
};

}  // namespace

std::string story_trace(const Story& story, const StoryRun& run) {
  TraceWriter writer(story);
  const std::vector<StoryEvent> events = story.events();
  writer.write(events);
  return writer.whole(run);
}

}  // namespace chronik::sim
