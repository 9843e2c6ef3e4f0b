#include "sim/disk_lane.h"

#include <vector>

#include "sim/story.h"

namespace chronik::sim {

Status cannot_begin(const Deadline& deadline) {
  fiber::Scheduler& scheduler = fiber::Scheduler::current();
  if (scheduler.dying()) {
    return fiber::wake_status(fiber::Wake::kDying);
  }
  if (deadline.cancelled()) {
    return fiber::wake_status(fiber::Wake::kCancelled);
  }
  return deadline.at() <= scheduler.now() ? fiber::wake_status(fiber::Wake::kExpired) : ok();
}

void LaneOperation::on_complete(std::int64_t /*result*/) {
  static_cast<ListHook<LiveTag>*>(this)->unlink();
  done_ = true;
  if (abandoned_) {
    delete this;
  } else if (waiter_ != nullptr) {
    waiter_->fire(fiber::Wake::kSignalled);
  }
}

Lane::Lane(DeviceHost& host, ShardContext& context, std::uint32_t helpers) : host_(host), helpers_free_(helpers) {
  CHECK_GT(helpers, std::uint32_t{0});
  ambient_.context = &context;
  ambient_.name = "device";
}

Lane::~Lane() {
  queued_.for_each([](LaneOperation& operation) { static_cast<ListHook<QueuedTag>&>(operation).unlink(); });
  live_.for_each([](LaneOperation& operation) {
    static_cast<ListHook<LiveTag>&>(operation).unlink();
    if (operation.abandoned_) {
      delete &operation;
    }
  });
}

Status Lane::run_operation(LaneOperation& operation, WaitKind kind, const Deadline& deadline) {
  if (detached_) {
    return fiber::wake_status(fiber::Wake::kDying);
  }
  const OpNumber number = fiber::Scheduler::current().begin_operation(operation);
  operation.lane_ = this;
  if (Story* story = host_.story(); story != nullptr) [[unlikely]] {
    operation.told_ =
        story->begin(kind == WaitKind::kStore ? StoryKind::kStore : StoryKind::kDisk, operation.describe_wait()).id;
  }
  live_.push_back(operation);
  if (helpers_free_ != 0) {
    begin(operation);
  } else {
    queued_.push_back(operation);
  }
  fiber::Waiter waiter;
  operation.waiter_ = &waiter;
  struct Leave {
    LaneOperation& operation;
    ~Leave() { operation.waiter_ = nullptr; }
  } const leave{operation};
  const Status status =
      fiber::wake_status(waiter.wait({kind, static_cast<std::uint64_t>(number.value()), 0, 0}, deadline, &operation));
  return operation.done_ ? ok() : status;  // the end is known, even where it came in the same turn as the expiry
}

void Lane::abandon(std::unique_ptr<LaneOperation> operation) {
  if (operation->lane_ == nullptr || detached_) {
    return;  // it was never handed over, or its port lets go of everything
  }
  operation->abandoned_ = true;
  static_cast<void>(operation.release());
}

void Lane::begin(LaneOperation& operation) {
  CHECK_GT(helpers_free_, std::uint32_t{0});
  --helpers_free_;
  operation.begun_ = true;
  operation.event_ = host_.after(operation.duration(), [this, &operation] { carry_out(operation); });
}

void Lane::begin_next() {
  while (helpers_free_ != 0 && !queued_.empty()) {
    begin(queued_.pop_front());
  }
}

void Lane::carry_out(LaneOperation& operation) {
  Death how = Death::kExit;
  {
    const AmbientGuard guard(ambient_);
    operation.event_ = {};
    const LaneOperation::Progress progress = operation.carry_out(how);
    tell_end(operation, progress);
    operation.hangs_ = progress == LaneOperation::Progress::kHangs;
    if (operation.hangs_) {
      return;
    }
    operation.carried_out_ = true;
    if (progress == LaneOperation::Progress::kEnded) {
      host_.complete(ambient_.context->shard, operation.number(), operation.result());
      ++helpers_free_;
      begin_next();
      return;
    }
  }
  host_.kill(how);  // destroys this lane
}

void Lane::tell_end(const LaneOperation& operation, LaneOperation::Progress progress) {
  if (Story* story = host_.story(); story != nullptr) [[unlikely]] {
    const auto code = static_cast<absl::StatusCode>(operation.result());
    if (progress == LaneOperation::Progress::kHangs) {
      story->hold(operation.told_);
    } else if (progress == LaneOperation::Progress::kKills) {
      story->end(operation.told_, StoryEnd::kLost, "its process died in it");
    } else if (code == absl::StatusCode::kOk) {
      story->end(operation.told_, StoryEnd::kDone);
    } else {
      story->end(operation.told_, StoryEnd::kFailed, "fails: " + absl::StatusCodeToString(code));
    }
  }
}

void Lane::release_hung() {
  live_.for_each([this](LaneOperation& operation) {
    if (operation.hangs_) {
      operation.hangs_ = false;
      operation.event_ = host_.after(Duration::zero(), [this, &operation] { carry_out(operation); });
    }
  });
}

void Lane::detach(Death how) {
  detached_ = true;
  live_.for_each([&](LaneOperation& operation) {
    host_.cancel(operation.event_);
    operation.event_ = {};
    if (!operation.carried_out_) {
      if (Story* story = host_.story(); story != nullptr) [[unlikely]] {
        story->end(operation.told_, StoryEnd::kLost, "its process died meanwhile");
      }
      operation.die(how, operation.begun_);
    }
  });
}

}  // namespace chronik::sim
