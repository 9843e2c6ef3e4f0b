// A forked process that runs seeds or plans one after another, on order from the parent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "sim/scenario.h"
#include "sim/search.h"

namespace chronik::sim {

struct Order {
  std::size_t scenario = 0;  // place in the options' list
  std::uint64_t seed = 0;
  bool twin = false;
  std::string plan = {};  // its text, where it is not the seed's
  bool record = false;    // the result is to hold the plan with all choices that were made
  ScheduleChoice schedule = ScheduleChoice::kAsPlanned;
  std::uint64_t bound = kSearchBound;  // of an exhaustive search
};

class Worker {
 public:
  explicit Worker(const std::vector<const Scenario*>& scenarios);
  ~Worker();  // ends it
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void send(const Order& order);
  const std::optional<Order>& order() const { return order_; }
  int result_fd() const { return results_; }
  // Reads what has come. A whole line, one JSON object, is a result; ends() where the worker is gone.
  std::optional<std::string> take_result();
  bool ended() const { return ended_; }
  void kill_now();
  // How it ended, and the last that it wrote to standard error. Once, after ended().
  std::string obituary();
  double began() const { return began_; }
  // It has spent so many seconds of processor time on its order, or has come to no end in ten times as many of the real
  // clock: a machine that is busy, or stood still, is no hang.
  bool overdue(double seconds) const;

 private:
  pid_t pid_ = -1;
  int orders_ = -1;
  int results_ = -1;
  std::FILE* errors_ = nullptr;
  std::string unread_;
  bool ended_ = false;
  std::optional<Order> order_;
  double began_ = 0;
  double spent_before_ = 0;  // processor time of its process, when it was given the order
};

// Seconds of the real clock since some beginning.
double real_seconds();

}  // namespace chronik::sim
