// Work that many may ask for and one fiber does: all who ask learn how it ended (rule S8).
//
// It runs in a fiber of its own, with deadlines of its own. What it does to files must not be cut off because whoever
// asked first has lost patience, or its connection; an asker that leaves early leaves the others alone. What has ended
// is forgotten: who asks later begins anew.
#pragma once

#include <utility>

#include "core/base/counted.h"
#include "core/fiber/scope.h"

namespace chronik::fiber {

class SingleFlight {
 public:
  // key: names the wait, and no other.
  explicit SingleFlight(const WaitKey& key) : key_(key) {}

  // Begins `work`, a callable that returns a Status, unless it is under way, and waits for its outcome. The work keeps
  // alive what it uses, this object too.
  template <typename Work>
  Status run(FiberScope& scope, FiberName name, const Deadline& deadline, Work work) {
    if (!flight_) {
      flight_ = Ref<Flight>::make();
      scope.spawn(name, [this, work = std::move(work)]() mutable {
        const Provides provides(key_);
        land(work());
      });
    }
    const Ref<Flight> flight = flight_;  // the next one may be under way before this fiber runs again
    return wait(*flight, deadline);
  }
  // Waits until nothing is under way, however it ends.
  Status settle(const Deadline& deadline) {
    while (flight_) {
      const Ref<Flight> flight = flight_;
      Status outcome = wait(*flight, deadline);
      if (!flight->landed) {
        return outcome;
      }
    }
    return ok();
  }
  bool under_way() const { return static_cast<bool>(flight_); }

 private:
  struct Flight : Counted {
    bool landed = false;
    Status outcome;
    Event ended;
  };

  Status wait(Flight& flight, const Deadline& deadline) const {
    while (!flight.landed) {
      RETURN_IF_ERROR(flight.ended.wait(key_, deadline));
    }
    return flight.outcome;
  }
  void land(Status outcome) {
    const Ref<Flight> flight = std::exchange(flight_, Ref<Flight>());
    flight->landed = true;
    flight->outcome = std::move(outcome);
    flight->ended.notify_all();
  }

  WaitKey key_;
  Ref<Flight> flight_;
};

}  // namespace chronik::fiber
