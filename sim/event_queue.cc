#include "sim/event_queue.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace chronik::sim {

EventId EventQueue::add(VirtualTime at, Callback callback) {
  std::uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slots_[slot].callback = std::move(callback);
  heap_.push_back({at, next_sequence_++, slot, slots_[slot].generation});
  std::push_heap(heap_.begin(), heap_.end(), later);
  ++live_;
  return {slot, slots_[slot].generation};
}

void EventQueue::free_slot(std::uint32_t slot) {
  Slot& freed = slots_[slot];
  freed.callback = nullptr;
  if (++freed.generation == 0) {
    freed.generation = 1;
  }
  free_.push_back(slot);
  --live_;
}

void EventQueue::cancel(EventId id) {
  if (id.is_set() && slots_[id.slot].generation == id.generation) {
    // The entry stays in the heap and is known as dead by its generation.
    const Callback dead = std::move(slots_[id.slot].callback);
    free_slot(id.slot);
  }
}

void EventQueue::drop_cancelled() {
  while (!heap_.empty() && slots_[heap_.front().slot].generation != heap_.front().generation) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
  }
}

VirtualTime EventQueue::next() {
  drop_cancelled();
  return heap_.empty() ? VirtualTime::never() : heap_.front().at;
}

EventQueue::Callback EventQueue::take() {
  drop_cancelled();
  CHECK(!heap_.empty());
  const std::uint32_t slot = heap_.front().slot;
  std::pop_heap(heap_.begin(), heap_.end(), later);
  heap_.pop_back();
  Callback callback = std::move(slots_[slot].callback);
  free_slot(slot);
  return callback;
}

}  // namespace chronik::sim
