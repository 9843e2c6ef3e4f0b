// Cancellation: a source that says "stop waiting", once and for good, to every wait that listens (rule S7).
//
// Sources form a tree: cancelling a connection cancels its requests. A source must outlive its children and listeners.
#pragma once

#include "core/base/intrusive_list.h"

namespace chronik {

// Somebody to be told. on_cancel() must not suspend, and may unlink only itself.
class CancelListener : public ListHook<struct CancelListenerTag> {
 public:
  virtual ~CancelListener() = default;
  virtual void on_cancel() = 0;
};

class CancelSource final : private CancelListener {
 public:
  CancelSource() = default;                      // a root
  explicit CancelSource(CancelSource& parent) {  // cancelled with its parent
    cancelled_ = parent.cancelled_;
    if (!cancelled_) {
      parent.listeners_.push_back(*this);
    }
  }
  ~CancelSource() override {
    listeners_.for_each([](CancelListener& listener) { listener.unlink(); });
  }
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  bool cancelled() const { return cancelled_; }

  // Tells every listener, oldest first. A second call does nothing.
  void cancel() {
    if (cancelled_) {
      return;
    }
    cancelled_ = true;
    while (!listeners_.empty()) {
      listeners_.pop_front().on_cancel();
    }
  }

  // Adds a listener. Must not be called once cancelled: check first.
  void listen(CancelListener& listener) {
    CHECK(!cancelled_);
    listeners_.push_back(listener);
  }

 private:
  void on_cancel() override { cancel(); }

  bool cancelled_ = false;
  IntrusiveList<CancelListener, CancelListenerTag> listeners_;
};

}  // namespace chronik
