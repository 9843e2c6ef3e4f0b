// Exclusion that may be held across I/O (rule S8): first come, first served, with a named holder in the wait-for graph.
//
// There is no mutex in core: code that does not suspend needs none. There are two uses: the files of a log
// (core/log/stored_log.h) and blocks of producer ids (core/broker/producer_ids.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/fiber/wait.h"

namespace chronik::fiber {

class Turnstile final : private WaitDetail {
 public:
  // name: a literal; number: unique among turnstiles that one fiber may hold together, for the graph and the order
  // check.
  Turnstile(const char* name, std::uint64_t number) : name_(name), key_{WaitKind::kTurnstile, number, 0, 0} {}
  Turnstile(const Turnstile&) = delete;
  Turnstile& operator=(const Turnstile&) = delete;

  // Being inside. Leaving is destroying it.
  class Pass {
   public:
    explicit Pass(Turnstile& entered) : turnstile_(entered), provides_(entered.key_) {}
    ~Pass() { turnstile_.leave(); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    Turnstile& turnstile_;
    Provides provides_;
  };

  // Waits until nobody else is inside, then fills `pass`, which must be empty.
  Status enter(std::optional<Pass>& pass, const Deadline& deadline);
  bool held() const { return held_; }
  const char* name() const { return name_; }

 private:
  std::string describe_wait() const override { return name_; }
  void leave();

  const char* name_;
  WaitKey key_;
  bool held_ = false;
  std::size_t handed_over_ = 0;  // waiters that were let in and have not run yet
  Event event_;
};

}  // namespace chronik::fiber
