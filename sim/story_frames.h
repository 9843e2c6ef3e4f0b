// The messages of a story: frames are told apart in the bytes of a connection, followed to their arrival or loss, and
// in the end decoded into words: "Produce #17 -> ok" rather than "142 bytes".
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "core/base/slice.h"
#include "sim/story.h"

namespace chronik::sim {

// One connection. Side 0 has begun it.
class StreamStory {
 public:
  struct End {
    std::int32_t machine = -1;
    bool node = false;  // keeps data, and is no client
  };
  StreamStory(Story& story, const End& client, const End& server);

  void connected(bool accepted);
  void written(std::uint32_t from, ByteSpan bytes);
  void delivered(std::uint32_t from, std::size_t bytes);
  void held(std::uint32_t from);  // the way is blocked
  // Of what was written the last `unsent` bytes never arrive; by default nothing that is under way does.
  void lost(std::uint32_t from, std::string_view why, std::size_t unsent = SIZE_MAX);

 private:
  enum class Protocol : std::uint8_t { kUnknown, kKafka, kRaft, kNone };
  struct UnderWay {
    StoryId event = 0;
    std::uint64_t end = 0;  // in bytes of this direction; 0: not known yet
  };
  struct Direction {
    std::uint64_t written = 0;
    std::uint64_t delivered = 0;
    std::string begun;       // of a frame: what is not told yet
    std::uint64_t left = 0;  // of the frame that is being written
    std::deque<UnderWay> under_way;
  };
  struct Asked {
    StoryId event = 0;
    protocol::ApiKey api{};
    std::int16_t version = -1;
  };
  std::size_t take_head(std::uint32_t from, ByteSpan bytes);
  void begin_frame(std::uint32_t from);
  void name_request(std::uint32_t from, StoryEvent& event);
  StoryEvent& message(std::uint32_t from, StoryKind kind, std::size_t bytes);
  void follow(std::uint32_t from, StoryId event, std::uint64_t end);

  Story& story_;
  End ends_[2];
  StoryId connecting_ = 0;
  Protocol protocol_ = Protocol::kUnknown;
  Direction ways_[2];
  absl::btree_map<std::int32_t, Asked> asked_;  // by correlation id
};

// Puts what the frame of a message says into its words.
void describe_frame(StoryEvent& event);

}  // namespace chronik::sim
