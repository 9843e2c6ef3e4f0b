// What is going to happen in a world, by virtual time. Events due at the same moment happen in the order in which they
// were asked for, which is itself determined by the seed.
//
// An event that is called off leaves no trace: it neither advances time nor enters the hash (rule S13).
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <vector>

#include "sim/virtual_time.h"

namespace chronik::sim {

struct EventId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  // 0: no event
  bool is_set() const { return generation != 0; }
};

class EventQueue {
 public:
  using Callback = absl::AnyInvocable<void()>;

  EventId add(VirtualTime at, Callback callback);
  // Does nothing where the event has happened or was called off already.
  void cancel(EventId id);
  bool empty() const { return live_ == 0; }
  std::size_t size() const { return live_; }
  // When the next event is due; never() without events.
  VirtualTime next();
  // Takes out the next event and returns what it does. Not empty.
  Callback take();

 private:
  struct Entry {
    VirtualTime at;
    std::uint64_t sequence;
    std::uint32_t slot;
    std::uint32_t generation;
  };
  struct Slot {
    Callback callback;
    std::uint32_t generation = 1;
  };
  static bool later(const Entry& a, const Entry& b) { return a.at != b.at ? a.at > b.at : a.sequence > b.sequence; }
  void drop_cancelled();
  void free_slot(std::uint32_t slot);

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t next_sequence_ = 0;
  std::size_t live_ = 0;
};

}  // namespace chronik::sim
