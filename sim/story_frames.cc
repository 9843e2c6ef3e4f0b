#include "sim/story_frames.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "core/base/endian.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/errors.h"
#include "core/protocol/headers.h"
#include "core/raft/peer_message.h"

namespace chronik::sim {

namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kHeadBytes = 12;  // length, API key, version, correlation id
constexpr std::size_t kFrameKept = 64 * 1024;
constexpr std::size_t kAskedMost = 1'000;
constexpr std::int32_t kFrameMost = 100 * 1024 * 1024;

const std::uint8_t* frame_start(const std::string& text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

bool is_request(std::string_view head) {
  const auto* at = reinterpret_cast<const std::uint8_t*>(head.data());
  const auto* api = protocol::find_api(protocol::ApiKey{load_big<std::int16_t>(at + kLengthBytes)});
  const auto version = load_big<std::int16_t>(at + kLengthBytes + 2);
  return api != nullptr && api->advertised.min <= version && version <= api->advertised.max;
}

}  // namespace

// ---- frames in a stream ----

StreamStory::StreamStory(Story& story, const End& client, const End& server) : story_(story), ends_{client, server} {
  StoryEvent& event = message(0, StoryKind::kConnection, 0);
  event.text = "connects";
  connecting_ = event.id;
}

void StreamStory::connected(bool accepted) {
  story_.end(connecting_, accepted ? StoryEnd::kDone : StoryEnd::kFailed, accepted ? "accepted" : "refused");
}

StoryEvent& StreamStory::message(std::uint32_t from, StoryKind kind, std::size_t bytes) {
  StoryEvent& event = story_.begin(kind, {});
  if (event.machine != ends_[from].machine) {
    event.fiber.clear();  // pumped by somebody else's doing
  }
  event.machine = ends_[from].machine;
  event.to = ends_[1 - from].machine;
  event.bytes = bytes;
  return event;
}

void StreamStory::follow(std::uint32_t from, StoryId event, std::uint64_t end) {
  ways_[from].under_way.push_back({event, end});
}

void StreamStory::written(std::uint32_t from, ByteSpan bytes) {
  Direction& way = ways_[from];
  while (!bytes.empty()) {
    if (protocol_ == Protocol::kNone) {
      StoryEvent& event = message(from, StoryKind::kBytes, bytes.size());
      way.written += bytes.size();
      return follow(from, event.id, way.written);
    }
    if (way.left == 0) {
      bytes = bytes.subspan(take_head(from, bytes));
      continue;
    }
    const std::size_t n = std::min<std::size_t>(bytes.size(), way.left);
    if (StoryEvent* event = story_.find(way.under_way.empty() ? 0 : way.under_way.back().event);
        event != nullptr && event->frame.size() < kFrameKept) {
      event->frame.append(as_text(bytes.first(n)));
    }
    way.left -= n;
    way.written += n;
    bytes = bytes.subspan(n);
  }
}

// Gathers what tells a frame's protocol; returns how many of the bytes it took.
std::size_t StreamStory::take_head(std::uint32_t from, ByteSpan bytes) {
  Direction& way = ways_[from];
  const auto length = [&] { return load_big<std::int32_t>(frame_start(way.begun)); };
  // An answer may be shorter than a request's head.
  const auto wanted = [&] {
    return way.begun.size() < kLengthBytes
               ? kLengthBytes
               : kLengthBytes + std::min<std::size_t>(kHeadBytes - kLengthBytes, static_cast<std::size_t>(length()));
  };
  const std::size_t n = std::min(bytes.size(), wanted() - way.begun.size());
  way.begun.append(as_text(bytes.first(n)));
  way.written += n;
  if (way.begun.size() < kLengthBytes) {
    return n;
  }
  if (length() <= 0 || length() > kFrameMost) {
    protocol_ = Protocol::kNone;
  } else if (way.begun.size() < wanted()) {
    return n;
  }
  begin_frame(from);
  return n;
}

void StreamStory::begin_frame(std::uint32_t from) {
  Direction& way = ways_[from];
  const std::string head = std::exchange(way.begun, {});
  if (protocol_ == Protocol::kUnknown && from == 0) {
    protocol_ = head.size() == kHeadBytes && is_request(head) ? Protocol::kKafka
                : head[kLengthBytes] == 2                     ? Protocol::kRaft
                                                              : Protocol::kNone;
  }
  if (protocol_ == Protocol::kNone || protocol_ == Protocol::kUnknown) {
    protocol_ = Protocol::kNone;
    StoryEvent& event = message(from, StoryKind::kBytes, head.size());
    return follow(from, event.id, way.written);
  }
  const auto length = static_cast<std::uint64_t>(load_big<std::int32_t>(frame_start(head)));
  const bool between_nodes = ends_[0].node && ends_[1].node;
  StoryEvent& event = message(from,
                              protocol_ == Protocol::kRaft ? StoryKind::kRaft
                              : between_nodes              ? StoryKind::kPeer
                                                           : StoryKind::kRequest,
                              length + kLengthBytes);
  event.frame = head.substr(kLengthBytes);
  if (protocol_ == Protocol::kKafka) {
    name_request(from, event);
  }
  const std::uint64_t had = head.size() - kLengthBytes;
  way.left = length - std::min(length, had);
  follow(from, event.id, way.written + way.left);
}

void StreamStory::name_request(std::uint32_t from, StoryEvent& event) {
  const std::uint8_t* frame = frame_start(event.frame);
  if (from == 0 && event.frame.size() >= 8) {
    event.api = protocol::ApiKey{load_big<std::int16_t>(frame)};
    event.version = load_big<std::int16_t>(frame + 2);
    if (asked_.size() == kAskedMost) {
      asked_.erase(asked_.begin());  // never answered, as with acks=0
    }
    if (event.version >= 0) {
      asked_[load_big<std::int32_t>(frame + 4)] = {event.id, event.api, event.version};
    }
  } else if (from == 1 && event.frame.size() >= 4) {
    event.answer = true;
    if (const auto asked = asked_.find(load_big<std::int32_t>(frame)); asked != asked_.end()) {
      event.answers = asked->second.event;
      event.api = asked->second.api;
      event.version = asked->second.version;
      asked_.erase(asked);
    }
  }
}

void StreamStory::delivered(std::uint32_t from, std::size_t bytes) {
  Direction& way = ways_[from];
  way.delivered += bytes;
  while (!way.under_way.empty() && way.under_way.front().end <= way.delivered) {
    story_.end(way.under_way.front().event, StoryEnd::kDone);
    way.under_way.pop_front();
  }
}

void StreamStory::held(std::uint32_t from) {
  for (const UnderWay& one : ways_[from].under_way) {
    story_.hold(one.event);
  }
}

void StreamStory::lost(std::uint32_t from, std::string_view why, std::size_t unsent) {
  if (from == 0) {
    story_.end(connecting_, StoryEnd::kLost, why);
  }
  Direction& way = ways_[from];
  const std::uint64_t sent = way.written - std::min<std::uint64_t>(way.written, unsent);
  while (!way.under_way.empty() && (unsent == SIZE_MAX || way.under_way.back().end > sent)) {
    story_.end(way.under_way.back().event, StoryEnd::kLost, why);
    way.under_way.pop_back();
  }
}

// ---- what they say ----

namespace {

// Names of the errors in the text of a message, each once.
std::string errors_in(std::string_view text) {
  constexpr std::string_view kField = "ErrorCode=";
  std::vector<std::string_view> names;
  for (std::size_t at = text.find(kField); at != std::string_view::npos; at = text.find(kField, at + 1)) {
    std::int16_t code = 0;
    const char* number = text.data() + at + kField.size();
    std::from_chars(number, text.data() + text.size(), code);
    const std::string_view name = protocol::error_name(protocol::ErrorCode{code});
    if (code != 0 && std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  std::string all;
  for (const std::string_view name : names) {
    all += fmt::format("{}{}", all.empty() ? "" : ", ", name);
  }
  return all;
}

void describe_kafka(StoryEvent& event) {
  const bool answer = event.answer;
  const protocol::Api* api = protocol::find_api(event.api);
  const std::int32_t correlation = load_big<std::int32_t>(frame_start(event.frame) + (answer ? 0 : 4));
  const std::string name = fmt::format("{} #{}", api == nullptr ? "Unknown" : api->name, correlation);
  event.text = answer ? name + " -> answer" : name;
  const bool whole = event.frame.size() + kLengthBytes == event.bytes;
  if (api == nullptr || !whole) {
    event.detail += fmt::format("{}{} bytes, of which {} were kept", event.detail.empty() ? "" : "; ", event.bytes,
                                event.frame.size());
    return;
  }
  const Slice frame = Slice::copy_of(event.frame);
  Slice body;
  if (answer) {
    const auto received = protocol::decode_response_header(frame, event.api, event.version);
    body = received.ok() ? received->body : Slice();
  } else {
    const auto received = protocol::decode_request_header(frame);
    body = received.ok() ? received->body : Slice();
  }
  const StatusOr<std::string> says = (answer ? api->response() : api->request()).text(body, event.version);
  if (!says.ok()) {
    event.detail += fmt::format(" cannot be decoded: {}", std::string(says.status().message()));
    return;
  }
  if (answer) {
    const std::string errors = errors_in(*says);
    event.text = fmt::format("{} -> {}", name, errors.empty() ? "ok" : errors);
  }
  event.detail += (event.detail.empty() ? "" : "\n") + *says;
}

void describe_raft(StoryEvent& event) {
  const StatusOr<raft::PeerFrame> frame = raft::decode_peer_frame(as_bytes(event.frame));
  if (!frame.ok()) {
    event.text = fmt::format("raft, {} bytes", event.bytes);
    return;
  }
  const auto* message = std::get_if<raft::Message>(&frame->message);
  static constexpr const char* kNames[] = {
      "", "proposal", "read question", "read reply", "announcement", "sign of life", "introduction", "older copy"};
  if (message == nullptr) {
    const std::size_t which = frame->message.index();
    event.text = kNames[which];
    event.kind = std::holds_alternative<raft::SignOfLife>(frame->message) ? StoryKind::kHeartbeat : StoryKind::kRaft;
    return;
  }
  static constexpr const char* kBodies[] = {"vote request",  "vote answer",     "append",           "append answer",
                                            "snapshot part", "snapshot answer", "begin an election"};
  event.text = fmt::format("{}, term {}", kBodies[message->body.index()], message->term);
  if (const auto* append = std::get_if<raft::AppendRequest>(&message->body); append != nullptr) {
    if (append->entries.empty()) {
      event.text = fmt::format("heartbeat, term {}", message->term);
      event.kind = StoryKind::kHeartbeat;
    } else {
      event.text += fmt::format(", {} {}", append->entries.size(), append->entries.size() == 1 ? "entry" : "entries");
    }
  } else if (const auto* answer = std::get_if<raft::AppendResponse>(&message->body); answer != nullptr) {
    event.kind = answer->accepted ? StoryKind::kHeartbeat : StoryKind::kRaft;
    event.text += answer->accepted ? ": yes" : ": no";
  } else if (const auto* vote = std::get_if<raft::VoteResponse>(&message->body); vote != nullptr) {
    event.text += vote->granted ? ": yes" : ": no";
  }
  event.detail += (event.detail.empty() ? "" : "\n") + raft::describe(*message);
}

}  // namespace

void describe_frame(StoryEvent& event) {
  switch (event.kind) {
    case StoryKind::kRequest:
    case StoryKind::kPeer:
      if (event.version >= 0) {
        describe_kafka(event);
      } else {
        event.text = event.answer ? "an answer to an earlier request" : fmt::format("{} bytes", event.bytes);
      }
      break;
    case StoryKind::kRaft: describe_raft(event); break;
    case StoryKind::kBytes: event.text = fmt::format("{} bytes", event.bytes); break;
    default: break;
  }
}

}  // namespace chronik::sim
